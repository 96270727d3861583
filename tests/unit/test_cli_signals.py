"""Stopping `fireworks run` by a signal: exit code, records, no worker left. Neighbours: `fireworks.cli.run`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fireworks.store import open_store
from fireworks.workflow.history import RunFolder, list_runs

ROOT = Path(__file__).parents[2]
PIPELINE = '''
"""A stage that takes half a minute."""
import time
from pathlib import Path

import torch

import fireworks
from fireworks import Message, Stage
from fireworks.core import Pipe


class Slow(Pipe):
    def __iter__(self):
        Path("begun").touch()
        for i in range(300):
            time.sleep(0.1)
            yield Message({"x": torch.tensor([i])})


@fireworks.pipeline
def slow():
    return Stage(Slow(), name="slow")
'''


@pytest.mark.parametrize("runner", ["inprocess", "processes"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_and_says_so(tmp_path, runner, number, code):
    (tmp_path / "slow.py").write_text(PIPELINE)
    store = open_store(tmp_path / "store")
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from fireworks.cli import main; sys.exit(main())"
    )
    arguments = ["run", "slow.py:slow", "--runner", runner, "--store", str(tmp_path / "store")]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    starts = wait_for_starts(store, tmp_path / "begun")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert code == process.returncode
    assert err.splitlines()[-1] == ("interrupted" if code == 130 else "terminated")
    end = RunFolder(store, list_runs(store)[0]).end
    assert end is not None
    assert end.status == "cancelled"
    for start in starts:
        with pytest.raises(ProcessLookupError):
            os.kill(start["pid"], 0)


def wait_for_starts(store, begun):
    """The attempts' start records, as soon as the stage is at work."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        keys = [info.key for info in store.list("runs/") if info.key.endswith(".start.json")]
        if keys and begun.exists():
            return [json.loads(store.get(key)) for key in keys]
        time.sleep(0.05)
    pytest.fail("no attempt was started within a minute")
