"""`.ci/run` where a step fails, with a `make` that stands in for all of them. Neighbours: `.ci/run`, `Makefile`."""

import os
import re
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
STEPS = ["setup", "lint", "test", "demo", "test-cluster", "cluster-down"]


@pytest.mark.parametrize(
    ("failing", "expected", "code"),
    [
        ({}, STEPS, 0),
        ({"test": 2}, STEPS[:3], 2),
        # What tests of the cluster leave is taken down, and they are what failed.
        ({"test-cluster": 7}, STEPS, 7),
        ({"test-cluster": 7, "cluster-down": 3}, STEPS, 7),
        ({"cluster-down": 3}, STEPS, 3),
    ],
)
def test_a_step_that_fails_ends_it_and_leaves_no_cluster(failing, expected, code, tmp_path):
    exits = "".join(f"{name}) exit {number};;\n" for name, number in failing.items())
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/calls\ncase $1 in\n{exits}*) ;;\nesac\n', encoding="utf-8")
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([RUN], env=environment, capture_output=True, text=True, check=False)
    assert code == done.returncode
    assert expected == (tmp_path / "calls").read_text(encoding="utf-8").split()
    # Of a step that fails the time is told too; not of what is done for the sake of order only.
    told = re.findall(r"^make (\S+) +\d+:\d\d$", done.stdout, re.MULTILINE)
    assert told == (expected if "test-cluster" not in failing else expected[:-1])
