"""What a person sees of a run: a live tree of stages on a terminal, plain lines elsewhere.

Comes in: events of `fireworks.workflow.scheduling`. Goes out: text on stderr; stdout stays the user's.
"""

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..records import AttemptEnd, Plan, StageResult

if TYPE_CHECKING:
    from rich.tree import Tree

__all__ = ["Display", "LiveTree", "PlainLines", "Silent", "display"]


class Display:
    """Listens to a run; every method may be called from any thread."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The run is over."""

    def notice(self, text: str) -> None:
        """Something to know before the run begins."""

    def run_started(self, run_id: str, plan: Plan) -> None:
        """The run has an id; nothing is computed yet."""

    def stage_started(self, name: str, shards: int) -> None:
        """A stage's inputs are there; its shards are being started."""

    def rows(self, name: str, shard: int, rows: int, total: int | None) -> None:
        """A shard has written so many rows, of so many."""

    def waiting(self, name: str, shard: int, reason: str) -> None:
        """A shard cannot begin, and why; an empty reason means that it can."""

    def line(self, name: str, shard: int, text: str) -> None:
        """A worker printed a line."""

    def shard_finished(self, name: str, shard: int, end: AttemptEnd) -> None:
        """A shard is committed."""

    def shard_retried(self, name: str, shard: int, end: AttemptEnd) -> None:
        """An attempt was lost; another one follows."""

    def stage_finished(self, result: StageResult) -> None:
        """A stage is done, was found in the store, or has failed."""


class Silent(Display):
    """Says nothing: the default of `fireworks.run` called from Python."""


class PlainLines(Display):
    """A line when something begins or ends: for logs and pipes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, file=sys.stderr, flush=True)

    def notice(self, text: str) -> None:
        """The text."""
        self._print(text)

    def run_started(self, run_id: str, plan: Plan) -> None:
        """The run's id and size."""
        count = len(plan.stages)
        self._print(f"run {run_id}: {count} stage{'s' * (count != 1)}")

    def stage_started(self, name: str, shards: int) -> None:
        """The stage's name."""
        self._print(f"  {name}: started" + (f", {shards} shards" if shards > 1 else ""))

    def line(self, name: str, shard: int, text: str) -> None:
        """The line, with where it comes from."""
        self._print(f"  {name}/{shard} | {text}")

    def waiting(self, name: str, shard: int, reason: str) -> None:
        """The reason."""
        if reason:
            self._print(f"  {name}/{shard} waits: {reason}")

    def shard_retried(self, name: str, shard: int, end: AttemptEnd) -> None:
        """Why the attempt was lost."""
        self._print(f"  {name}/{shard}: lost ({end.cause}); trying again")

    def stage_finished(self, result: StageResult) -> None:
        """Rows, time, and how it ended."""
        self._print(f"  {result.name}: {_outcome(result)}")


def _outcome(result: StageResult) -> str:
    if result.status == "failed":
        return f"failed: {result.cause}"
    parts = [_rows(result.rows)]
    parts.append("from the cache" if result.cached else f"{result.seconds:.1f} s")
    if result.nondeterministic:
        parts.append("nondeterministic: another attempt's bytes differ")
    return ", ".join(parts)


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


class LiveTree(Display):
    """A tree of stages, redrawn a few times a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._lock = threading.Lock()
        self._title = ""
        self._stages: dict[str, _Row] = {}
        # The stream itself, not whatever `sys.stderr` will be: while a stage runs in this process, that is a copy of
        # what is printed, which leads back here.
        self._console = Console(file=sys.stderr)
        self._live = Live(
            get_renderable=self._draw, console=self._console, refresh_per_second=8, redirect_stdout=sys.stdout.isatty()
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def notice(self, text: str) -> None:
        """Printed above the tree to come."""
        self._console.print(text, markup=False, highlight=False)

    def run_started(self, run_id: str, plan: Plan) -> None:
        """All stages appear, waiting."""
        with self._lock:
            self._title = run_id
            self._stages = {stage.name: _Row(stage.shards) for stage in plan.stages}

    def stage_started(self, name: str, shards: int) -> None:
        """The stage's clock starts."""
        with self._lock:
            self._stages[name].started = time.monotonic()

    def rows(self, name: str, shard: int, rows: int, total: int | None) -> None:
        """The bar moves."""
        with self._lock:
            self._stages[name].rows[shard] = (rows, total)

    def waiting(self, name: str, shard: int, reason: str) -> None:
        """Shown in the stage's line, until there are rows."""
        with self._lock:
            self._stages[name].waits = reason

    def line(self, name: str, shard: int, text: str) -> None:
        """Printed above the tree."""
        self._console.print(f"{name}/{shard} | ", end="", style="dim", markup=False, highlight=False)
        self._console.print(text, markup=False, highlight=False)

    def shard_retried(self, name: str, shard: int, end: AttemptEnd) -> None:
        """Counted, and the reason printed above the tree."""
        with self._lock:
            self._stages[name].lost += 1
            self._stages[name].rows.pop(shard, None)
        self.line(name, shard, f"lost ({end.cause}); trying again")

    def stage_finished(self, result: StageResult) -> None:
        """The final line of the stage."""
        with self._lock:
            self._stages[result.name].result = result

    def _draw(self) -> "Tree":
        from rich.table import Table
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(self._title, style="bold"))
        with self._lock:
            width = max((len(name) for name in self._stages), default=0)
            for name, row in self._stages.items():
                grid = Table.grid(padding=(0, 1))
                grid.add_column(width=width)
                grid.add_row(Text(name), row.mark(), *row.cells())
                tree.add(grid)
        return tree


class _Row:
    """One stage of the live tree."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.started: float | None = None
        self.rows: dict[int, tuple[int, int | None]] = {}
        self.lost = 0
        self.waits = ""
        self.result: StageResult | None = None

    def mark(self) -> str:
        if self.result is not None:
            if self.result.status == "failed":
                return "[red]✗[/red]"
            return "[cyan]≡[/cyan]" if self.result.cached else "[green]✓[/green]"
        return "[dim]·[/dim]" if self.started is None else "[yellow]▸[/yellow]"

    def cells(self) -> list[Any]:
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        # Never as markup: what a stage says of itself may hold brackets.
        if self.result is not None:
            lost = f", {self.lost} lost attempt{'s' * (self.lost != 1)}" if self.lost else ""
            return [Text(_outcome(self.result) + lost)]
        if self.waits and not self.rows:
            return [Text(f"waiting: {self.waits}", style="yellow")]
        if self.started is None:
            return [Text("waiting", style="dim")]
        done = sum(rows for rows, _ in self.rows.values())
        totals = [total for _, total in self.rows.values()]
        rate = done / max(time.monotonic() - self.started, 0.1)
        text = f"{_rows(done)}, {rate:,.0f}/s"
        if len(totals) < self.shards or None in totals or not totals:
            return [text]
        total = sum(total for total in totals if total is not None)
        return [ProgressBar(total=max(total, 1), completed=done, width=24), f"{text} of {total:,}"]


def display(*, quiet: bool = False) -> Display:
    """The display that fits where stderr goes."""
    if quiet:
        return Silent()
    return LiveTree() if sys.stderr.isatty() else PlainLines()
