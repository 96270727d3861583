"""`retryStrategy`: on what pods, under which policy, by which expression.

Comes in: templates. Goes out: findings about retries that Argo refuses, or that do not do what they say.
"""

import re

from .durations import check_duration
from .expressions import expression_fault, strip_strings
from .findings import Findings, Place
from .manifests import Manifest, type_of
from .reading import Json, mapping, number, tags, text

__all__ = ["check_retries"]

_POLICIES = ("Always", "OnError", "OnFailure", "OnTransientError")
_VARIABLE = re.compile(r"\b(retries|lastRetry\.\w+)\b")
_EXIT_CODE = re.compile(r"lastRetry\.exitCode\s*(==|!=|<=?|>=?)\s*\d|\d\s*(==|!=|<=?|>=?)\s*lastRetry\.exitCode")


def check_retries(template: Json, place: Place, base: Manifest, found: Findings) -> None:
    """Check a template's own retries, and that nothing speaks of retries where there are none."""
    strategy = template.get("retryStrategy")
    if isinstance(strategy, dict):
        _check_strategy(strategy, place, found)
        if type_of(template) in ("steps", "dag", "suspend"):
            found.add("retry-leaf", place, "Retry what fails, not what contains it", type_of(template))
    elif not any(mapping(base.spec, *path, "retryStrategy") for path in ((), ("templateDefaults",))):
        for tag in tags(template):
            variable = _VARIABLE.match(tag.lstrip("= "))
            if variable or (tag.startswith("=") and _VARIABLE.search(strip_strings(tag))):
                found.add("retry-variable", place, "This is known only under `retryStrategy`", "{{" + tag + "}}")
    group = mapping(template, "containerSet", "retryStrategy")
    check_duration(group, "duration", "containerSet.retryStrategy", place, found, seconds=False)
    _check_integer(group, "retries", "containerSet.retryStrategy", place, found)


def _check_strategy(strategy: Json, place: Place, found: Findings) -> None:
    policy, expression = text(strategy, "retryPolicy"), text(strategy, "expression")
    if policy and policy not in _POLICIES:
        found.add("retry-policy", place, f"`retryPolicy` must be one of {', '.join(_POLICIES)}", policy)
    if expression and not policy:
        found.add("retry-policy-implied", place, "An expression without `retryPolicy` makes it Always")
    bare = re.sub(r"\{\{.*?\}\}", "x", expression, flags=re.DOTALL)
    fault = expression_fault(bare) if expression else ""
    if fault:
        found.add("expression", place, f"`retryStrategy.expression` can't be parsed: {fault}", expression)
    if _EXIT_CODE.search(bare):
        found.add("retry-exit-code", place, "`lastRetry.exitCode` is a text", expression)
    _check_integer(strategy, "limit", "retryStrategy", place, found)
    backoff = mapping(strategy, "backoff")
    for name in ("duration", "maxDuration", "cap"):
        check_duration(backoff, name, "retryStrategy.backoff", place, found)
    _check_integer(backoff, "factor", "retryStrategy.backoff", place, found)


def _check_integer(holder: Json, name: str, path: str, place: Place, found: Findings) -> None:
    value = holder.get(name)
    if isinstance(value, str) and "{{" not in value and number(holder, name) is None:
        found.add("retry-number", place, f"`{path}.{name}` must be an integer or a tag", value or "an empty text")
