"""Perceptron: a multilayer perceptron from columns of a table to others, as it is needed most often.

Comes in: rows with numbers, for `Fit`. Goes out: predictions beside the rows; a state that says all there is to know
of the model, so that another process can use it knowing nothing but the state.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from ..core import Message, PyTorch_Model
from ..errors import GraphError, SchemaError, did_you_mean

__all__ = ["Perceptron"]

Task = Literal["regression", "classification"]
_TASKS = ("regression", "classification")
_ROWS_AT_ONCE = 4096


class Perceptron(PyTorch_Model):
    """Standardises its input columns, then layers with ReLU between them.

    Layers are made when it is known how wide the columns are: when `Fit` shows the rows (`prepare`), or when a state
    is set. In training it adds to a batch ``output``, float32 (n, k), and ``target``; afterwards ``prediction``
    (regression: float32 (n,), or (n, k) of wider columns; classification: the class) and, in classification,
    ``scores``, float32 (n, classes), which add up to 1.

    Args:
        features: Columns to predict from: numbers, (n,) or (n, d); together their width is that of the first layer.
        target: The column to predict: numbers; in classification whole numbers or texts.
        task: ``regression`` (mean squared error) or ``classification`` (cross-entropy).
        hidden: Sizes of the layers between.
        input: As for `Pipe`.

    Raises:
        GraphError: If `task` is unknown or a size is no positive int.
    """

    row_local = True
    stateful_attributes: ClassVar[tuple[str, ...]] = ("_settings",)

    def __init__(
        self,
        features: Sequence[str] = (),
        target: str = "",
        task: Task = "regression",
        hidden: Sequence[int] = (64,),
        input: Any = None,
    ) -> None:
        super().__init__(input=input)
        if task not in _TASKS:
            raise GraphError(f"task must be {' or '.join(_TASKS)}, but got {task!r}.{did_you_mean(task, _TASKS)}")
        if any(type(size) is not int or size < 1 for size in hidden):
            raise GraphError(f"hidden must be positive whole numbers, but got {list(hidden)}. Each is a layer's size.")
        self._hidden = tuple(hidden)
        self._settings: dict[str, Any] = {"features": list(features), "target": target, "task": task, "classes": []}
        self.register_buffer("center", torch.zeros(0))
        self.register_buffer("scale", torch.zeros(0))

    def prepare(self, rows: Any) -> None:
        """Look at all rows once: how wide and how large the inputs are, which classes there are.

        Raises:
            SchemaError: If a column is absent, not of numbers, or has values that are not finite.
        """
        if "layers" in self.components:
            return
        n = len(rows)
        if not n:
            raise SchemaError("a model needs rows to learn from, but got none. Check the stage or file before it.")
        total: Any = 0.0
        squares: Any = 0.0
        classes: set[Any] = set()
        for start in range(0, n, _ROWS_AT_ONCE):
            batch = Message(rows[start : start + _ROWS_AT_ONCE])
            x, y = self._inputs(batch).double(), self._targets(batch)
            total, squares = total + x.sum(0), squares + x.square().sum(0)
            classes |= set(y.tolist()) if self._classifies else set()
        deviation = (squares / n - (total / n).square()).clamp(min=0).sqrt()
        self._settings["classes"] = sorted(classes)
        self._make_layers([x.shape[1], *self._hidden, len(classes) if self._classifies else y.shape[1]])
        self.center, self.scale = (total / n).float(), torch.where(deviation > 0, deviation, 1.0).float()

    def forward(self, message: Any) -> Message:
        """The rows, with predictions."""
        rows = Message(message)
        output = self.layers((self._inputs(rows) - self.center) / self.scale)
        if self.training:
            rows["output"], rows["target"] = output, self._encoded(self._targets(rows))
            return rows
        output = output.detach()
        if self._classifies:
            rows["prediction"] = np.array(self._settings["classes"])[output.argmax(1).numpy()]
            rows["scores"] = output.softmax(1)
        else:
            rows["prediction"] = output.squeeze(1) if output.shape[1] == 1 else output
        return rows

    def loss(self, message: Message) -> torch.Tensor:
        """Of rows that went through the model in training."""
        measure = nn.functional.cross_entropy if self._classifies else nn.functional.mse_loss
        return measure(message["output"], message["target"])

    def set_state(self, state: dict[str, Any], reset: bool = True, *args: Any, **kwargs: Any) -> None:
        """As `Model.set_state`; layers are made as the state has them."""
        weights = [value for key, value in state["internal"].get("layers", {}).items() if key.endswith("weight")]
        if weights:
            self._make_layers([weights[0].shape[1], *(weight.shape[0] for weight in weights)])
        super().set_state(state, reset, *args, **kwargs)

    @property
    def _classifies(self) -> bool:
        return bool(self._settings["task"] == "classification")

    def _make_layers(self, sizes: list[int]) -> None:
        steps = [step for a, b in pairwise(sizes) for step in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*steps[:-1])

    def _inputs(self, rows: Message) -> torch.Tensor:
        columns = [self._numbers(rows, name) for name in self._settings["features"]]
        if not columns:
            raise SchemaError("a model needs columns to predict from, but `features` names none. Name some.")
        return torch.cat(columns, 1)

    def _targets(self, rows: Message) -> Any:
        name = self._settings["target"]
        return np.asarray(rows[name]) if self._classifies else self._numbers(rows, name)

    def _encoded(self, targets: Any) -> torch.Tensor:
        if not self._classifies:
            return torch.as_tensor(targets)
        classes = {label: number for number, label in enumerate(self._settings["classes"])}
        return torch.tensor([classes[label] for label in targets.tolist()])

    def _numbers(self, rows: Message, name: str) -> torch.Tensor:
        """A column as float32 (n, d)."""
        column = rows[name]
        try:
            tensor = column if isinstance(column, torch.Tensor) else torch.from_numpy(np.array(column, np.float32))
        except (TypeError, ValueError) as error:
            raise SchemaError(f"column {name!r} must hold numbers to be learned from, but: {error}.") from error
        if not bool(tensor.isfinite().all()):
            raise SchemaError(f"column {name!r} must hold finite numbers, but has gaps or infinities. Drop such rows.")
        return tensor.float().reshape(len(tensor), -1)
