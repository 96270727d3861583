"""Example 03: how short may a piece of DNA be, to tell a phage from its host, and by words of which length?

    fireworks run examples/03-grid/grid.py:grid
    fireworks run examples/03-grid/grid.py:grid -p lengths=250,500,2000 -p ks=3

Parameters:
    phage, host: FASTA of both genomes, plain or gzipped.
    lengths: One axis of the grid: bases of a piece.
    ks: The other: length of the words, or k-mers, that are counted in it.
    epochs: Passes over the pieces.
"""

from typing import Any

import fireworks
from chart import HeatMap, Scores
from classifier import Classifier, weighted_loss
from fireworks import File, Fit, Resources, Stage
from fireworks.toolbox import FastaPipe, WindowPipe
from pieces import Pieces, Words

# With a seed, so that the order of rows, and the README's table, depends on nothing else.
SETTINGS: dict[str, Any] = {"optimizer": "Adam", "lr": 0.01, "weight_decay": 0.03, "batch_size": 128, "seed": 0}
# On a cluster: a point needs little, so many find room side by side.
SMALL = Resources(cpu=0.5, memory="1Gi")


@fireworks.pipeline
def grid(
    phage: File = File("data/lambda.fa.gz"),
    host: File = File("data/ecoli-200kb.fa.gz"),
    lengths: tuple[int, ...] = (250, 500, 1000),
    ks: tuple[int, ...] = (1, 2, 3, 4, 5),
    epochs: int = 20,
) -> Stage:
    """Train a classifier at each point of the grid; gather how well they do in a table, and in a heat map."""
    points = {}
    for length in lengths:
        step = length // 5
        windows = [FastaPipe(genome) >> WindowPipe(length, step) for genome in (phage, host)]
        # One stage, however many classifiers read it.
        pieces = Stage(Pieces(*windows), name=f"pieces-{length}", resources=SMALL)
        for k in ks:
            words = pieces >> Words(k)
            fit = Fit(Classifier(k), words, weighted_loss, epochs=epochs, **SETTINGS)
            train = Stage(fit, name=f"train-{length}-{k}", resources=SMALL)
            points[length, k] = train["model"](input=words)
    scores = Stage(Scores(points), name="scores", resources=SMALL)
    return Stage(HeatMap(scores), name="report", resources=SMALL)
