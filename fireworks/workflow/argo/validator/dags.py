"""The graph of a DAG: what each task waits for.

Source: `workflow/common/ancestry.go` and `workflow/validate` of Argo 3.7.18.

Comes in: DAG templates. Goes out: findings about dependencies; who comes before whom, to `references`.
"""

import re
from collections.abc import Iterable

from ....errors import did_you_mean
from ..limits import EXPRESSION_WORDS
from .expressions import expression_fault
from .findings import Findings, Place
from .manifests import task_place, tasks_of
from .reading import Json, name_of, text

__all__ = ["Graph", "check_dag"]

_WORD = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*?\.[A-Z][a-zA-Z]+)|([a-zA-Z0-9][-a-zA-Z0-9]*)")
_PLAIN = re.compile(r"[-\w\s.&|!()]*")
_STATUSES = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
_OF_ITEMS = ("AnySucceeded", "AllFailed")


class Graph:
    """Which task of a DAG waits for which.

    Attributes:
        needs: For each task the tasks it names, in any way, and the statuses it asks for; an empty one for a bare name.
    """

    def __init__(self, template: Json) -> None:
        self.tasks = {name_of(task): task for task in reversed(tasks_of(template))}
        self.needs = {name: _needs(task) for name, task in self.tasks.items()}
        self._bits = {name: 1 << index for index, name in enumerate(self.tasks)}
        self._before: dict[str, int] = {}
        self.cycle = self._count()

    def is_before(self, name: str, task: str) -> bool:
        """Whether a task is done, skipped or omitted before the other starts."""
        return bool(self._before.get(task, 0) & self._bits.get(name, 0))

    def sorted(self, tasks: list[Json]) -> list[Json]:
        """Each task after those it waits for; those of a cycle last."""
        rank = {name: (self._before[name].bit_count() if name in self._before else len(tasks)) for name in self.tasks}
        return sorted(tasks, key=lambda task: rank[name_of(task)])

    def runs_if_skipped(self, task: str, needed: str) -> bool:
        """Whether a task may run although the one it waits for was skipped."""
        statuses = self.needs.get(task, {}).get(needed, {""})
        return bool(statuses & {"", "Skipped", "Omitted"})

    def _count(self) -> list[str]:
        """Find all ancestors, as bits of one number for each task.

        Returns:
            The tasks of a cycle and what waits for them.
        """
        waiting = {name: {need for need in needs if need in self.tasks} for name, needs in self.needs.items()}
        blocked: dict[str, list[str]] = {}
        for name, needs in waiting.items():
            for need in needs:
                blocked.setdefault(need, []).append(name)
        ready = [name for name, needs in waiting.items() if not needs]
        while ready:
            done = ready.pop()
            known = (need for need in self.needs[done] if need in self.tasks)
            self._before[done] = _union(self._before[need] | self._bits[need] for need in known)
            for name in blocked.get(done, ()):
                waiting[name].discard(done)
                if not waiting[name]:
                    ready.append(name)
            del waiting[done]
        return list(waiting)


def check_dag(template: Json, place: Place, found: Findings) -> None:
    """Check the graph of a DAG template."""
    tasks = tasks_of(template)
    if not tasks:
        found.add("dag-empty", place, "A DAG needs at least one task")
    graph = Graph(template)
    if graph.cycle:
        names = ", ".join(graph.cycle[:5]) + (", …" if len(graph.cycle) > 5 else "")
        found.add("dag-cycle", place, "Tasks may not wait for each other", names)
    uses_depends = any(text(task, "depends") for task in tasks)
    for task in tasks:
        _check_task(task, graph, uses_depends, task_place(place, task), found)
    target = text(template, "dag", "target")
    for name in target.split(" ") if target else ():
        if "{{" not in target and name not in graph.tasks:
            found.add("dag-target", place, "`dag.target` names tasks of this DAG", name, _hint(name, graph))


def _check_task(task: Json, graph: Graph, uses_depends: bool, place: Place, found: Findings) -> None:
    name, depends = name_of(task), text(task, "depends")
    if (uses_depends or task.get("dependencies")) and name[:1].isdigit():
        found.add("digit-first", place, "A task's name may not begin with a digit where others wait for it", name)
    if uses_depends and task.get("dependencies"):
        found.add("depends-mixed", place, "A DAG has either `depends` or `dependencies`", "both")
    if uses_depends and task.get("continueOn") is not None:
        found.add("depends-continue", place, "`continueOn` is not for DAGs with `depends`")
    for needed, statuses in _needs(task).items():
        if needed not in graph.tasks:
            found.add("depends-undefined", place, "A task waits for tasks of its DAG", needed, _hint(needed, graph))
        elif statuses & set(_OF_ITEMS) and not _loops(graph.tasks[needed]):
            used = " and ".join(sorted(statuses & set(_OF_ITEMS)))
            found.add("depends-items", place, f"`{needed}.{used}` is for tasks with a loop", needed)
        for status in sorted(statuses - {"", *_STATUSES}):
            hint = did_you_mean(status, _STATUSES).strip()
            found.add("depends-status", place, f"A status is one of {', '.join(_STATUSES)}", status, hint)
    if depends:
        _check_syntax(depends, place, found)


def _check_syntax(depends: str, place: Place, found: Findings) -> None:
    # Argo does the same to hyphens before it evaluates.
    fault = expression_fault(depends.replace("-", "_"))
    if not fault and not _PLAIN.fullmatch(depends):
        fault = "it may have names, statuses, `&&`, `||`, `!` and brackets"
    keyword = next((word for word in re.findall(r"[-\w]+", depends) if word in EXPRESSION_WORDS), "")
    if not fault and keyword:
        fault = f"`{keyword}` is a word of the language"
    if fault:
        found.add("depends-syntax", place, f"`depends` can't be parsed: {fault}", depends)


def _needs(task: Json) -> dict[str, set[str]]:
    needs: dict[str, set[str]] = {}
    depends = text(task, "depends")
    if not depends:
        listed = task.get("dependencies")
        return {need: {""} for need in listed if isinstance(need, str)} if isinstance(listed, list) else {}
    for with_status, bare in _WORD.findall(depends):
        name, _, status = (with_status or bare).partition(".")
        needs.setdefault(name, set()).add(status)
    return needs


def _loops(task: Json) -> bool:
    return any(task.get(key) for key in ("withItems", "withParam")) or task.get("withSequence") is not None


def _union(numbers: Iterable[int]) -> int:
    total = 0
    for number in numbers:
        total |= number
    return total


def _hint(name: str, graph: Graph) -> str:
    return did_you_mean(name, graph.tasks).strip()
