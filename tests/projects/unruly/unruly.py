"""A stage that misbehaves as it is told, and one that reads it: what a cluster does with pods that go wrong."""

import os
import secrets
import signal
import time
from pathlib import Path

import torch

import fireworks
from fireworks import Message, Pipe, Resources, Stage
from fireworks.store import open_store

ROWS = 10


def exit_with(code):
    """End the process without a word."""
    return lambda: os._exit(int(code))


def raise_error(text):
    """End as a pipeline with a mistake does."""

    def deed():
        raise ValueError(f"this is {text}")

    return deed


def get_signal(name):
    """Be killed."""
    return lambda: os.kill(os.getpid(), getattr(signal, name))


def take_memory(text):
    """More than there is."""
    return lambda: [bytearray(os.urandom(1 << 20) * 64) for _ in range(1000)]


def take_disk(megabytes):
    """Write to the scratch volume, and wait for somebody to notice."""

    def deed():
        Path(os.environ["TMPDIR"], "large").write_bytes(bytes(int(megabytes) << 20))
        time.sleep(300)

    return deed


def take_time(seconds):
    """Print, and sleep."""

    def deed():
        print("asleep", flush=True)
        time.sleep(float(seconds))

    return deed


def write_to(path):
    """Write where a pod may not."""
    return lambda: Path(path).write_text("x")


DEEDS = {
    "exit": exit_with,
    "error": raise_error,
    "signal": get_signal,
    "memory": take_memory,
    "disk": take_disk,
    "sleep": take_time,
    "write": write_to,
}


class Unruly(Pipe):
    """Ten rows.

    Args:
        how: ``fine``, or a deed and what with, as in ``exit:75``.
        times: In how many attempts; in all of them if 0.
        marks: A store's URL, where attempts are counted.
    """

    random_access = True

    def __init__(self, how, times, marks, input=None):
        super().__init__(input)
        self.how, self.times, self.marks = how, times, marks

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        deed, _, with_what = self.how.partition(":")
        if deed != "fine" and self._is_time():
            DEEDS[deed](with_what)()
        return Message({"x": torch.arange(ROWS, dtype=torch.float32)})[index]

    def _is_time(self):
        if not self.times:
            return True
        # Content of its own: what is there already and equal counts as written by whoever lost the answer.
        store, mine = open_store(self.marks), secrets.token_bytes(16)
        return any(store.put_if_absent(f"attempt-{number}", mine) for number in range(self.times))


@fireworks.pipeline
def unruly(
    how: str = "fine",
    times: int = 0,
    marks: str = "",
    memory: str = "1Gi",
    disk: str = "",
    retries: int = 2,
    timeout: float = 0,
    secret: str = "",
    image: str = "",
):
    """Rows that may not come, and a stage after them."""
    rows = Stage(
        Unruly(how, times, marks),
        name="rows",
        resources=Resources(cpu=0.1, memory=memory, disk=disk or None),
        retries=retries,
        timeout=timeout or None,
        grace=5,
        secrets={"TOKEN": secret} if secret else {},
        image=image or None,
        fuse=False,
    )
    return Stage(rows >> Pipe(), name="after", resources=Resources(cpu=0.1, memory="1Gi"), fuse=False)
