"""What the validator says, and where.

Comes in: what a rule's module saw. Goes out: `Finding`s, each once, in the order in which they were met.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from .rules import RULES

__all__ = ["Finding", "Findings", "Place", "shorten"]

_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Place:
    """Where in the manifests one is.

    Attributes:
        parts: From the outside to the inside, as ``("template main", "task windows")``.
        stage: The pipeline's stage that lives here, where that can be told.
    """

    parts: tuple[str, ...] = ()
    stage: str | None = None

    def at(self, part: str, stage: str | None = None) -> "Place":
        """One step further in."""
        return Place((*self.parts, part), stage or self.stage)

    def __str__(self) -> str:
        return ", ".join(self.parts) or "manifests"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`) or deserves a second look (`warning`).

    Attributes:
        rule: Its name in docs/validator.md.
        severity: An error must be corrected before anything is submitted.
        where: As ``template main, task windows``.
        stage: The pipeline's stage, where that can be told.
        value: What was found there.
        message: One line: rule, value, remedy.
    """

    rule: str
    severity: Literal["error", "warning"]
    where: str
    stage: str | None
    value: str
    message: str

    def __str__(self) -> str:
        stage = f" (stage {self.stage})" if self.stage else ""
        return " ".join(f"{self.severity}: {self.where}{stage}: {self.message} [{self.rule}]".split())


class Findings:
    """Collects findings; equal ones count once."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def add(self, rule: str, place: Place, text: str, value: Any = "", remedy: str = "") -> None:
        """Write down that a rule is broken.

        Args:
            rule: A key of `RULES`.
            place: Where.
            text: What the rule asks for, without its end stop.
            value: What is there instead; left out of the message if empty.
            remedy: What to do, one sentence; that of the rule if left out.
        """
        shown = shorten(value)
        got = f", but got {shown}" if shown else ""
        message = " ".join(f"{text}{got}. {remedy or RULES[rule].remedy}".split())
        where = " ".join(str(place).split())
        self._found[Finding(rule, RULES[rule].severity, where, place.stage, shown, message)] = None

    def sorted(self) -> list[Finding]:
        """Errors first, otherwise as they were met."""
        return sorted(self._found, key=lambda finding: finding.severity)


def shorten(value: Any) -> str:
    """A value in one line of at most 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
