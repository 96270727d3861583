"""predict: what a model of train-torch says of the rows of a table."""

import fireworks
from fireworks import File, Stage
from fireworks.training import Perceptron
from fireworks.workflow.stored import model_of, rows_of


@fireworks.pipeline
def predict(data: File, model: File) -> Stage:
    """Add the model's predictions to the rows.

    Args:
        data: A stage's output, or a file: .csv, .csv.gz, .parquet, .arrow; with the columns that train-torch was given.
        model: The output of train-torch.
    """
    return Stage(model_of(model, Perceptron, rows_of(data)), name="predict")
