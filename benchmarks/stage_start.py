"""How long a stage's process takes to its first row, beyond importing torch, pyarrow and obstore: at most 0.3 s.

``python benchmarks/stage_start.py [--plan URL --stage NAME] [--pairs N] [--json]``. Each pair starts a process that
imports those three and nothing else, and a stage; the shortest of both are compared, since whatever else a machine does
only adds. The stage collects no garbage while it imports: what that saves is counted in its favour.
tests/cluster/test_start_times.py runs the same in a pod, against the cluster's store.

Comes in: a plan, by default one of a single trivial stage in a folder. Goes out: a line on standard output; exit code 1
if it is more than the 0.3 s that are promised.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 0.3
PAIRS = 9
_IMPORTS = "import torch, pyarrow, obstore, time; print(time.monotonic(), flush=True); import os; os._exit(0)"
_PIPELINE = """
import torch

import fireworks
from fireworks import Message, Pipe, Stage


class Rows(Pipe):
    random_access = True

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return Message({"x": torch.arange(10)})[index]


@fireworks.pipeline
def trivial():
    return Stage(Rows(), name="rows")
"""


def imports_s() -> float:
    """Seconds from the start of a process until the three are imported."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True)
    return float(done.stdout) - started


def first_row_s(stage: list[str]) -> float:
    """Seconds from the start of a stage's process until its first rows are written."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "fireworks.workflow.stage", *stage, "--force", f"--progress=/dev/fd/{writing}"]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, pass_fds=[writing]), os.fdopen(reading) as lines:
        os.close(writing)
        for line in lines:
            if int(line.split()[0]):
                first = time.monotonic() - started
                break
        else:
            raise SystemExit("error: the stage must give rows, but gave none. See above.")
        lines.read()
    return first


def measure(stage: list[str], pairs: int) -> dict[str, float]:
    """The shortest of each, in seconds; in turns, so that a machine that grows slower does so for both."""
    imports, rows = map(min, zip(*((imports_s(), first_row_s(stage)) for _ in range(pairs)), strict=True))
    return {"imports_s": round(imports, 3), "first_row_s": round(rows, 3), "share_s": round(rows - imports, 3)}


def plan_in(folder: Path) -> list[str]:
    """Options that name a trivial stage, its plan below a folder."""
    from fireworks import load_pipeline
    from fireworks.records import RunRecord
    from fireworks.store import open_store
    from fireworks.workflow import cut
    from fireworks.workflow.history import new_run_id, plan_url, write_run

    project, store = folder / "project", open_store(folder / "store")
    project.mkdir()
    (project / "pyproject.toml").write_text("[tool.fireworks]\n", encoding="utf-8")
    (project / "trivial.py").write_text(_PIPELINE, encoding="utf-8")
    plan = cut(load_pipeline(str(project / "trivial.py")))
    record = RunRecord(
        id=new_run_id("trivial"),
        pipeline="trivial",
        parameters={},
        seed=plan.seed,
        sample=None,
        runner="process",
        host=socket.gethostname(),
        started_at=time.time(),
        stages=("rows",),
    )
    write_run(store, record, plan)
    return ["--plan", plan_url(store.url, record.id), "--stage", "rows", "--project", str(project)]


def main() -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="stage_start", description="Time from a stage's start to its first row.")
    parser.add_argument("--plan", help="URL of a plan (default: a trivial one in a folder)")
    parser.add_argument("--stage", default="rows", help="which of its stages")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"measurements (default: {PAIRS})")
    parser.add_argument("--json", action="store_true", help="print the numbers alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fireworks-") as folder:
        stage = ["--plan", options.plan, "--stage", options.stage] if options.plan else plan_in(Path(folder))
        found = measure(stage, options.pairs)
    if options.json:
        print(json.dumps(found))
        return 0
    print(
        f"stage to its first row: {found['first_row_s']} s, imports of torch, pyarrow, obstore: {found['imports_s']} s;"
        f" beyond them: {found['share_s']} s (shortest of {options.pairs}; limit {LIMIT_S} s)"
    )
    return int(found["share_s"] > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
