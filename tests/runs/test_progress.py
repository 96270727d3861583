"""What a person sees of a run: on a terminal a tree that is redrawn, elsewhere lines."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fireworks.records import StageResult
from fireworks.workflow.progress import LiveTree, PlainLines, Silent, display

TINY = Path(__file__).parents[1] / "projects" / "tiny"
COMMAND = [str(Path(sys.executable).with_name("fireworks")), "run", "tiny.py:tiny"]


def on_terminal(command, folder, limit_s=120):
    """Run a command on a terminal of its own; everything that it wrote there, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    written = b""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                written += os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
    else:
        process.kill()
    os.close(ours)
    return written.decode(errors="replace"), process.wait()


@pytest.mark.parametrize("runner", ["inprocess", "processes"])
def test_the_live_tree_on_a_terminal(runner, tmp_path):
    project = shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks"))
    written, code = on_terminal([*COMMAND, "--runner", runner], project)
    assert 0 == code, written
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    last = plain[plain.rindex("raw ") :]
    assert all(f"{name} " in last and "✓" in last for name in ("raw", "features", "train", "score", "report"))
    assert "1,000 rows" in last
    assert "the table has 1000 rows" in plain
    assert "[2m" not in plain
    # Redrawn in place: a tree that feeds on itself would have written megabytes.
    assert len(written) < 200_000
    logs = list((project / ".fireworks").rglob("*.log"))
    assert [" the table has 1000 rows\n"] == [path.read_text().partition("Z")[2] for path in logs]


FAILING = """
import fireworks
from fireworks import HookedPassThroughPipe, Message, Stage

class Odd(HookedPassThroughPipe):
    random_access = True
    def _getitem_hook(self, message):
        print("[/red] printed")
        raise ValueError("of [red] and [/blue], [3, 4]")

@fireworks.pipeline
def odd():
    return Stage(Message({"x": [1.0]}) >> Odd(), name="odd")
"""


@pytest.mark.parametrize("runner", ["inprocess", "processes"])
def test_brackets_of_a_stage_that_fails_are_shown_on_a_terminal_as_they_are(runner, tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "odd.py").write_text(FAILING)
    written, code = on_terminal([*COMMAND[:2], "odd.py:odd", "--runner", runner], tmp_path)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    assert 1 == code, plain
    assert "MarkupError" not in plain
    words = " ".join(plain.split())
    assert "[/red] printed" in words
    assert "odd ✗ failed: ValueError: of [red] and [/blue], [3, 4]" in words
    assert "error: stage 'odd' failed: ValueError: of [red] and [/blue], [3, 4]" in words


def result(**changes):
    return StageResult(**({"name": "a", "status": "succeeded", "rows": 12345, "seconds": 1.25} | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "  a: 12,345 rows, 1.2 s\n"),
        ({"cached": True}, "  a: 12,345 rows, from the cache\n"),
        ({"rows": 1}, "  a: 1 row, 1.2 s\n"),
        ({"rows": 0}, "  a: 0 rows, 1.2 s\n"),
        ({"status": "failed", "cause": "no"}, "  a: failed: no\n"),
        ({"nondeterministic": True}, "  a: 12,345 rows, 1.2 s, nondeterministic: another attempt's bytes differ\n"),
    ],
)
def test_plain_lines(changes, expected, capsys):
    PlainLines().stage_finished(result(**changes))
    assert expected == capsys.readouterr().err


def test_the_display_fits_where_stderr_goes(monkeypatch):
    assert isinstance(display(quiet=True), Silent)
    assert isinstance(display(), PlainLines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(display(), LiveTree)
