"""Stages that take their time and always give the same rows: what goes on while a cluster fails around them."""

import secrets
import time
from functools import cache

import torch

import fireworks
from fireworks import Fit, HookedPassThroughPipe, Junction, Message, Pipe, PyTorch_Model, Resources, Stage
from fireworks.store import open_store

ROWS = 2000


@cache
def meet_at(url):
    """Return once another process is there, too."""
    place = open_store(url)
    place.put(secrets.token_hex(8), b"")
    while len(list(place.list(""))) < 2:
        time.sleep(0.2)


class Numbers(Pipe):
    """``x`` float64, ``y`` float32, ``wide`` float32 (n, 32); with a clock, also when the rows were made.

    Args:
        meet: A store's URL: no rows until two processes that compute them have come there.
    """

    random_access = True

    def __init__(self, seconds, clock=False, meet="", input=None):
        super().__init__(input)
        self.seconds, self.clock, self.meet = seconds, clock, meet

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        if self.meet:
            meet_at(self.meet)
        time.sleep(self.seconds)
        x = torch.linspace(0, 1, ROWS, dtype=torch.float64)
        columns = {"x": x, "y": (2 * x + 1).float(), "wide": x.float().reshape(-1, 1).expand(-1, 32).contiguous()}
        if self.clock:
            columns["made"] = torch.full((ROWS,), time.time_ns())
        return Message(columns)[index]


class Slow(HookedPassThroughPipe):
    """Adds one to x, at leisure."""

    random_access = True

    def __init__(self, seconds, input=None):
        super().__init__(input)
        self.seconds = seconds

    def _getitem_hook(self, message):
        time.sleep(self.seconds)
        changed = Message(message)
        changed["x"] = message["x"] + 1
        return changed


class Told(Slow):
    """Says each time that it was asked."""

    def _getitem_hook(self, message):
        print("a batch", flush=True)
        return super()._getitem_hook(message)


class Mean(Junction):
    """The first one's rows, x the mean of both."""

    random_access = True

    def __init__(self, left, right):
        super().__init__(components={"left": left, "right": right})

    def __len__(self):
        return len(self.components["left"])

    def __getitem__(self, index):
        rows = Message(self.components["left"][index])
        rows["x"] = ((rows["x"] + self.components["right"][index]["x"]) / 2).float()
        return rows


class Line(PyTorch_Model):
    """y = a x + b; adds a column `score`."""

    row_local = True
    required_components = ["slope", "offset"]

    def init_default_components(self):
        self.components["slope"] = torch.randn(1)
        self.components["offset"] = torch.zeros(1)

    def forward(self, message):
        out = Message(message)
        out["score"] = self.slope * message["x"] + self.offset
        return out


def squared_error(message):
    """Mean of squares."""
    return (message["score"] - message["y"]).square().mean()


def options(settings):
    """What all stages have in common; settings are variables, ``NAME=value NAME=value``."""
    env = dict(one.split("=", 1) for one in settings.split())
    return {"resources": Resources(cpu=0.1, memory="1Gi"), "retries": 5, "grace": 5, "fuse": False, "env": env}


@fireworks.pipeline
def steady(pace: float = 0.0, settings: str = ""):
    """Twelve stages: two chains of three side by side, a model fitted to their mean, its scores."""
    common = options(settings)
    ground = Stage(Numbers(pace), name="ground", **common)
    ends = []
    for side in ("left", "right"):
        rows = ground
        for number in range(3):
            rows = Stage(rows >> Slow(pace), name=f"{side}-{number}", **common)
        ends.append(rows)
    mean = Stage(Mean(*ends), name="mean", **common)
    slowly = Stage(mean >> Slow(pace), name="slowly", **common)
    fit = Stage(
        Fit(Line(), slowly, squared_error, optimizer="SGD", lr=0.01, epochs=2, batch_size=500), name="train", **common
    )
    score = Stage(fit["model"](input=slowly), name="score", **common)
    return Stage(score >> Slow(pace), name="last", **common)


@fireworks.pipeline
def short(pace: float = 0.0):
    """Four stages: a ground, two side by side, their mean."""
    common = options("")
    ground = Stage(Numbers(pace), name="ground", **common)
    sides = [Stage(ground >> Slow(pace), name=side, **common) for side in ("left", "right")]
    return Stage(Mean(*sides) >> Slow(pace), name="mean", **common)


@fireworks.pipeline
def brief(pace: float = 0.0, settings: str = "", clock: bool = False, meet: str = ""):
    """Two stages."""
    common = options(settings)
    return Stage(Stage(Numbers(pace, clock, meet), name="ground", **common) >> Slow(0.0), name="last", **common)


@fireworks.pipeline
def fitted(pace: float = 0.0, epochs: int = 3):
    """A model that is fitted at leisure, twenty batches an epoch, and its scores."""
    common = options("")
    ground = Stage(Numbers(0.0), name="ground", **common)
    fit = Fit(Line(), ground >> Told(pace), squared_error, optimizer="SGD", lr=0.01, epochs=epochs, batch_size=100)
    trained = Stage(fit, name="train", **common)
    return Stage(trained["model"](input=ground), name="score", **common)
