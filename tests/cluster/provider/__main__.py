"""`python -m cluster.provider up|down|status|logs|load|environment`: what the make targets run.

Comes in: `CLUSTER`, `PURGE` and the settings of the provider. Goes out: lines for people, an exit code.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from .choosing import choose
from .commands import as_program
from .images import stage_image
from .interface import ClusterError, Provider


def main(arguments: list[str]) -> int:
    """Do one thing; 1 and one line for everything that goes wrong."""
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__.partition("\n")[0])
    verbs = ("up", "down", "status", "logs", "load", "environment")
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("archive", nargs="*", type=Path, help="for load: image archives")
    given = parser.parse_args(arguments)
    try:
        provider = choose(os.environ)
        return _perform(provider, given.verb, given.archive)
    except (ClusterError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _perform(provider: Provider, verb: str, archives: list[Path]) -> int:
    if verb == "up":
        provider.up()
    elif verb == "down":
        provider.down(purge=os.environ.get("PURGE", "") not in {"", "0"})
    elif verb == "logs":
        print(provider.logs(int(os.environ.get("LINES", "20"))))
    elif verb == "load":
        for archive in archives:
            print("\n".join(provider.load_image(archive)))
    elif verb == "environment":
        settings = {"KUBECONFIG": str(provider.kubeconfig()), **provider.environment()}
        settings["FIREWORKS_STORE"] = provider.s3_url()
        # Of an image that is built here, nodes that pull theirs know nothing.
        if os.environ.get("FIREWORKS_STAGE_IMAGE") or not provider.pulls:
            settings["FIREWORKS_IMAGE"] = stage_image()
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items()))
    else:
        status = provider.status()
        print(status)
        return 0 if status.ready else 1
    return 0


if __name__ == "__main__":
    as_program(main)
