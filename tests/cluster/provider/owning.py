"""A machine has room for one node: whose it is, and who is changing it.

Comes in: the state folder of `settings`. Goes out: a lock, and a refusal to touch the node of another state folder.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import cgroups
from .interface import ClusterError
from .settings import Settings

# The control group, the bridge and the packet rules are the machine's, whatever the state folder: so is this file. It
# is locked while somebody changes the node, and names the state folder of the node that is there.
RECORD = Path("/run/fireworks-cluster")


@contextmanager
def locked() -> Iterator[None]:
    """One `up` or `down` at a time; the lock ends with its process."""
    with RECORD.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError("only one `up` or `down` may run at a time, but another does. Wait.") from error
        yield


def claim(settings: Settings) -> None:
    """From now on what is there belongs to this state folder."""
    RECORD.write_text(f"{settings.state}\n", encoding="utf-8")


def release() -> None:
    """Nothing is there."""
    RECORD.write_text("", encoding="utf-8")


def another(settings: Settings) -> Settings | None:
    """The node of another state folder, running or dead; None if there is none."""
    try:
        state = RECORD.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not state or Path(state).resolve() == settings.state.resolve():
        return None
    return Settings(Path(state), settings.cache, settings.versions, settings.storage)


def check(settings: Settings) -> None:
    """Refuse if the node that runs is another's: to clean is to kill whatever is in the control group."""
    other = another(settings)
    if other is not None and cgroups.processes(cgroups.find_hierarchies()):
        raise ClusterError(
            f"a machine has room for one node, but that of state folder {other.state} runs, not of {settings.state}."
            f" Use it, or take it down: FIREWORKS_CLUSTER_STATE={other.state} make cluster-down"
        )
