"""Fit: a plain loop that trains a model on rows, batch by batch.

Comes in: a Model and a source of rows with `len` and `[]`. Goes out: one row of history an epoch, and the fitted
model, which the next stage gets as ``fit["model"]``.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from ..core import Junction, Message, PyTorch_Model
from ..core.shuffle import permutation
from ..errors import GraphError, ParameterizationError, did_you_mean

__all__ = ["Fit"]


class Fit(Junction):
    """Trains `model` on `train_on`; iterating it runs the epochs and gives one row of history each.

    The order of rows is a pure function of seed and epoch. Between two iterations everything that the next one depends
    on can be saved and taken up by another process (`checkpoint`, `resume`).

    Args:
        model: Called with a batch (Message of up to `batch_size` rows), returns a Message. If it has a method
            ``prepare(rows)``, that sees all rows before the first batch is made.
        train_on: The rows; anything with `len` and ``[list of row numbers]``.
        loss: Gets what the model returned, gives a scalar tensor.
        optimizer: A class of `torch.optim`, or its name.
        epochs: Passes over the rows.
        batch_size: Rows an iteration; the last batch of an epoch may be shorter.
        schedule: Makes a learning-rate scheduler from the optimizer; stepped once an epoch.
        shuffle: Whether each epoch has an order of its own.
        seed: Of the order; by default that of the stage, which equal fits share.
        device: Where model and batches are.
        **settings: Arguments of the optimizer, such as ``lr``.

    Raises:
        GraphError: If `model` is no PyTorch_Model, the optimizer is unknown, or does not take a setting.
    """

    fits = ("model",)

    def __init__(
        self,
        model: Any,
        train_on: Any,
        loss: Callable[[Message], torch.Tensor],
        *,
        optimizer: str | type[torch.optim.Optimizer] = "Adam",
        epochs: int = 10,
        batch_size: int = 64,
        schedule: Callable[[torch.optim.Optimizer], LRScheduler] | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        device: str = "cpu",
        **settings: Any,
    ) -> None:
        if not isinstance(model, PyTorch_Model):
            raise GraphError(
                f"`model` must be a PyTorch_Model, but got a {type(model).__name__}. "
                "Subclass it, or make one of a torch module's class: model_from_module(Module)."
            )
        super().__init__(components={"model": model, "train_on": train_on})
        self._loss, self._epochs, self._batch_size = loss, epochs, batch_size
        self._shuffle, self._seed, self._device = shuffle, seed, torch.device(device)
        self._make_optimizer = _optimizer(optimizer, settings)
        self._make_schedule = schedule
        self._optimizer: torch.optim.Optimizer | None = None
        self._schedule: LRScheduler | None = None
        self._between_iterations: Callable[[], None] = lambda: None
        self._history: list[dict[str, float]] = []
        self._iteration, self._loss_sum = 0, 0.0

    def __len__(self) -> int:
        return self._epochs

    def __iter__(self) -> Iterator[Message]:
        """Train from where it stands; rows of epochs that are over come first.

        Yields:
            Message: One row: ``epoch`` int64 (1,), ``loss`` float64 (1,), the mean over the epoch's rows.
        """
        self._begin()
        yield from (_row(entry) for entry in self._history)
        while len(self._history) < self._epochs:
            yield _row(self._epoch())
        self.components["model"].eval()

    def _begin(self) -> torch.optim.Optimizer:
        """Make what the loop needs: not in the constructor, because torch's optimizers take seconds to import."""
        if self._seed is None:
            self._seed = torch.initial_seed()
        if self._optimizer is None:
            model = self.components["model"]
            if callable(prepare := getattr(type(model), "prepare", None)):
                prepare(model, self.components["train_on"])
            model.to(self._device)
            trained = [parameter for parameter in model.all_parameters() if parameter.requires_grad]
            if not trained:
                raise ParameterizationError(
                    "a model needs parameters to be fitted, but it has none that require a gradient. Unfreeze some."
                )
            self._optimizer = self._make_optimizer(trained)
            self._schedule = self._make_schedule(self._optimizer) if self._make_schedule else None
        return self._optimizer

    def _epoch(self) -> dict[str, float]:
        model, rows, epoch = self.components["model"], self.components["train_on"], len(self._history)
        n_rows = len(rows)
        if not n_rows:
            raise GraphError("a model needs rows to be fitted to, but `train_on` has none. Check the stage before it.")
        order = permutation(n_rows, int(self._seed or 0), epoch) if self._shuffle else torch.arange(n_rows)
        model.train()
        for iteration in range(self._iteration, math.ceil(n_rows / self._batch_size)):
            start = iteration * self._batch_size
            self._step(model, Message(rows[order[start : start + self._batch_size].tolist()]))
            self._iteration = iteration + 1
            self._between_iterations()
        if self._schedule is not None:
            self._schedule.step()
        entry = {"epoch": epoch, "loss": self._loss_sum / n_rows}
        self._history.append(entry)
        self._iteration, self._loss_sum = 0, 0.0
        return entry

    def _step(self, model: Any, batch: Message) -> None:
        if self._device.type != "cpu":
            batch = batch.cuda(str(self._device))

        optimizer = self._begin()

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = self._loss(model(batch))
            torch.autograd.backward(loss)
            return loss.detach()

        # All optimizers take a closure; LBFGS calls it many times, and returns what it gave first.
        step: Any = optimizer.step
        self._loss_sum += float(step(closure)) * len(batch)

    def watch(self, between_iterations: Callable[[], None]) -> None:
        """Call this after every iteration."""
        self._between_iterations = between_iterations

    def checkpoint(self) -> dict[str, Any]:
        """Model, optimizer, schedule, history and the place within the epoch."""
        return {
            "model": self.components["model"].get_state()["internal"],
            "optimizer": self._begin().state_dict(),
            "schedule": self._schedule.state_dict() if self._schedule else None,
            "history": self._history,
            "iteration": self._iteration,
            "loss_sum": self._loss_sum,
            "seed": self._seed,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.components["model"].set_state({"internal": state["model"], "external": {}}, reset=False)
        self._begin().load_state_dict(state["optimizer"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])
        self._history, self._iteration = list(state["history"]), state["iteration"]
        self._loss_sum, self._seed = state["loss_sum"], state["seed"]


def _row(entry: dict[str, float]) -> Message:
    return Message(
        {
            "epoch": torch.tensor([entry["epoch"]], dtype=torch.int64),
            "loss": torch.tensor([entry["loss"]], dtype=torch.float64),
        }
    )


def _optimizer(
    optimizer: str | type[torch.optim.Optimizer], settings: dict[str, Any]
) -> Callable[[Any], torch.optim.Optimizer]:
    made: Any = optimizer if isinstance(optimizer, type) else _named_optimizer(optimizer)
    try:
        inspect.signature(made).bind([], **settings)
    except TypeError as error:
        known = list(inspect.signature(made).parameters)
        hint = "".join(did_you_mean(name, known) for name in settings if name not in known)
        raise GraphError(
            f"an optimizer must know its settings, but of {made.__name__}: {error}.{hint} See torch.optim."
        ) from error
    return functools.partial(made, **settings)


def _named_optimizer(name: str) -> Any:
    classes = {
        key: item
        for key, item in vars(torch.optim).items()
        if isinstance(item, type) and issubclass(item, torch.optim.Optimizer)
    }
    if name not in classes:
        raise GraphError(
            f"optimizer must be a class of torch.optim or its name, but got {name!r}.{did_you_mean(name, classes)}"
        )
    return classes[name]
