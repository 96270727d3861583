"""Programs that stand in for others: they write down how they were called, and answer as told.

Comes in: a folder. Goes out: executable files, to the tests of what would call Docker, kind or kubectl.
"""

from pathlib import Path


class Programs:
    """Makes them; a PATH of the folder alone leads to no others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, name: str, answer: str = "exit 0") -> Path:
        """A program whose answer is a piece of shell."""
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "$@" >>{self.folder}/{name}.calls\n{answer}\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def calls(self, name: str) -> list[str]:
        """The arguments of each call."""
        path = self.folder / f"{name}.calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
