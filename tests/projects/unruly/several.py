"""Stages side by side that misbehave once, each in its own way. Neighbour: `unruly.py`."""

from unruly import Unruly

import fireworks
from fireworks import Resources, Stage


@fireworks.pipeline
def several(hows: list[str], marks: str):
    """A stage of each deed; at the store's URL their attempts are counted."""
    return [
        Stage(
            Unruly(how, 1, f"{marks}/{number}"),
            name=how.replace(":", "-").lower(),
            resources=Resources(cpu=0.1, memory="1Gi"),
            grace=5,
            fuse=False,
        )
        for number, how in enumerate(hows)
    ]
