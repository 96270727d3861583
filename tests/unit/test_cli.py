"""The command line as a whole: help, start, errors, exit codes. Neighbour: `fireworks.cli`."""

import json
import os
import subprocess
import sys
from importlib import import_module

import click
import pytest

from fireworks.cli import VERBS, main
from fireworks.cli.drawing import counted, duration, size
from fireworks.cli.options import parse_parameters
from fireworks.cli.reporting import report
from fireworks.errors import CutError, ParameterError, RunFailed, StoreUnavailable

COMMAND = [sys.executable, "-c", "import sys; from fireworks.cli import main; sys.exit(main())"]


@pytest.fixture
def say(capfd):
    """Runs a command; gives exit code, stdout, stderr."""

    def call(*arguments):
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_help_lists_every_verb_with_the_line_that_the_verb_itself_gives(say):
    code, out, err = say("--help")
    assert (code, err) == (0, "")
    for verb, line in VERBS.items():
        assert f"{verb:<9}{line}" in out
        assert import_module(f"fireworks.cli.{verb}").command.get_short_help_str(200).rstrip(".") == line.rstrip(".")


def test_without_a_verb_help_is_shown(say, monkeypatch):
    expected = say("--help")
    assert expected == say()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_prints_json(say, verb):
    code, out, _ = say(verb, "--help")
    assert code == 0
    assert f"Usage: fireworks {verb}" in out
    assert "--json" in out


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["status", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    script = (
        "import sys; from fireworks.cli import main; main(sys.argv[1:]);"
        "print(*sorted({'torch', 'numpy', 'pandas', 'pyarrow', 'rich', 'obstore'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def test_help_is_there_at_once():
    """0.15 s of user and system time, with a margin for a busy machine; benchmarks/startup.py measures it well."""
    import resource

    times = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) <= 0.2


def test_version(say):
    code, out, _ = say("version")
    assert code == 0
    assert out.startswith("fireworks ")
    assert {"fireworks", "python", "torch"} == set(json.loads(say("version", "--json")[1]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "there is no command 'lst'. Did you mean 'list'? See `fireworks --help`."),
        (["run"], "Missing argument 'MODULE:PIPELINE'. See `fireworks run --help`."),
        (["list", "--limt", "3"], "No such option '--limt'."),
        (["run", "x:y", "--runner", "process"], "'process' is not one of 'inprocess', 'processes', 'container'."),
        (["run", "x:y", "--sample", "0"], "0 is not in the range x>=1"),
        (["run", "x:y", "-p", "window"], "a parameter must be given as NAME=VALUE, but got 'window'."),
        (["run", "x:y", "-p", "a=1", "-p", "a=2"], "a parameter must be given once, but 'a' is given twice."),
        (["list", "--store", "gopher://x"], "a store's URL must begin with one of"),
        (["list", "--profile", "nowhere"], "[tool.fireworks.profile.nowhere]"),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_1(say, arguments, message):
    code, out, err = say(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_an_unreachable_store_is_exit_code_75_after_seconds(say, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr("fireworks.cli.options._PATIENCE_S", 0.5)
    code, out, err = say("list", "--store", "s3://bucket")
    assert (code, out) == (75, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ParameterError("two\n lines"), 1, ["error: two lines"]),
        (StoreUnavailable("away"), 75, ["error: away"]),
        (CutError(["first", "second"]), 1, ["error: first", "error: second"]),
        (RunFailed("stage 'a' failed"), 1, ["error: stage 'a' failed"]),
        (click.Abort(), 130, ["interrupted"]),
    ],
)
def test_each_kind_of_error_has_its_exit_code(capsys, error, code, lines):
    assert code == report(error)
    assert lines == capsys.readouterr().err.splitlines()


def test_a_run_that_failed_for_want_of_the_store_may_be_tried_again(capsys):
    error = RunFailed("stage 'a' failed: away")
    error.__cause__ = StoreUnavailable("away")
    assert report(error) == 75


@pytest.mark.parametrize("wanted", [False, True])
def test_a_bug_says_where_it_is_and_shows_its_traceback_on_demand(capsys, monkeypatch, wanted):
    monkeypatch.setenv("FIREWORKS_TRACEBACK", "1" if wanted else "")
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        assert report(error) == 1
    shown = capsys.readouterr().err
    assert f"error: ZeroDivisionError: division by zero ({__file__}:" in shown
    assert wanted == ("Traceback (most recent call last)" in shown)


def test_nobody_reading_is_nothing_to_complain_about():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as out:
        done = subprocess.run([*COMMAND, "--help"], stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_parameters_may_hold_equals_signs():
    assert parse_parameters(["url=a=b", "empty="]) == {"url": "a=b", "empty": ""}


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (999, "999 B"), (1_500_000, "1.5 MB"), (2e15, "2000.0 TB")])
def test_sizes(value, text):
    assert text == size(value)


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (1200, "1,200 rows")])
def test_counts(number, text):
    assert text == counted(number, "row")


@pytest.mark.parametrize(("value", "text"), [(0.25, "0.2 s"), (75, "1 min 15 s"), (7325, "2 h 02 min")])
def test_durations(value, text):
    assert text == duration(value)
