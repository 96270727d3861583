"""Each tag ``{{…}}`` names something that is known where it stands.

Argo checks those with a known first word; others stay in the text as they are. Expressions it checks only when they
run, and leaves them in the text if that fails.

Comes in: texts and the names known there, from `references`. Goes out: findings about tags.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ....errors import did_you_mean
from .expressions import expression_fault, strip_strings
from .findings import Findings, Place
from .reading import tags, texts
from .scopes import ANY_ITEM, ANY_OUTPUT

__all__ = ["Tags"]

_CHECKED = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")
# What is known only when the workflow runs.
_LATE = (
    "outputs.",
    "workflow.creationTimestamp",
    "workflow.scheduledTime",
    "workflow.duration",
    "tasks.name",
    "steps.name",
    "node.name",
)
_UNCHECKED = re.compile(
    r"item|retries|lastRetry\.\w+|node\.name|status|duration|exitCode|resourcesDuration\.\S+|cronworkflow\.\S+"
)
_HYPHEN = re.compile(
    r"\b((?:tasks|steps)|(?:inputs|workflow|outputs)\.(?:parameters|artifacts))\.([A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)+)"
)
_MEMBER = re.compile(
    r"\b(inputs\.parameters|workflow\.parameters|tasks|steps)(?:\.([A-Za-z_]\w*)|\[\s*(?:'([^']+)'|\"([^\"]+)\")\s*\])"
)


class Tags:
    """Checks tags against the names of a whole workflow.

    Args:
        names: Known everywhere.
        lenient: Whether parameters may still come from a Workflow.
        found: Where findings go.
    """

    def __init__(self, names: Mapping[str, str | None], found: Findings, *, lenient: bool) -> None:
        self.names, self.found, self.lenient = dict(names), found, lenient

    def check(self, value: Any, known: Collection[str], place: Place) -> None:
        """Check every tag in all texts of a value.

        Args:
            value: Any JSON.
            known: Names that are known here, in addition.
            place: Of the value.
        """
        for content in texts(value):
            if "{{" in content:
                _check_closed(content, place, self.found)
                for tag in tags(content):
                    if tag.startswith("="):
                        self._expression(tag[1:], known, place)
                    else:
                        self._tag(tag.strip(), known, place)

    def _tag(self, tag: str, known: Collection[str], place: Place) -> None:
        if not tag.startswith(_CHECKED):
            if not _UNCHECKED.fullmatch(tag) and tag not in known:
                self.found.add("literal-tag", place, "A tag that Argo doesn't know stays as it is", "{{" + tag + "}}")
        elif not self._is_known(tag, known):
            hint = did_you_mean(tag, [*known, *self.names]).strip()
            self.found.add("unknown-variable", place, "A tag names what is known here", "{{" + tag + "}}", hint)

    def _is_known(self, tag: str, known: Collection[str]) -> bool:
        if tag in known or tag in self.names or tag.startswith(_LATE):
            return True
        if tag.startswith("item."):
            return ANY_ITEM in known
        for kind, any_output in ANY_OUTPUT.items():
            if tag.startswith(f"workflow.outputs.{kind}."):
                return any_output in known or any_output in self.names
        return self.lenient and tag.startswith("workflow.parameters")

    def _expression(self, expression: str, known: Collection[str], place: Place) -> None:
        shown = "{{=" + expression + "}}"
        fault = expression_fault(expression)
        if fault:
            self.found.add("expression", place, f"An expression can't be parsed: {fault}", shown)
            return
        for path, name in _HYPHEN.findall(strip_strings(expression)):
            if self._has(f"{path}.{name}", known):
                remedy = f"Write {path}['{name}']."
                self.found.add("expression-hyphen", place, "In an expression a hyphen is a minus", shown, remedy)
        for path, plain, single, double in _MEMBER.findall(expression):
            name = f"{path}.{plain or single or double}"
            late = name in ("tasks.name", "steps.name") or (self.lenient and path == "workflow.parameters")
            hyphened = _HYPHEN.search(strip_strings(expression)) is not None
            if not late and not hyphened and name != "workflow.parameters.json" and not self._has(name, known):
                self.found.add("unknown-variable", place, f"An expression names what is known here: {name}", shown)

    def _has(self, name: str, known: Collection[str]) -> bool:
        if name in known or name in self.names:
            return True
        prefix = f"{name}."
        return name.count(".") == 1 and any(other.startswith(prefix) for other in known)


def _check_closed(content: str, place: Place, found: Findings) -> None:
    rest = content.rsplit("}}", 1)[-1]
    if "{{" in rest:
        found.add("unclosed-tag", place, "A tag ends in `}}`", rest[rest.index("{{") :])
