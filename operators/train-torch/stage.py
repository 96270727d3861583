"""train-torch: a multilayer perceptron that predicts one column of a table from others."""

from collections.abc import Sequence
from typing import Literal

import fireworks
from fireworks import File, Fit, Stage
from fireworks.training import Perceptron
from fireworks.workflow.stored import rows_of


@fireworks.pipeline
def train_torch(
    data: File,
    features: Sequence[str],
    target: str,
    task: Literal["regression", "classification"] = "regression",
    hidden: Sequence[int] = (64,),
    epochs: int = 10,
    batch: int = 64,
    lr: float = 0.001,
    optimizer: str = "Adam",
) -> Stage:
    """Train on rows; what comes out is a row of history an epoch, and the model.

    Args:
        data: A stage's output, or a file: .csv, .csv.gz, .parquet, .arrow.
        features: Columns to predict from, separated by commas: numbers, one or several a row.
        target: The column to predict.
        task: regression or classification.
        hidden: Sizes of the layers between, separated by commas.
        epochs: Passes over the rows.
        batch: Rows a step.
        lr: Learning rate.
        optimizer: A class of torch.optim.
    """
    model = Perceptron(tuple(features), target, task, tuple(hidden))
    fit = Fit(model, rows_of(data), model.loss, optimizer=optimizer, epochs=epochs, batch_size=batch, lr=lr)
    return Stage(fit, name="train-torch")
