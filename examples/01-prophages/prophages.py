"""Example 01: given one phage genome, where are the phage genes in a bacterial genome?

    fireworks run examples/01-prophages/prophages.py:prophages

Parameters:
    phages: FASTA of one phage genome or several, plain or gzipped; may be a glob.
    genome: FASTA of the bacterium, one sequence or several.
    known: Table of known prophages (name, start, end, lambdoid), used for figures only; null if there is none.
    window: Bases scored together; also the width of the smoothing.
    step: Bases from one window of the bacterium to the next; phage_step: the same of the phages.
    k: Length of the k-mers that are counted.
    block: Bases that are held out together.
    epochs: Passes over the training rows.
    shards: Parts that windows, features and scores are computed in.
    title: Of the figure; by default made of the sequences' names.
"""

from typing import Any

import fireworks
from annotation import KnownProphages
from candidates import Candidates
from evaluation import Evaluation
from fireworks import File, Fit, Stage
from fireworks.toolbox import FastaPipe, KmerPipe, WindowPipe
from folds import Folds
from models import TO_THE_OPTIMUM, Baseline, PhageModel, balanced_loss
from report import Report
from scoring import HeldOut, HeldOutPhages
from training_rows import TrainingRows

# With a seed, so that the order of rows, and what the README says, depends on nothing else.
SGD: dict[str, Any] = {"optimizer": "SGD", "lr": 0.01, "momentum": 0.9, "batch_size": 512, "seed": 0}


@fireworks.pipeline
def prophages(
    phages: File = File("data/lambda.fa.gz"),
    genome: File = File("data/ecoli-k12-mg1655.fa.gz"),
    known: File | None = File("data/prophages-ecoli-k12.csv"),
    window: int = 4000,
    step: int = 500,
    phage_step: int = 50,
    k: int = 5,
    block: int = 100_000,
    epochs: int = 30,
    shards: int = 4,
    title: str = "",
) -> tuple[Stage, ...]:
    """Score every window by a model that did not see it, and list the stretches that look like the phages."""
    # Returned first, so that it runs first: a table that cannot be read is known before anything is trained.
    listed = Stage(KnownProphages(known), name="known")
    windows = Stage(FastaPipe(genome) >> WindowPipe(window, step), name="windows", shards=shards)
    features = Stage(windows >> KmerPipe(k), name="features", shards=shards)
    phage_features = Stage(FastaPipe(phages) >> WindowPipe(window, phage_step) >> KmerPipe(k), name="phage-features")

    # A model for each fold, all trained side by side, as heads of one. Smoothing reaches three windows beyond a window.
    folds = Folds(block)
    rows = TrainingRows(features, phage_features, folds, margin=window // 2 + 3 * window)
    train = Stage(Fit(PhageModel(k, folds.count), rows, balanced_loss, epochs=epochs, **SGD), name="train")
    score = Stage(train["model"](input=features), name="score", shards=shards)
    own = Stage(train["model"](input=phage_features) >> HeldOutPhages(folds), name="score-phages")

    # What a simple method reaches on the same folds.
    rows = TrainingRows(features, phage_features, folds, margin=window // 2, hold_out_phages=False)
    plain = Stage(Fit(Baseline(k, folds.count), rows, balanced_loss, **TO_THE_OPTIMUM), name="train-baseline")
    baseline = Stage(plain["model"](input=features), name="score-baseline", shards=shards)

    held_out = Stage(HeldOut(score, baseline, folds, sigma=window), name="held-out")
    annotation = KnownProphages(None, listed)
    evaluation = Stage(Evaluation(held_out, own, annotation), name="evaluation")
    candidates = Stage(Candidates(held_out, own, annotation, step=step), name="candidates")
    report = Stage(Report(held_out, own, candidates, annotation, title=title), name="report")
    return listed, evaluation, report
