"""Ready-made stages through the entrypoint, as their pods start them. Neighbour: `workflow.operating`."""

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
import torch

import fireworks
from fireworks import File
from fireworks.operators import fasta_windows, predict, report, train_torch
from fireworks.store import open_store
from fireworks.toolbox import FilePipe
from fireworks.workflow.history import RunFolder, list_runs
from fireworks.workflow.stage import main
from waiting import wait_until

DATA = Path(__file__).parents[2] / "examples" / "01-prophages" / "data"
PROPHAGES = (DATA / "prophages-ecoli-k12.csv").as_uri()
TRAIN = [
    *("--input", f"data={PROPHAGES}", "--param", "features=start,end", "--param", "target=lambdoid"),
    *("--param", "task=classification", "--param", "epochs=12"),
]


@pytest.fixture
def store(tmp_path):
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def pod(store, tmp_path):
    """Runs an operator in a process and a folder of its own; gives its facts, or with a code its stderr."""
    folder = tmp_path / "pod"
    folder.mkdir()

    def call(name, *arguments, code=0, wait=True, **environment):
        facts = tmp_path / "facts" / name
        command = [sys.executable, "-P", "-m", "fireworks.workflow.stage", "--operator", name, *arguments]
        command += ["--output", store.url, "--facts", str(facts)]
        environ = {**os.environ, "TMPDIR": str(folder), "HOME": str(folder), **environment}
        started = subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True)
        if not wait:
            return started
        _, said = started.communicate()
        assert code == started.returncode, said
        # Torch keeps a cache of its own.
        assert [] == [path.name for path in folder.iterdir() if not path.name.startswith("torchinductor")]
        return said if code else {path.name: path.read_text(encoding="utf-8") for path in facts.iterdir()}

    return call


@pytest.fixture
def here(store, tmp_path, monkeypatch, capfd):
    """The same in this process, which is quicker."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    handler = signal.getsignal(signal.SIGTERM)

    def call(name, *arguments, code=0):
        facts = tmp_path / "facts" / name
        found = main(["--operator", name, *arguments, "--output", store.url, "--facts", str(facts)])
        said = capfd.readouterr().err
        assert code == found, said
        return said if code else {path.name: path.read_text(encoding="utf-8") for path in facts.iterdir()}

    yield call
    signal.signal(signal.SIGTERM, handler)


def rows(facts):
    return FilePipe(File(f"{facts['url']}manifest.json"))[:]


def test_a_model_is_trained_used_and_drawn(pod, store, tmp_path):
    trained = pod("train-torch", *TRAIN)
    assert ("12", list(range(12))) == (trained["rows"], rows(trained)["epoch"].tolist())
    scores, page = tmp_path / "scores.csv", tmp_path / "page.html"
    used = ("predict", "--input", PROPHAGES, "--input", f"model={trained['url']}", "--file", scores.as_uri())
    predicted = pod(*used)
    with scores.open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [str(one) for one in rows(predicted)["prediction"]] == [one["prediction"] for one in written]
    assert {"name", "start", "end", "lambdoid", "prediction", "scores"} == set(written[0])
    params = ("--params", '{"columns": ["start"], "colour": "prediction", "kind": "histogram", "title": "{a} \\"b\\""}')
    drawn = pod("report", *params, "--input", predicted["url"], "--file", page.as_uri())
    assert "Plotly" in page.read_text(encoding="utf-8")
    assert page.read_bytes() == rows(drawn)["content"][0]
    # The same again finds everything, and writes its file again.
    scores.unlink()
    assert predicted == pod(*used)
    assert len(written) + 1 == len(scores.read_text(encoding="utf-8").splitlines())
    runs = [RunFolder(store, run) for run in list_runs(store)]
    assert ["succeeded"] * 4 == [run.end.status for run in runs]
    assert [True, False, False, False] == [run.attempts()[0].end.cached for run in runs]
    assert {"operator"} == {run.record.runner for run in runs}


def test_in_python_the_same_stages_give_the_same_rows(pod, tmp_path):
    @fireworks.pipeline
    def lambdoid():
        data = File(PROPHAGES)
        fit = train_torch(data, ["start", "end"], "lambdoid", task="classification", epochs=12)
        return [predict(data, fit["model"]), report(fit, ["loss"], against="epoch")]

    results = fireworks.run(lambdoid, store=tmp_path / "here")
    trained = pod("train-torch", *TRAIN)
    predicted = pod("predict", "--input", PROPHAGES, "--input", f"model={trained['url']}")
    assert results["train-torch"].read()["loss"].tolist() == rows(trained)["loss"].tolist()
    assert torch.equal(results["predict"].read()["scores"], rows(predicted)["scores"])
    # The state edge of a graph and the URL of an output lead to the same model.
    alone = fireworks.run(predict, {"data": PROPHAGES, "model": f"{trained['url']}manifest.json"}, store=tmp_path / "a")
    hashes = {stage.name: stage.hash for stage in results.stages}
    assert hashes["predict"] == alone.stages[0].hash


def test_windows_of_a_genome(here):
    genome = (DATA / "lambda.fa.gz").as_uri()
    facts = here("fasta-windows", "--input", genome, "--param", "window=1000", "--param", "kmers=3")
    found = rows(facts)
    expected = fasta_windows(File(DATA / "lambda.fa.gz"), window=1000, kmers=3)[:]
    assert (str(len(expected)), (len(expected), 64)) == (facts["rows"], tuple(found["kmers"].shape))
    assert torch.equal(expected["kmers"], found["kmers"])
    assert list(expected["sequence_id"]) == list(found["sequence_id"])


def test_tables_go_through_every_form(here, tmp_path, monkeypatch):
    expected = pd.read_csv(DATA / "prophages-ecoli-k12.csv")
    database = tmp_path / "target.sqlite"
    source = PROPHAGES
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    for ending in ("parquet", "arrow", "csv"):
        target = (tmp_path / f"rows.{ending}").as_uri()
        facts = here("message-convert", "--input", source, "--file", target)
        source = target
    here("message-convert", "--input", facts["url"], "--param", "to_table=prophages")
    back = [
        here("message-convert", "--param", "from_table=prophages"),
        here("message-convert", "--input", database.as_uri(), "--param", "from_table=prophages"),
        here("sql-extract", "--param", 'query=SELECT * FROM prophages WHERE "end" > :least', "--param",
            'values={"least": 0}', "--input", database.as_uri()),
    ]  # fmt: skip
    for found in map(rows, back):
        assert expected.to_dict("list") == {name: list(found[name]) for name in expected}


def test_a_database_is_asked_every_time(here, tmp_path, monkeypatch):
    path = tmp_path / "live.sqlite"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    for count in (1, 2):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS seen (n INTEGER)")
            connection.execute("INSERT INTO seen VALUES (1)")
        facts = here("sql-extract", "--param", "query=SELECT n FROM seen")
        assert str(count) == facts["rows"]


def test_a_pod_that_is_stopped_is_taken_up_where_it_was(pod, store):
    long = [*TRAIN[:-1], "epochs=2000"]
    expected = pod("train-torch", *long)
    store.delete([info.key for info in store.list("outputs/")])
    stopped = 0
    # Stopped before its first batch, while torch is imported, it has nothing to save.
    while not any(info.key.endswith("/done") for info in store.list("checkpoints/")):
        started = pod("train-torch", *long, wait=False)
        wait_until(lambda: under_way(store), "the attempt must have begun")
        stopped += 1
        time.sleep(2 * stopped)
        started.send_signal(signal.SIGTERM)
        started.communicate()
        assert 143 == started.returncode
    again = pod("train-torch", *long)
    assert (expected["hash"], expected["url"]) == (again["hash"], again["url"])
    assert [] == list(store.list("checkpoints/"))
    ends = [RunFolder(store, run).end for run in list_runs(store)]
    assert [*["failed"] * stopped, "succeeded", "succeeded"] == sorted(end.status for end in ends)


def under_way(store):
    return any(one.end is None for run in list_runs(store) for one in RunFolder(store, run).attempts())


@pytest.mark.parametrize("when", ["attempt", "commit"])
def test_a_pod_that_is_killed_leaves_nothing_that_matters(here, store, when):
    expected = here("fasta-windows", "--input", (DATA / "lambda.fa.gz").as_uri())
    if when == "attempt":
        store.delete([info.key for info in store.list("outputs/")])
    else:
        store.delete([info.key for info in store.list("outputs/") if info.key.endswith("manifest.json")])
    assert expected == here("fasta-windows", "--input", (DATA / "lambda.fa.gz").as_uri())


@pytest.fixture
def say(store, capsys, monkeypatch, tmp_path):
    """Runs the entrypoint here, for what ends before anything is computed; gives what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments):
        assert 1 == main(["--operator", *arguments])
        return capsys.readouterr().err

    yield call
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fasta-window", "--output", "S"], "must be one of fasta-windows, .* Did you mean 'fasta-windows'"),
        (["report", "--input", PROPHAGES, "--param", "columns=start"], "an operator needs --output"),
        (["predict", "--output", "S", "--input", "dta=x"], "one of predict's, but got 'dta'. Did you mean 'data'"),
        (["report", "--output", "S", "--input", PROPHAGES], "needs a value for 'columns'"),
        (["report", "--output", "S", "--params", "[1]"], "--params must be a JSON object, but got a list"),
        (["report", "--output", "S", "--params", "{columns: 1}"], "--params must be a JSON object, but: Expecting"),
        (["report", "--output", "S", "--param", "columns"], "--param must be NAME=VALUE, but got 'columns'"),
        (["report", "--output", "S", "--param", "colums=x"], "Did you mean 'columns'"),
        (["message-convert", "--output", "S"], "neither data nor from_table is given"),
        (["message-convert", "--output", "S", "--param", "from_table=a b"], "from_table must be a table's name"),
        (["fasta-windows", "--output", "S", "--input", "file:///nowhere/x.fa"], "nowhere"),
        (
            ["fasta-windows", "--output", "S", "--input", PROPHAGES, "--param", "window=many"],
            "'window' must be a whole",
        ),
        (["fasta-windows", "--output", "ftp://x", "--input", PROPHAGES], "must begin with one of"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(say, store, arguments, message):
    said = say(*(store.url if word == "S" else word for word in arguments))
    assert 1 == len(said.splitlines())
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(said)
    assert [] == list_runs(store)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--param", "query=postgresql://me:hunter2@host/x"],
        ["--params", '{"query": "1", "values": {"a": "postgresql://me:hunter2@host/x"}}'],
        ["--input", "database=https://me:hunter2@host/x", "--param", "query=1"],
        ["--param", "query=1", "--file", "s3://me:hunter2@bucket/x.csv"],
    ],
)
def test_a_password_is_refused_and_not_repeated(say, store, arguments):
    said = say("sql-extract", "--output", store.url, *arguments)
    assert "one holds a URL with a password. Put the URL of a database into a Secret" in said
    assert "hunter2" not in said
    assert [] == list_runs(store)


def test_errors_while_it_runs_are_recorded(here, store, tmp_path):
    said = here("report", "--input", PROPHAGES, "--param", "columns=ends", code=1)
    assert "must be one of end, lambdoid, name, start, but got 'ends'. Did you mean 'end'" in " ".join(said.split())
    end = RunFolder(store, list_runs(store)[0]).end
    assert ("failed", "failed") == (end.status, end.stages[0].status)
    assert "ends" in end.stages[0].cause
    # A file that cannot be written fails the run, although its rows are there.
    target = (tmp_path / "x.xlsx").as_uri()
    assert "--file must end in .arrow, .csv, .parquet" in here(
        "message-convert", "--input", PROPHAGES, "--file", target, code=1
    )
    assert "failed" == RunFolder(store, list_runs(store)[0]).end.status


def test_no_database_says_what_to_set(here):
    assert "Set it, in a pod by a Secret" in here("sql-extract", "--param", "query=SELECT 1", code=1)
