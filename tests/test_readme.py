"""The README does what it says: its files are written, its commands run, in order. Neighbours: README.md, Makefile."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Those of its section on clusters are for tests/cluster.
HERE = re.sub(r"^## On a Kubernetes cluster\n.*?(?=^## )", "", README, flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", HERE, re.MULTILINE | re.DOTALL)
COMMANDS = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if line[:2] == "$ "]
FIREWORKS = [sys.executable, "-c", "import sys; from fireworks.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project folder with the examples' data and the files that the README shows."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", folder / "examples")
    for kind, text in BLOCKS:
        name = re.match(r"# (\S+\.py)\n", text)
        if kind == "python" and name:
            (folder / name[1]).write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join(text for kind, text in BLOCKS if kind == "toml"), encoding="utf-8")
    return folder


def call(arguments, folder):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIREWORKS")}
    done = subprocess.run(
        arguments, cwd=folder, env=environment | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_all_commands_are_of_a_known_kind():
    assert {command.split()[0] for command in COMMANDS} == {"make", "source", "fireworks"}


def test_the_commands_run_one_after_the_other(place):
    for command in COMMANDS:
        verb, *arguments = shlex.split(command)
        if verb == "fireworks":
            call([*FIREWORKS, *arguments], place)
    assert (place / "features.parquet").stat().st_size > 0


def test_the_files_run_too(place):
    shown = call([sys.executable, "again.py"], place).stdout
    assert "('features', " in shown


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_knows_the_targets(command):
    """CI runs the targets themselves."""
    call([*shlex.split(command), "--dry-run"], ROOT)
