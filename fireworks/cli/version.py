"""``fireworks version``.

Comes in: what is installed. Goes out: a line on stdout.
"""

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from .drawing import print_json
from .options import json_option

__all__ = ["command"]


@click.command("version")
@json_option
def command(*, as_json: bool) -> None:
    """Show the versions of Fireworks, Python and torch."""
    versions = {"fireworks": _version("fireworks-ml"), "python": platform.python_version(), "torch": _version("torch")}
    if as_json:
        print_json(versions)
    else:
        click.echo(f"fireworks {versions['fireworks']}, Python {versions['python']}, torch {versions['torch']}")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
