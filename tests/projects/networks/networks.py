"""A model that draws from its device's generator: fitted on a GPU, scored on the processor."""

import torch

import fireworks
from fireworks import Fit, Message, Pipe, PyTorch_Model, Resources, Stage
from fireworks.toolbox import TensorPipe

ROWS, BATCH, EPOCHS = 256, 32, 3


class Points(Pipe):
    """``x`` float32 (n, 8), ``y`` float32: where a sum is above its mean."""

    random_access = True

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        x = torch.rand(ROWS, 8, generator=torch.Generator().manual_seed(1))
        return Message({"x": x, "y": (x.sum(1) > 4).float()})[index]


class Network(PyTorch_Model):
    """Draws from the generator of the device that it is on, in each batch."""

    row_local = True

    def init_default_components(self):
        self.components["layers"] = torch.nn.Sequential(
            torch.nn.Linear(8, 64),
            torch.nn.BatchNorm1d(64),
            torch.nn.Dropout(0.5),
            torch.nn.ReLU(),
            torch.nn.Linear(64, 1),
        )

    def forward(self, message):
        scored = Message(message)
        scored["score"] = self.layers(message["x"]).squeeze(1)
        return scored


def loss(message):
    return torch.nn.functional.binary_cross_entropy_with_logits(message["score"], message["y"])


def fit(points, device):
    """A fit of the network."""
    return Fit(Network(), points, loss, lr=0.01, epochs=EPOCHS, batch_size=BATCH, device=device)


@fireworks.pipeline
def fitted(device: str = "cuda"):
    """Fitted on the device, scored on the processor."""
    points = Stage(Points(), name="points")
    train = Stage(fit(points, device), name="train", resources=Resources(gpu=int(device == "cuda")))
    return Stage(train["model"](input=points), name="score")


@fireworks.pipeline
def moved():
    """The same rows twice, from the processor and from the GPU."""
    return [Stage(Points(), name="here"), Stage(TensorPipe(Points(), ["x", "y"]), name="there")]
