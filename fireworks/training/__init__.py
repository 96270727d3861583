"""Fitting models.

Comes in: a Model and the rows to fit it to. Goes out: the fitted model and its history, as a stage of
`fireworks.workflow`.
"""

from .fit import Fit
from .perceptron import Perceptron

__all__ = ["Fit", "Perceptron"]
