"""The corpus: workflows that Argo takes and workflows that it refuses or mishandles, and mutants of the first.

``good/`` is free of errors. A file of ``bad/`` is named after the rule that it breaks, ``rule.yaml`` or
``rule--variant.yaml``. Where Argo takes such a file, a line ``# Argo 3.7.18: …`` says what came of it.

Comes in: YAML. Goes out: manifests, to the tests of `fireworks.workflow.argo.validator`.
"""

import copy
import re
from pathlib import Path
from random import Random
from typing import Any

import yaml

FOLDER = Path(__file__).parent
GOOD = sorted((FOLDER / "good").glob("*.yaml"))
BAD = sorted((FOLDER / "bad").glob("*.yaml"))

# Texts that stand on some edge: of a name, a number, a duration, a tag.
_EDGES = (
    *("", "x", "1", "-1", "1a", "a b", "A.b", "a" * 129, "5m", "0", "1.5", "true", "../..", "/", "null", "[1]"),
    *("{{", "}}", "{{x}}", "{{item}}", "{{item.x}}", "{{inputs.parameters.nope}}", "{{workflow.parameters.nope}}"),
    *("{{tasks.nope.outputs.result}}", "{{steps.nope.outputs.result}}", "{{pod.name}}", "{{workflow.status}}"),
    *("{{workflow.failures}}", "{{=", "{{=1}}", "{{ workflow.name }}", "{{outputs.result}}", "a && b", "a.Failed"),
    *("{{inputs.artifacts.nope.path}}", "{{tasks.name}}", "Always", "2Gi", "{}", "a: b", "a\tb", "é"),
)


def load(path: Path) -> list[dict[str, Any]]:
    """The manifests of a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def rule_of(path: Path) -> str:
    """The rule that a bad file breaks."""
    return path.stem.split("--")[0]


def seen(path: Path) -> str:
    """What became of a bad file that Argo took; empty if it did not take it."""
    match = re.search(r"^# Argo 3\.7\.18: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def mutant(manifests: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Manifests with one to three changes, the same for the same seed."""
    random, changed = Random(seed), copy.deepcopy(manifests)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _change(changed, random)
    return changed


def _change(manifests: list[dict[str, Any]], random: Random) -> None:
    places = list(_places(manifests))
    holder, key = random.choice(places)
    value = holder[key]
    kind = random.choice(("drop", "rename", "type", "edge", "edge", "swap", "copy", "add", "repeat"))
    if kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[random.choice((key + "x", key.upper(), key[:-1], "name"))] = holder.pop(key)
    elif kind == "rename" and isinstance(value, str):
        holder[key] = value + "x"
    elif kind == "type":
        holder[key] = copy.deepcopy(random.choice((None, 0, 5, 1.5, 2**40, True, "x", [], ["x"], {}, {"x": "y"}, [{}])))
    elif kind == "swap":
        other, name = random.choice(places)
        holder[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(value)
    elif kind == "copy":
        # From a place of the same name, so that the type fits.
        alike = [other[name] for other, name in places if name == key and type(other[name]) is type(value)]
        holder[key] = copy.deepcopy(random.choice(alike))
    elif kind == "add" and isinstance(holder, dict):
        other, name = random.choice(places)
        holder.setdefault(name if isinstance(name, str) else "x", copy.deepcopy(other[name]))
    elif kind == "repeat" and isinstance(holder, list):
        holder.append(copy.deepcopy(value))
    elif not isinstance(value, dict | list):
        holder[key] = random.choice(_EDGES)


def _places(manifests: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Every (holder, key) below the manifests, but for what says which schema they have."""
    places, stack = [], [manifest["spec"] for manifest in manifests] + [manifest["metadata"] for manifest in manifests]
    while stack:
        holder = stack.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in items:
            places.append((holder, key))
            if isinstance(value, dict | list):
                stack.append(value)
    return places
