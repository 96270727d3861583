"""Example 03: a grid of parameters, and what its README says of it."""

import csv
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fireworks
from fireworks.core import StoredMessage
from fireworks.store import open_store
from fireworks.testing.runners import output_hashes
from fireworks.workflow import cut
from fireworks.workflow.history import RunFolder, latest_run, list_runs
from fireworks.workflow.outputs import Output

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "03-grid"
PIPELINE = fireworks.load_pipeline(f"{EXAMPLE / 'grid.py'}:grid")
chart, pieces = (importlib.import_module(name) for name in ("chart", "pieces"))
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line[2:]) for line in README.splitlines() if line.startswith("$ fireworks ")]
FIREWORKS = [sys.executable, "-c", "import sys; from fireworks.cli import main; sys.exit(main())"]
FOUR = {"lengths": "500,1000", "ks": "2,3"}


def rows(store, end, stage):
    fingerprint = next(result.fingerprint for result in end.stages if result.name == stage)
    manifest = Output(open_store(store), fingerprint).manifest()
    return StoredMessage(open_store(store), manifest.parts, dict(manifest.columns)).read()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return store, fireworks.run(PIPELINE, FOUR, store=store)


def test_each_point_is_a_stage_and_one_reads_them_all(done):
    plan = cut(PIPELINE, FOUR)
    points = [f"train-{length}-{k}" for length in (500, 1000) for k in (2, 3)]
    assert points == [stage.name for stage in plan.stages if stage.fits]
    assert {"pieces-500", "pieces-1000", *points} == set(plan.upstream("scores"))
    store, end = done
    table = rows(store, end, "scores")
    assert [(500, 2), (500, 3), (1000, 2), (1000, 3)] == list(
        zip(table["length"].tolist(), table["k"].tolist(), strict=True)
    )
    assert table["auroc"].min() > 0.65
    assert [540, 540, 240, 240] == table["held_out"].tolist()


def test_the_report_is_a_page_that_fills_its_window_and_frames_the_best(done):
    store, end = done
    [page] = rows(store, end, "report")["content"]
    assert b"<script src=" not in page
    assert b"height:100vh; width:100%" in page
    assert b"best: words of 3 in 1,000 bases" in page


def test_another_point_runs_itself_and_the_gathering(done, tmp_path):
    """Put in front of those that are there: nothing depends on how many came before."""
    store, _ = done
    more = FOUR | {"ks": "1,2,3"}
    end = fireworks.run(PIPELINE, more, store=store)
    ran = [stage.name for stage in end.stages if not stage.cached]
    assert ["train-500-1", "train-1000-1", "scores", "report"] == ran
    assert output_hashes(fireworks.run(PIPELINE, more, store=tmp_path)) == output_hashes(end)


def test_a_point_given_twice_is_one_point():
    once, twice = (cut(PIPELINE, {"lengths": "500", "ks": ks}) for ks in ("2", "2,2"))
    assert once.stages == twice.stages


def test_no_window_lies_in_a_block_that_is_held_out_and_in_another():
    starts = torch.arange(0, 40_000, 100)
    windows = fireworks.Message({"start": starts, "end": starts + 500, "bases": torch.zeros(400, 1).byte()})
    table = pieces.Pieces(windows, windows)[:]
    # Of the 40 windows that begin in a block, 4 end in the next.
    assert 2 * 10 * 36 == len(table)
    assert 2 * 2 * 36 == int((table["weight"] == 0).sum())
    for label in (0, 1):
        assert len(table) / 2 == pytest.approx(float(table["weight"][table["label"] == label].sum()))


def test_auroc_counts_pairs():
    score, positive = torch.tensor([3.0, 1.0, 1.0, 0.0]), torch.tensor([True, True, False, False])
    assert 3.5 / 4 == chart.auroc(score, positive)


RANDOM = """
import fireworks, torch
from fireworks import Fit, Message, PyTorch_Model, Stage

class Net(PyTorch_Model):
    def __init__(self, width, input=None):
        self._width = width
        super().__init__(input=input)
    def init_default_components(self):
        self.components["layer"] = torch.nn.Linear(1, self._width)
    def forward(self, message):
        return message

def loss(message):
    return message["x"].sum()

@fireworks.pipeline
def widths(widths: list[int], reset: bool):
    stages = []
    for width in widths:
        if reset:
            torch.manual_seed(torch.initial_seed())
        stages.append(Stage(Fit(Net(width), Message({"x": [1.0]}), loss), name=f"train-{width}"))
    return stages
"""


@pytest.mark.parametrize(("reset", "equal"), [(True, True), (False, False)])
def test_a_model_that_starts_from_random_numbers_needs_its_own(tmp_path, reset, equal):
    """What the README says of it."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "drawn_widths.py").write_text(RANDOM)
    found = fireworks.load_pipeline(f"{tmp_path / 'drawn_widths.py'}:widths")
    few, more = (cut(found, {"widths": widths, "reset": reset}) for widths in ([2, 3], [1, 2, 3]))
    assert equal == (few.stage("train-3").recipe == more.stage("train-3").recipe)


@pytest.mark.slow
def test_the_readme_s_commands_run_and_its_table_is_what_comes_out(done, tmp_path):
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "grid", ignore=shutil.ignore_patterns(".fireworks", "*.html")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIREWORKS")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    told = {}
    assert ["run", "get", "get", "run", "run", "run", "submit"] == [words[1] for words in COMMANDS]
    for words in COMMANDS[:-1]:
        call = subprocess.run(
            [*FIREWORKS, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert call.returncode == 0, call.stderr
        told[" ".join(words)] = call.stdout + call.stderr
    first, _, _, second, third, apart = told.values()
    assert "20 stages, 0 cached" in first
    assert "23 stages, 18 cached" in second
    assert "14 stages, 9 cached" in third
    assert "8 stages, 0 cached" in apart
    there = open_store(folder / "there")
    assert output_hashes(done[1]) == output_hashes(RunFolder(there, latest_run(there)).end)
    assert (folder / "grid.html").stat().st_size > 1e6
    shown = re.findall(r"^\| ([\d,]+) \|(.*)\|$", README, re.MULTILINE)
    table = {int(length.replace(",", "")): re.findall(r"0\.\d\d", cells) for length, cells in shown}
    assert table == computed(folder, environment)


def computed(folder, environment):
    """Length → the AUROC of each k, of the first run."""
    run_id = list_runs(open_store(folder / ".fireworks" / "store"))[-1]
    subprocess.run([*FIREWORKS, "get", run_id, "scores", "-o", "s.csv"], cwd=folder, env=environment, check=True)
    found: dict[int, list[str]] = {}
    with (folder / "s.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(int(row["length"]), []).append(f"{float(row['auroc']):.2f}")
    return found
