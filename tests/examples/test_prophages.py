"""Example 01 on a piece of the genome, and the whole demo as a person starts it."""

import gzip
import importlib
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fireworks
from fireworks import Message
from fireworks.core import StoredMessage
from fireworks.errors import FormatError, ParameterError, RunFailed
from fireworks.store import open_store
from fireworks.workflow.outputs import Output

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-prophages"
PIPELINE = fireworks.load_pipeline(f"{EXAMPLE / 'prophages.py'}:prophages")
annotation, candidates, evaluation, folds, models, scoring, training_rows = (
    importlib.import_module(name)
    for name in ("annotation", "candidates", "evaluation", "folds", "models", "scoring", "training_rows")
)
SMALL = {"window": 2000, "block": 40_000, "phage_step": 100, "epochs": 8, "shards": 2}


def genome(length: int = 400_000) -> str:
    """The beginning of the E. coli genome, which holds CP4-6."""
    with gzip.open(EXAMPLE / "data" / "ecoli-k12-mg1655.fa.gz", "rt") as file:
        return "".join(line.strip() for line in file if not line.startswith(">"))[:length]


@pytest.fixture(scope="session")
def piece(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "piece.fa"
    path.write_text(f">piece\n{genome()}\n")
    return path


def run(store, piece, **given):
    sample, runner = given.pop("sample", None), given.pop("runner", "inprocess")
    parameters = {**SMALL, "genome": str(piece), **given}
    return fireworks.run(PIPELINE, parameters, store=store, sample=sample, runner=runner)


def rows(store, end, stage):
    fingerprint = next(result.fingerprint for result in end.stages if result.name == stage)
    manifest = Output(open_store(store), fingerprint).manifest()
    return StoredMessage(open_store(store), manifest.parts, dict(manifest.columns)).read()


def metrics(store, end):
    found = rows(store, end, "evaluation")
    return dict(zip(found["metric"], found["value"].tolist(), strict=True))


@pytest.fixture(scope="session")
def done(tmp_path_factory, piece):
    store = tmp_path_factory.mktemp("store")
    return store, run(store, piece)


def test_a_piece_of_the_genome_runs_to_its_end(done):
    store, end = done
    assert all(stage.rows > 0 for stage in end.stages)
    assert len(end.stages) == 13
    found = metrics(store, end)
    assert found["windows"] == (400_000 - 2000) // 500 + 1
    assert found["auroc"] > 0.9
    assert math.isnan(found["auroc lambda-like"])
    table = rows(store, end, "candidates")
    assert "CP4-6" in list(table["known"][table["phage_like"].numpy()])


def test_the_report_is_a_page_that_needs_no_network_and_a_table(done):
    store, end = done
    files = rows(store, end, "report")
    page, table = files["content"]
    assert list(files["name"]) == ["prophages.html", "candidates.csv"]
    assert b"Regions like NC_001416.1 in piece" in page
    assert b"<script src=" not in page
    assert b"height:max(100vh, 680px); width:100%" in page
    assert table.decode().splitlines()[0] == ",".join(candidates.COLUMNS)
    assert len(table.decode().splitlines()) == 1 + len(rows(store, end, "candidates"))


def test_the_second_run_computes_nothing(done, piece):
    store, _ = done
    assert all(stage.cached for stage in run(store, piece).stages)


def test_the_number_of_shards_changes_no_value(done, piece, tmp_path):
    _, end = done
    other = {stage.name: stage.hash for stage in run(tmp_path, piece, shards=1).stages}
    # Sharded stages are cut into other parts; what reads all of them must see the same rows.
    whole = [stage.name for stage in end.stages if stage.shards == 1]
    assert {stage.name: stage.hash for stage in end.stages if stage.shards == 1} == {
        name: other[name] for name in whole
    }


@pytest.mark.slow
def test_processes_compute_the_same_bytes(piece, tmp_path):
    given = {"shards": 1, "epochs": 2}
    here = run(tmp_path / "here", piece, **given)
    there = run(tmp_path / "there", piece, runner="processes", **given)
    assert [(stage.name, stage.hash) for stage in there.stages] == [(stage.name, stage.hash) for stage in here.stages]


def test_a_genome_without_annotation_has_no_figures_but_candidates(piece, tmp_path):
    end = run(tmp_path, piece, known="null", epochs=2)
    found = metrics(tmp_path, end)
    assert math.isnan(found["auroc"])
    assert math.isnan(found["baseline auroc lambda-like"])
    assert found["auroc of held-out phage"] > 0.8
    assert set(rows(tmp_path, end, "candidates")["known"]) <= {""}


@pytest.mark.parametrize("text", ["", "null"])
def test_known_may_be_given_as_nothing(text):
    assert PIPELINE.convert({"known": text})["known"] is None


def test_a_sample_gives_every_stage_something_to_do(piece, tmp_path):
    end = run(tmp_path, piece, sample=60, epochs=1)
    counts = {stage.name: stage.rows for stage in end.stages}
    assert (counts["windows"], counts["phage-features"], counts["held-out"]) == (60, 60, 60)
    assert counts["report"] == 2


def test_several_phages_and_sequences_of_one_name(tmp_path):
    text = genome(300_000)
    (tmp_path / "host.fa").write_text(f">a\n{text[:130_000]}\n>tiny\nACGT\n>b\n{text[130_000:]}\n")
    lam = gzip.decompress((EXAMPLE / "data" / "lambda.fa.gz").read_bytes()).decode()
    (tmp_path / "one.phage.fa").write_text(lam)
    (tmp_path / "two.phage.fa").write_text(lam)
    end = run(tmp_path, tmp_path / "host.fa", phages=str(tmp_path / "*.phage.fa"), known="", epochs=1)
    own = folds.positions(rows(tmp_path, end, "score-phages"))
    assert own.lengths.tolist() == [48_500, 48_500]
    assert folds.positions(rows(tmp_path, end, "held-out")).names == ["a", "b"]
    page = rows(tmp_path, end, "report")["content"][0]
    assert b"Regions like NC_001416.1 and 1 more in a and 1 more" in page


@pytest.mark.filterwarnings("ignore:no sequence holds a window")
@pytest.mark.parametrize(
    ("length", "error"),
    [(1_500, "must hold a window"), (30_000, r"windows of the bacterium to train on")],
)
def test_a_genome_that_is_too_short_is_refused(tmp_path, length, error):
    (tmp_path / "short.fa").write_text(f">short\n{genome(length)}\n")
    with pytest.raises(RunFailed, match=error):
        run(tmp_path, tmp_path / "short.fa", known=None, shards=1)


def test_an_annotation_without_numbers_is_refused(tmp_path):
    (tmp_path / "known.csv").write_text("name,start,end\nx,here,there\n")
    pipe = annotation.KnownProphages(fireworks.File(tmp_path / "known.csv"))
    with pytest.raises(FormatError, match="whole numbers of bases"):
        len(pipe)


def test_a_wrong_annotation_is_refused_before_anything_is_computed(piece, tmp_path):
    (tmp_path / "known.csv").write_text("name,begin\nx,1\n")
    with pytest.raises(RunFailed, match="stage 'known' failed: known prophages need the columns") as caught:
        run(tmp_path / "store", piece, known=str(tmp_path / "known.csv"))
    assert [stage.name for stage in caught.value.end.stages if stage.status == "succeeded"] == []


def test_known_prophages_read_from_rows_are_those_of_the_file():
    listed = annotation.KnownProphages(fireworks.File(EXAMPLE / "data" / "prophages-ecoli-k12.csv"))
    assert annotation.KnownProphages(None, listed).regions == listed.regions
    assert annotation.KnownProphages(None, annotation.KnownProphages(None)).regions == []


HALVES = {name: 0.5 for kind in ("auroc", "auroc lambda-like") for name in (kind, f"baseline {kind}")}
FOUND = Message({"phage_like": torch.tensor([True, False]), "known": ["DLP12", ""]})


def test_the_demo_says_what_was_reached():
    demo = importlib.import_module("demo")
    assert demo.lines({**HALVES, "auroc of held-out phage": 1.0}, FOUND, "table t  figure f") == [
        "lambda-like AUROC 0.500 (baseline 0.500)  1 candidate, 1 unusual stretch; known prophages hit: DLP12",
        "AUROC 0.500 (baseline 0.500)  table t  figure f",
    ]


def test_the_demo_without_known_prophages_says_what_is_known_instead():
    demo = importlib.import_module("demo")
    unknown = dict.fromkeys(HALVES, math.nan)
    assert demo.lines({**unknown, "auroc of held-out phage": 1.0}, Message(), "table t  figure f") == [
        "0 candidates, 0 unusual stretches",
        "held-out phage AUROC 1.000  table t  figure f",
    ]


def positions(lengths, window=2000, step=500):
    starts = [torch.arange(0, length - window + 1, step) for length in lengths]
    names = [f"s{number}" for number, start in enumerate(starts) for _ in start]
    start = torch.cat(starts)
    return folds.positions(Message({"sequence_id": names, "start": start, "end": start + window}))


@pytest.mark.parametrize("margin", [0, 1, 7000])
def test_no_base_near_a_test_block_is_trained_on(margin):
    plan, windows = folds.Folds(block=20_000), positions([133_000, 9_000, 61_000])
    tested, seen = plan.of_windows(windows), plan.seen_windows(windows, margin)
    assert seen.any(0).all()
    for fold in range(plan.count):
        test = tested == fold
        for sequence in windows.sequence[test].unique():
            here = windows.sequence == sequence
            middle = windows.middle[test & here]
            trained = seen[:, fold] & here
            apart = torch.stack([windows.start[trained] - margin, windows.end[trained] + margin], 1)
            inside = (apart[:, :1] < middle) & (middle < apart[:, 1:])
            assert not inside.any()


def test_blocks_have_at_least_their_size():
    windows = positions([59_900])
    assert folds.Folds(block=20_000).of_windows(windows).unique().tolist() == [0, 1]


def test_phage_windows_that_touch_the_held_out_part_are_not_trained_on():
    windows, plan = positions([50_000], step=50), folds.Folds()
    seen = plan.seen_phages(windows)
    for fold in range(5):
        start, end = fold * 10_000, (fold + 1) * 10_000
        touches = (windows.start < end) & (windows.end > start)
        assert torch.equal(seen[:, fold], ~touches)


def test_both_classes_weigh_half_in_every_fold():
    seen = torch.tensor([[1, 1], [1, 0], [1, 1], [0, 1], [1, 1]]).bool()
    label = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    weight = training_rows._balanced(seen, label)
    assert weight[label == 1].sum(0).tolist() == pytest.approx([2.5, 2.5])
    assert weight[label == 0].sum(0).tolist() == pytest.approx([2.5, 2.5])
    assert torch.equal(weight > 0, seen)
    with pytest.raises(ParameterError, match="phages to train on"):
        training_rows._balanced(seen[2:], label[2:])


def batch(n=64, k=2, n_folds=3):
    generator = torch.Generator().manual_seed(1)
    kmers = torch.rand(n, 4**k, generator=generator)
    weight = (torch.rand(n, n_folds, generator=generator) > 0.4).float()
    return Message(
        {"kmers": kmers / kmers.sum(1, keepdim=True), "label": (torch.arange(n) % 3 == 0).float(), "weight": weight}
    )


@pytest.mark.parametrize("kind", [models.PhageModel, models.Baseline])
def test_heads_train_independently(kind):
    together, table = kind(2, 3), batch()
    list(fireworks.Fit(together, table, models.balanced_loss, optimizer="SGD", lr=0.1, epochs=3, batch_size=64, seed=0))
    for head in range(3):
        alone, own = kind(2, 1), Message(table)
        own["weight"] = table["weight"][:, head : head + 1]
        list(fireworks.Fit(alone, own, models.balanced_loss, optimizer="SGD", lr=0.1, epochs=3, batch_size=64, seed=0))
        torch.testing.assert_close(together(table)["logits"][:, head], alone(own)["logits"][:, 0])


def test_the_phage_model_standardises_by_what_each_head_was_trained_on():
    model, table = models.PhageModel(2, 3), batch()
    model.slopes.data.fill_(1.0)
    model.train()
    model(table)
    model.eval()
    both = torch.zeros(64, model.columns).index_add_(1, models.strand_blind(2), table["kmers"]).sqrt()
    seen = both[table["weight"][:, 1] > 0]
    wanted = ((both - seen.mean(0)) / (seen.var(0, correction=0) + 1e-5).sqrt()).sum(1)
    torch.testing.assert_close(model(table)["logits"][:, 1], wanted, atol=1e-4, rtol=1e-4)


def test_a_state_carries_what_was_gathered():
    model, table = models.PhageModel(2, 3), batch()
    list(fireworks.Fit(model, table, models.balanced_loss, optimizer="SGD", lr=0.1, epochs=1, batch_size=16, seed=0))
    other = models.PhageModel(2, 3)
    other.set_state(model.get_state())
    other.eval()
    assert torch.equal(other(table)["logits"], model(table)["logits"])


def test_a_fitted_model_gathers_nothing_more():
    fit = fireworks.Stage(fireworks.Fit(models.PhageModel(2, 3), batch(), models.balanced_loss), name="train")
    assert fit["model"](input=batch()).training is False


def test_both_strands_are_one():
    # AA and TT, AC and GT, AT with itself.
    numbers = models.strand_blind(2).tolist()
    assert (numbers[0], numbers[1], len(set(numbers))) == (numbers[15], numbers[11], 10)


def test_auroc_counts_pairs():
    score, positive = torch.tensor([3.0, 1.0, 1.0, 0.0]), torch.tensor([True, True, False, False])
    assert evaluation.auroc(score, positive) == 3.5 / 4
    assert math.isnan(evaluation.auroc(score, positive & False))


def test_smoothing_keeps_to_a_sequence():
    windows = positions([10_000, 10_000])
    score = (windows.sequence == 0).double()[:, None].expand(-1, 2)
    assert torch.equal(scoring.smooth(windows, score, 2000), score)
    peak = torch.zeros(len(windows.start), 1)
    peak[4] = 1
    smoothed = scoring.smooth(windows, peak, 1000)[:, 0]
    assert int(smoothed.argmax()) == 4
    assert float(smoothed[4]) > float(smoothed[5]) > float(smoothed[10]) > 0 == float(smoothed[11])


def test_the_threshold_lets_symmetric_noise_through_nowhere():
    noise = torch.arange(-500, 501) / 512
    assert candidates.threshold(noise) == math.inf
    assert 1 < candidates.threshold(torch.cat([noise, torch.full((50,), 3.0)])) <= 3


@pytest.mark.parametrize(
    ("given", "said"),
    [("genom=x", "no parameter 'genom'. Did you mean 'genome'?"), ("foo", "NAME=VALUE, but got 'foo'. Write genome=")],
)
def test_the_demo_answers_a_slip_of_the_pen_in_one_line(given, said):
    command = [sys.executable, EXAMPLE / "demo.py", given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert 1 == done.returncode
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line


@pytest.mark.slow
def test_the_demo_beats_the_baseline_and_repeats_from_the_cache(tmp_path):
    folder = tmp_path / "prophages"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".fireworks", "results", "__pycache__"))
    first, second = (demo(folder), demo(folder))
    four, ten = first.stdout.splitlines()[-2:]
    own, baseline = map(float, re.match(r"lambda-like AUROC (0\.\d{3}) \(baseline (0\.\d{3})\)  ", four).groups())
    assert own >= max(baseline, 0.99)
    line = re.fullmatch(r"AUROC (0\.\d{3}) \(baseline (0\.\d{3})\)  table (\S+)  figure (\S+)", ten)
    assert float(line[1]) >= max(float(line[2]), 0.97)
    assert (folder / line[3]).read_text().startswith(",".join(candidates.COLUMNS))
    assert (folder / line[4]).stat().st_size > 1e6
    assert second.stdout == first.stdout
    assert second.stderr.count("from the cache") == 13


def demo(folder):
    command = [sys.executable, "demo.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=240)
