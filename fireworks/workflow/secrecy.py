"""Secrets that were given as what is written down: a parameter, an environment variable of a stage.

Guesses, from names and from the looks of values; it errs on the side of silence, since a warning that cries wolf is
not read. Only texts are looked at: a number is no password.

Comes in: a plan's parameters and stages. Goes out: warnings, one line each, to the verbs that write them down.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..records import StagePlan

__all__ = ["exposed"]

_SECRET = frozenset({"password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials"})
_JOINED = frozenset({"apikey", "accesskey", "secretkey", "privatekey", "authtoken", "accesstoken"})
# What makes a key a secret one, and a token part of a text.
_OF_KEYS = frozenset({"api", "access", "secret", "private", "auth", "ssh", "signing", "encryption", "license"})
_OF_TEXTS = frozenset({"n", "max", "min", "num", "eos", "bos", "pad", "mask", "unk", "sep", "cls", "start", "stop"}) | {
    *("end", "special", "next", "first", "last", "begin")
}
# Where a secret is, not what it is.
_PLACES = frozenset({"file", "path", "folder", "dir", "name", "column", "env", "var", "id", "type", "kind", "url"})
_VALUES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\b(?:gh[pousr]_|github_pat_)\w{20}"
    r"|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10}|\bhf_[A-Za-z]{30}"
    r"|\bsk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10}"
    r"|[?&]X-Amz-Signature=[0-9a-f]{10}"
    r"|://[^/\s:@]*:[^/\s:@]+@"
)


def exposed(parameters: Mapping[str, Any], stages: Iterable[StagePlan] = ()) -> list[str]:
    """What looks like a secret, and would be readable by more people than it is for.

    Args:
        parameters: Of a pipeline, by name.
        stages: Whose environment variables are looked at, too: these are in the Workflow.
    """
    found = [
        f"parameter {name!r} looks like a secret, and would be readable in the run's records. {_remedy(name)}"
        for name, value in parameters.items()
        if _looks_secret(name, value)
    ]
    found += [
        f"stage {stage.name!r}: env {name} looks like a secret, and would be readable in the run's records and in the "
        f"Workflow. {_remedy(name)}"
        for stage in stages
        for name, value in stage.env.items()
        if _looks_secret(name, value)
    ]
    return found


def _remedy(name: str) -> str:
    variable = re.sub(r"\W|(?<=[a-z])(?=[A-Z])", "_", name).upper()
    return f'Let the stage read it from its environment: Stage(secrets={{"{variable}": "secret/key"}}).'


def _looks_secret(name: str, value: Any) -> bool:
    texts = [text for text in _texts(value) if text.lower() not in {"", "none", "null", "true", "false"}]
    return bool(texts) and (_is_name(name) or any(_VALUES.search(text) for text in texts))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _is_name(name: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+", name)]
    if not words or words[-1] in _PLACES:
        return False
    before = set(words[:-1])
    return (
        bool(_SECRET & set(words))
        or bool(_JOINED & set(words))
        or (words[-1] in {"key", "keys"} and bool(_OF_KEYS & before))
        or (words[-1] == "token" and not _OF_TEXTS & before)
    )
