"""What happens in the course of a workflow: deadlines, and what is left when it has ended.

Comes in: specifications. Goes out: findings about pods and objects that stay for ever.
"""

from .durations import check_duration
from .findings import Findings
from .manifests import Manifest, World
from .metadata import is_qualified
from .reading import Json, entries, mapping, number, text

__all__ = ["check_lifecycle"]

_STRATEGIES = ("", "OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess")
_OPERATORS = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


def check_lifecycle(manifest: Manifest, world: World, found: Findings) -> None:
    """Check deadlines and clearing up."""
    spec, place = manifest.spec, manifest.place
    garbage = mapping(spec, "podGC")
    strategy = garbage.get("strategy") or ""
    if strategy not in _STRATEGIES:
        found.add("pod-gc", place, f"`podGC.strategy` must be one of {', '.join(_STRATEGIES[1:])}", strategy)
    check_duration(garbage, "deleteDelayDuration", "podGC", place, found)
    _check_selector(mapping(garbage, "labelSelector"), manifest, found)
    deadline = number(spec, "activeDeadlineSeconds")
    if deadline is not None and deadline <= 0:
        found.add("deadline-value", place, "`activeDeadlineSeconds` must be positive", deadline)
    referred = world.referred(manifest)
    # What a reference leads to, and the rest of what runs a library of templates, is not known here.
    whole = referred is not None or (spec.get("workflowTemplateRef") is None and text(spec, "entrypoint"))
    if whole:
        both = {**mapping(referred.spec if referred else {}), **spec}
        for key, rule in (
            ("podGC", "pod-gc-missing"),
            ("ttlStrategy", "ttl-missing"),
            ("activeDeadlineSeconds", "deadline-missing"),
        ):
            if both.get(key) is None:
                found.add(rule, place, f"A workflow should have `{key}`")


def _check_selector(selector: Json, manifest: Manifest, found: Findings) -> None:
    """As apimachinery's `LabelSelectorAsSelector`."""
    place = manifest.place
    for expression in entries(selector, "matchExpressions"):
        operator, values = text(expression, "operator"), expression.get("values") or []
        if operator not in _OPERATORS:
            rule = f"An operator of `podGC.labelSelector` is one of {', '.join(_OPERATORS)}"
            found.add("pod-gc", place, rule, operator)
        elif bool(values) != _OPERATORS[operator]:
            found.add("pod-gc", place, "In and NotIn of `podGC.labelSelector` need values, the others none", operator)
    keys = [text(expression, "key") for expression in entries(selector, "matchExpressions")]
    for key in (*keys, *mapping(selector, "matchLabels")):
        if not is_qualified(key):
            found.add("pod-gc", place, "A key of `podGC.labelSelector` is `prefix/name` or `name`", key or "none")
    values = [value for e in entries(selector, "matchExpressions") for value in e.get("values") or []]
    for value in (*values, *mapping(selector, "matchLabels").values()):
        if isinstance(value, str) and value and (len(value) > 63 or not is_qualified(value) or "/" in value):
            found.add("pod-gc", place, "A value of `podGC.labelSelector` is a label's value", value)
