"""A pipeline of five stages over two columns of numbers: small, but with every kind of edge."""

from tiny_model import Line, squared_error
from tiny_pipes import NumbersPipe, ScalePipe
from tiny_report import TablePrinter

import fireworks
from fireworks import File, Fit, Stage


@fireworks.pipeline
def tiny(numbers: File = File("data/numbers.csv"), scale: float = 2.0, epochs: int = 4, shards: int = 1):
    """Fit a line to scaled numbers and score them."""
    raw = Stage(NumbersPipe(numbers), name="raw", shards=shards, expose=["n_lines"])
    features = Stage(raw >> ScalePipe(scale), name="features", shards=shards)
    fit = Stage(
        Fit(Line(), features, squared_error, optimizer="SGD", lr=0.01, epochs=epochs, batch_size=50), name="train"
    )
    score = Stage(fit["model"](input=features), name="score", shards=shards)
    return Stage(TablePrinter(score), name="report")
