"""The last look at what was compiled, before anybody else sees it: the validator's findings and the budget's.

Comes in: compiled manifests. Goes out: warnings, or everything that is wrong at once, to ``fireworks compile`` and
`fireworks.workflow.argo.submitting`.
"""

from collections.abc import Mapping
from typing import Any

from ...errors import CompileError
from .budget import Budget
from .compiling import Target
from .validator import validate

__all__ = ["check"]

# The budget knows more of sizes than the manifests alone do.
_BUDGETED = {"object-large", "status-size"}


def check(template: Mapping[str, Any], workflow: Mapping[str, Any], budget: Budget, target: Target) -> list[str]:
    """The warnings, one line each.

    Raises:
        CompileError: With every error.
    """
    found = validate([template, workflow], argo_version=target.argo_version)
    findings = [finding for finding in found if finding.rule not in _BUDGETED]
    lines = {
        severity: [str(finding).removeprefix(f"{severity}: ") for finding in findings if finding.severity == severity]
        for severity in ("warning", "error")
    }
    problems = [*budget.problems(), *lines["error"]]
    if problems:
        raise CompileError(problems)
    return [*(warning.removeprefix("warning: ") for warning in budget.warnings()), *lines["warning"]]
