"""The prophage finder as plain scripts: ``python steps.py STEP SHARD`` reads whole files of S3 and writes one.

What a careful person would write without Fireworks' stages: the same functions of `examples/01-prophages` on the same
rows, a hand-written loop of training, `torch.save` into the bucket. Nothing is hashed, recorded, cached or resumed.

Comes in: `prophages.yaml` names the step; `PEER_URL` says where files lie. Goes out: ``<step>[-<shard>].pt`` there.
"""

import io
import os
import sys
from pathlib import Path
from typing import Any

import obstore
import torch
from obstore.store import from_url

from annotation import KnownProphages
from candidates import Candidates
from evaluation import Evaluation
from fireworks import File, Message, cat
from fireworks.toolbox import FastaPipe, KmerPipe, WindowPipe
from folds import Folds
from models import TO_THE_OPTIMUM, Baseline, PhageModel, balanced_loss
from report import Report
from scoring import HeldOut, HeldOutPhages
from training_rows import TrainingRows

SHARDS, WINDOW, STEP, PHAGE_STEP, K, EPOCHS = 4, 4000, 500, 50, 5, 30
FOLDS = Folds(100_000)
PLACE: Any = from_url(os.environ["PEER_URL"], client_options={"allow_http": True})


def fetched(name: str) -> File:
    """A source file of the bucket, as a local one."""
    path = Path(os.environ["TMPDIR"], name)
    path.write_bytes(obstore.get(PLACE, name).bytes())
    return File(str(path))


def load(*names: str) -> Message:
    """Rows that earlier steps left, one after the other."""
    return cat([Message(stored(name)) for name in names])


def stored(name: str) -> Any:
    """What an earlier step left."""
    return torch.load(io.BytesIO(obstore.get(PLACE, f"{name}.pt").bytes()), weights_only=False)


def save(name: str, content: Any) -> None:
    """Leave rows, or anything else that torch can save."""
    if isinstance(content, Message):
        content = {column: content[column] for column in content.columns}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    obstore.put(PLACE, f"{name}.pt", buffer.getvalue())


def sharded(name: str) -> Message:
    """The rows of all shards of a step."""
    return load(*(f"{name}-{shard}" for shard in range(SHARDS)))


def whole(pipe: Any) -> Message:
    """All rows that a pipe or junction gives."""
    return cat([Message(rows) for rows in pipe])


def fitted(model: Any, rows: Message) -> dict[str, Any]:
    """Train by batches of 512 in a random order; the state."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.train()
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(rows)), 512):
            optimizer.zero_grad()
            torch.autograd.backward(balanced_loss(model(Message(rows[batch]))))
            optimizer.step()
    state: dict[str, Any] = model.state_dict()
    return state


def fitted_at_once(model: Any, rows: Message) -> dict[str, Any]:
    """Train by the quasi-Newton method on all rows; the state."""
    names = {"optimizer", "epochs", "batch_size", "shuffle"}
    settings = {name: value for name, value in TO_THE_OPTIMUM.items() if name not in names}
    optimizer: Any = torch.optim.LBFGS(model.parameters(), **settings)
    model.train()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = balanced_loss(model(rows))
        torch.autograd.backward(loss)
        return loss

    for _ in range(TO_THE_OPTIMUM["epochs"]):
        optimizer.step(closure)
    state: dict[str, Any] = model.state_dict()
    return state


def scored(model: Any, state: str, rows: Message) -> Message:
    """Rows with logits in the place of k-mers."""
    model.load_state_dict(stored(state))
    model.eval()
    with torch.no_grad():
        return Message(model(rows))


def run(step: str, shard: int) -> None:
    """One step."""
    here = f"{step}-{shard}"
    match step:
        case "known":
            save(step, KnownProphages(fetched("known.csv"))[:])
        case "windows":
            pipe = FastaPipe(fetched("genome.fa.gz")) >> WindowPipe(WINDOW, STEP)
            size = len(pipe)
            save(here, pipe[size * shard // SHARDS : size * (shard + 1) // SHARDS])
        case "features":
            save(here, (load(f"windows-{shard}") >> KmerPipe(K))[:])
        case "phage-features":
            save(step, (FastaPipe(fetched("phage.fa.gz")) >> WindowPipe(WINDOW, PHAGE_STEP) >> KmerPipe(K))[:])
        case "train":
            margin = WINDOW // 2 + 3 * WINDOW
            rows = TrainingRows(sharded("features"), load("phage-features"), FOLDS, margin=margin)
            save(step, fitted(PhageModel(K, FOLDS.count), rows[:]))
        case "train-baseline":
            rows = TrainingRows(
                sharded("features"), load("phage-features"), FOLDS, margin=WINDOW // 2, hold_out_phages=False
            )
            save(step, fitted_at_once(Baseline(K, FOLDS.count), rows[:]))
        case "score":
            save(here, scored(PhageModel(K, FOLDS.count), "train", load(f"features-{shard}")))
        case "score-baseline":
            save(here, scored(Baseline(K, FOLDS.count), "train-baseline", load(f"features-{shard}")))
        case "score-phages":
            own = scored(PhageModel(K, FOLDS.count), "train", load("phage-features"))
            save(step, whole(HeldOutPhages(FOLDS, own)))
        case _:
            save(step, whole(concluded(step)))


def concluded(step: str) -> Any:
    """What is made of the scores."""
    if step == "held-out":
        return HeldOut(sharded("score"), sharded("score-baseline"), FOLDS, sigma=WINDOW)
    held_out, own, known = load("held-out"), load("score-phages"), KnownProphages(None, load("known"))
    if step == "evaluation":
        return Evaluation(held_out, own, known)
    if step == "candidates":
        return Candidates(held_out, own, known, step=STEP)
    return Report(held_out, own, load("candidates"), known)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
