"""What a task reads of other tasks: only of those that come before it, and of skipped ones only with a default.

Comes in: tasks and their graph. Goes out: findings about values that are not there yet, or never.
"""

from collections.abc import Iterable, Iterator, Mapping

from .dags import Graph
from .findings import Findings, Place
from .reading import Json, entries, mapping, name_of, tags, text

__all__ = ["check_needs", "check_skipped", "read_tasks"]


def check_needs(
    task: Json, read: Iterable[str], read_by_hooks: Iterable[str], graph: Graph, place: Place, found: Findings
) -> None:
    """Check that a task waits, directly or not, for every task that it reads."""
    name = name_of(task)
    for value in _pure_values(task):
        if value.startswith("{{tasks."):
            other = value.split(".")[1]
            if not graph.is_before(other, name):
                found.add("missing-dependency", place, "A task waits for the tasks that it reads", other)
    for other in read:
        if other in graph.tasks and not graph.is_before(other, name):
            found.add("missing-dependency", place, "A task waits for the tasks that it reads", other)
    for other in read_by_hooks:
        if other in graph.tasks and other != name and not graph.is_before(other, name):
            found.add("missing-dependency", place, "A hook reads what its task has waited for", other)


def check_skipped(task: Json, graph: Graph, runs: Mapping[str, Json | None], place: Place, found: Findings) -> None:
    """Check that what a task reads of one that may be skipped has a default."""
    inputs = {name_of(value): value for value in entries(runs.get(name_of(task)), "inputs", "parameters")}
    for parameter in entries(task, "arguments", "parameters"):
        content = text(parameter, "value")
        taken = inputs.get(name_of(parameter), {})
        pure = content.startswith("{{") and content.count("{{") == 1 and content.endswith("}}")
        if pure and (taken.get("default") is not None or taken.get("value") is not None):
            continue
        for tag in tags(content):
            parts = tag.strip().split(".")
            if len(parts) >= 4 and parts[0] == "tasks" and parts[2] == "outputs":
                producer = graph.tasks.get(parts[1], {})
                if producer.get("when") and graph.runs_if_skipped(name_of(task), parts[1]):
                    _check_default(runs.get(parts[1]), parts, place, found)


def _check_default(template: Json | None, parts: list[str], place: Place, found: Findings) -> None:
    outputs = {name_of(output): output for output in entries(template, "outputs", "parameters")}
    output = outputs.get(parts[4]) if parts[3] == "parameters" and len(parts) > 4 else {}
    if template is None or output is None or parts[3] == "artifacts":
        return
    if mapping(output, "valueFrom").get("default") is None and output.get("value") is None:
        found.add("skipped-output", place, "What a skipped task puts out needs a default", ".".join(parts[:5]))


def _pure_values(task: Json) -> Iterator[str]:
    for parameter in entries(task, "arguments", "parameters"):
        yield text(parameter, "value")
    for artifact in entries(task, "arguments", "artifacts"):
        yield text(artifact, "from")


def read_tasks(value: object) -> list[str]:
    """The tasks that the tags in a value name."""
    split = (tag.strip().split(".") for tag in tags(value))
    return [parts[1] for parts in split if parts[0] == "tasks" and len(parts) > 2]
