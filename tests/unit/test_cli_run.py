"""What `fireworks run` says at its end: where to look on. Neighbours: `fireworks.cli.run`, `options`."""

import pytest

from fireworks.cli import main
from fireworks.cli.options import other_store
from fireworks.store import open_store

PIPELINE = """
import torch

import fireworks
from fireworks import Message, Pipe, Stage


class Count(Pipe):
    def __init__(self, wrong=False):
        super().__init__(None)
        self.wrong = wrong

    def __iter__(self):
        if self.wrong:
            print("so far so good")
            raise ValueError("no more numbers")
        yield Message({"x": torch.tensor([1])})


@fireworks.pipeline
def count(wrong: bool = False):
    return Stage(Count(wrong), name="count")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.fireworks]\n")
    (folder / "counting.py").write_text(PIPELINE)
    monkeypatch.delenv("FIREWORKS_STORE", raising=False)
    monkeypatch.delenv("FIREWORKS_PROFILE", raising=False)
    return folder


@pytest.fixture
def say(project, capfd, monkeypatch):
    """Runs a command in a folder; gives exit code and the last lines of stderr."""

    def call(folder, *arguments):
        monkeypatch.chdir(folder)
        code = main(list(arguments))
        return code, capfd.readouterr().err.splitlines()

    return call


def test_the_end_of_a_run_says_how_to_find_it_only_where_it_is_not_found_anyway(say, project, tmp_path):
    code, err = say(project, "run", "counting.py:count")
    assert code == 0
    assert "succeeded: 1 stage, 0 cached" in err[-1]
    code, err = say(tmp_path, "run", "project/counting.py:count")
    hint = "fireworks status --store project/.fireworks/store"
    assert (code, err[-1]) == (0, f"look at it with: {hint}")
    assert say(tmp_path, *hint.split()[1:])[0] == 0


@pytest.mark.parametrize(("place", "store"), [(".", ""), ("..", " --store project/.fireworks/store")])
def test_a_failed_run_says_which_logs_to_read(say, project, place, store):
    code, err = say(project / place, "run", str(project / "counting.py:count"), "-p", "wrong=true")
    assert code == 1
    assert err[-1].startswith("error: stage 'count' failed: ")
    assert "no more numbers" in err[-1]
    assert err[-1].endswith(f" See: fireworks logs count{store}")
    assert say(project / place, *err[-1].partition("See: fireworks ")[2].split())[0] == 0


def test_workers_of_one_process_are_refused(say, project):
    code, err = say(project, "run", "counting.py:count", "--workers", "2")
    assert (code, len(err)) == (1, 1)
    assert "--workers needs processes, but the runner is 'inprocess'. Add --runner processes." in err[0]


def test_workers_of_the_profile_wait_for_processes(say, project):
    (project / "pyproject.toml").write_text("[tool.fireworks]\nworkers = 2\n")
    assert say(project, "run", "counting.py:count")[0] == 0


def test_a_store_is_named_as_a_shell_takes_it(project, monkeypatch, tmp_path):
    monkeypatch.chdir(project)
    assert other_store(open_store(project / "my store")) == "'my store'"
    assert other_store(open_store(tmp_path / "far")) == str((tmp_path / "far").resolve())
    assert other_store(open_store("memory://here")) is None
    monkeypatch.setenv("FIREWORKS_STORE", "my store")
    assert other_store(open_store(project / "my store")) is None
