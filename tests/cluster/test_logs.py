"""`fireworks logs` of pods that print, on the real cluster. Neighbours: `tests/projects/talking`, `workflow.runlog`."""

import os
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pytest

from cluster.runs import ROOT, result
from fireworks.workflow.history import RunFolder

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

TALKING = ROOT / "tests" / "projects" / "talking"
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from fireworks.cli import main; sys.exit(main())"
)


@pytest.fixture
def submit(say):
    """Submit the pipeline; return the run's id."""

    def call(*parameters):
        options = [word for one in parameters for word in ("-p", one)]
        done = say("submit", "talking.py:talking", *options, "--json", folder=TALKING)
        return result(done)["run"]

    return call


@pytest.fixture
def follow(store):
    """Begin ``fireworks logs -f``."""
    began = []

    def call(*arguments):
        environment = {**os.environ, "FIREWORKS_STORE": store.url, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, "logs", "-f", *arguments]
        began.append(
            subprocess.Popen(
                command, cwd=TALKING, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return began[-1]

    yield call
    for process in began:
        process.kill()
        process.communicate()


def said(text):
    """Who said each line, and when; without headings and the empty lines before them."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("==>")]
    return [(name, float(moment)) for name, moment in lines]


def is_by_time(lines):
    """As far as a busy node reads at once what was printed at once."""
    moments = [moment for _, moment in lines]
    return all(moment > latest - 0.5 for latest, moment in zip(accumulate(moments, max), moments, strict=True))


def arrivals(process):
    """What a process prints, and how old each line is when it comes."""
    text, ages = "", []
    for line in process.stdout:
        text += line
        ages += [time.time() - moment for _, moment in said(line)]
    return text, ages


def test_shards_and_stages_of_one_pod_are_followed_live(say, submit, follow, store, capsys):
    run = submit("lines=40", "pace=0.5", "after=10")
    with ThreadPoolExecutor(3) as pool:
        asked = [[run], [run, "both"], [run, "second"]]
        readings = [pool.submit(arrivals, follow(*arguments)) for arguments in asked]
        everything, both, second = readings
        both.result()
        assert RunFolder(store, run).end is None, "a stage is over before the run is"
        everything, both, second = (reading.result() for reading in readings)
    ages = everything[1]
    with capsys.disabled():
        print(f"\nlines of pods come after {statistics.median(ages):.1f} s (median), {max(ages):.1f} s (all)")
    lines = said(everything[0])
    names = [name for name, _ in lines]
    assert [40, 40, 20, 20] == [names.count(name) for name in ("from-0", "from-256", "first", "second")]
    assert is_by_time(lines)
    assert 10 < sum(line.startswith("==> both/") for line in everything[0].splitlines())
    assert statistics.median(ages) < 4, "the store alone would take five seconds and more"
    assert said(both[0]) == lines[:80]
    assert {"second"} == {name for name, _ in said(second[0])}
    assert said(second[0]) == lines[-20:]
    # Afterwards the store says the same.
    assert sorted(lines) == sorted(said(say("logs", run).out))
    assert said(second[0]) == said(say("logs", run, "second").out)


def test_what_runs_is_read_from_its_pods_and_ctrl_c_says_how_to_come_back(say, submit, follow, store):
    run = submit("lines=200", "pace=0.5")
    following = follow(run, "both/1")
    first = following.stdout.readline()
    deadline = time.monotonic() + 30
    while True:
        done = say("logs", run, "both/1")
        stored = sum(1 for _ in RunFolder(store, run).logs("both", 1))
        if len(said(done.out)) > stored:
            break
        assert time.monotonic() < deadline, "pods have what the store has not yet"
    assert "" == done.err
    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=60)
    assert 130 == following.returncode
    assert f"{run} goes on. Come back with: fireworks logs -f {run} both/1\n" == err
    assert {"from-256"} == {name for name, _ in said(first + out)}
    assert RunFolder(store, run).end is None
    say("cancel", run)
