"""Three stages that share a pod; the second misbehaves as it is told."""

from unruly import DEEDS, Unruly

import fireworks
from fireworks import HookedPassThroughPipe, Message, Pipe, Resources, Stage


class Troubled(HookedPassThroughPipe):
    """Passes rows on, after a deed."""

    random_access = True

    def __init__(self, how, input=None):
        super().__init__(input)
        self.how = how

    def _getitem_hook(self, message):
        deed, _, with_what = self.how.partition(":")
        if deed != "fine":
            DEEDS[deed](with_what)()
        return Message(message)


@fireworks.pipeline
def chained(how: str = "fine"):
    """Rows, trouble, and what follows."""
    small = Resources(cpu=0.1, memory="1Gi")
    a = Stage(Unruly("fine", 0, ""), name="a", resources=small)
    b = Stage(a >> Troubled(how), name="b", resources=small)
    return Stage(b >> Pipe(), name="c", resources=small)
