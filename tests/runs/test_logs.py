"""`fireworks logs` of real processes that print at once. Neighbours: `tests/projects/talking`, `workflow.runlog`."""

import os
import signal
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest

from fireworks.store import open_store
from fireworks.workflow.history import RunFolder, latest_run
from forking import fireworks, start
from waiting import wait_until

ROOT = Path(__file__).parents[2]
TALKING = ROOT / "tests" / "projects" / "talking"
INTERRUPTIBLE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from fireworks.cli import main; sys.exit(main())"
)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def begin(place, tmp_path):
    """Start the pipeline in processes; return its process, and its run once a shard has printed something."""
    began = []

    def call(*arguments):
        (tmp_path / "run").mkdir()
        options = ["run", "talking.py:talking", "--store", str(place), "--runner", "processes", "--workers", "2"]
        began.append(start([*options, *arguments], TALKING, tmp_path / "run"))
        wait_until(lambda: any(place.glob("runs/*/logs/**/*.log")), "a log must be there")
        return began[-1], folder(place)

    yield call
    for process in began:
        process.terminate()
        process.join(60)


def folder(place):
    store = open_store(place)
    return RunFolder(store, latest_run(store))


def logs(place, tmp_path, *arguments):
    done = fireworks(["logs", *arguments, "--store", str(place)], TALKING, tmp_path)
    assert 0 == done.code, done.err
    return done


def said(text):
    """Who said each line, and when; without headings and the empty lines before them."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("==>")]
    return [(name, float(moment)) for name, moment in lines]


def is_by_time(text):
    """As far as a busy machine reads at once what was printed at once."""
    moments = [moment for _, moment in said(text)]
    return all(moment > latest - 0.3 for latest, moment in zip(accumulate(moments, max), moments, strict=True))


@pytest.mark.parametrize(("runner", "together"), [("processes", True), ("inprocess", False)])
def test_shards_that_print_at_once_are_one_log_by_time(place, tmp_path, runner, together):
    arguments = ["run", "talking.py:talking", "-p", "pace=0.2", "--store", str(place), "--runner", runner]
    done = fireworks([*arguments, *(["--workers", "2"] if together else [])], TALKING, tmp_path)
    assert 0 == done.code, done.err
    out = logs(place, tmp_path).out
    assert is_by_time(out)
    names = [name for name, _ in said(out)]
    assert [10, 10, 6, 6] == [names.count(name) for name in ("from-0", "from-256", "first", "second")]
    assert ["first"] * 6 + ["second"] * 6 == names[20:]
    turns = sum(line.startswith("==> both/") for line in out.splitlines())
    assert (turns > 4) is together
    alone = logs(place, tmp_path, "both/1").out
    assert 10 == alone.count("from-256 ") == len(alone.splitlines())


def test_a_stage_is_followed_to_its_end_and_not_beyond(place, tmp_path, begin):
    process, run = begin("-p", "lines=30", "-p", "pace=0.3", "-p", "after=100")
    followed = logs(place, tmp_path, "-f", run.id, "both").out
    assert run.end is None
    assert process.is_alive()
    assert is_by_time(followed)
    assert 60 == len(said(followed))
    assert followed == logs(place, tmp_path, run.id, "both").out


def test_ctrl_c_detaches_and_says_how_to_come_back(place, begin):
    process, run = begin("-p", "lines=200", "-p", "pace=0.1")
    command = [sys.executable, "-c", INTERRUPTIBLE, "logs", "-f", run.id, "both/1", "--store", str(place)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    following = subprocess.Popen(
        command, cwd=TALKING, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = following.stdout.readline()
    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=30)
    assert 130 == following.returncode
    assert f"{run.id} goes on. Come back with: fireworks logs -f {run.id} both/1 --store {place}\n" == err
    assert {"from-256"} == {name for name, _ in said(first + out)}
    assert process.is_alive()
