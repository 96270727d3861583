"""Names that Kubernetes and Argo accept, made of ours, so that two of ours never become one.

Comes in: names of pipelines, runs and stages. Goes out: names and labels, to `fireworks.workflow.argo.compiling`.
"""

import hashlib
import re
from collections.abc import Collection, Sequence

from .limits import EXPRESSION_WORDS

__all__ = ["MAX_NAME", "digest", "dns_name", "label_value", "suffixed", "task_name", "workflow_name"]

# Argo allows 128 for a task. A pod's name holds the workflow's, the template's and a hash, and is cut at 63.
MAX_NAME = 45
_MAX_WORKFLOW, _MAX_LABEL = 63, 63
_HASH_DIGITS = 8


def digest(text: str, digits: int = _HASH_DIGITS) -> str:
    """The first hex digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def dns_name(text: str, limit: int = MAX_NAME) -> str:
    """Lower case, digits and hyphens, letter first. What had to be changed ends in a hash of what it was.

    >>> dns_name("prophages"), dns_name("Prophages_2")
    ('prophages', 'prophages-2-0a853a54')
    """
    return _fit(text, re.sub(r"[^a-z0-9]+", "-", text.lower()), r"[a-z]([a-z0-9-]*[a-z0-9])?", limit)


def label_value(text: str) -> str:
    """A label's value: letters, digits, ``-_.``, at most 63.

    >>> label_value("Prophages_2"), label_value("größe")
    ('Prophages_2', 'gr-e-d353a267')
    """
    return _fit(text, re.sub(r"[^A-Za-z0-9_.]+", "-", text), r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", _MAX_LABEL)


def workflow_name(run_id: str) -> str:
    """The Workflow of a run; the run's own id wherever Kubernetes allows it."""
    return dns_name(run_id, _MAX_WORKFLOW)


def task_name(stages: Sequence[str], taken: Collection[str] = ()) -> str:
    """The task of these stages: the stage's name, or of a fused chain all of them.

    Args:
        stages: Names of stages, legal and different even without regard to case.
        taken: Names of all stages, which no chain's name may equal.

    >>> task_name(["raw"]), task_name(["raw", "features"])
    ('raw', 'raw--features')
    """
    joined = "--".join(stages)
    if len(stages) == 1:
        ambiguous = joined in EXPRESSION_WORDS
    else:
        ambiguous = joined in taken or any("--" in stage for stage in stages)
    return _short(joined, joined, MAX_NAME) if ambiguous or len(joined) > MAX_NAME else joined


def suffixed(name: str, suffix: str) -> str:
    """Both, with a hyphen between; a long name is cut, and a hash says which it was.

    >>> suffixed("features", "500")
    'features-500'
    """
    joined = f"{name}-{suffix}"
    return joined if len(joined) <= MAX_NAME else f"{_short(name, name, MAX_NAME - len(suffix) - 1)}-{suffix}"


def _fit(text: str, folded: str, legal: str, limit: int) -> str:
    """The text itself if it is legal, else its folded form and a hash."""
    if len(text) <= limit and re.fullmatch(legal, text):
        return text
    folded = folded.strip("-._")
    return _short(text, folded if folded[:1].isalpha() else f"x-{folded}".rstrip("-"), limit)


def _short(text: str, folded: str, limit: int) -> str:
    return f"{folded[: limit - _HASH_DIGITS - 1].rstrip('-._')}-{digest(text)}"
