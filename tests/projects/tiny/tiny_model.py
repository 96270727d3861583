"""The training code of the tiny project."""

import torch

from fireworks import Message, PyTorch_Model


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
