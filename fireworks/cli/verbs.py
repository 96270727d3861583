"""The verbs, and how one of them is called.

Not in the package's `__init__`: once `fireworks.cli.list` is loaded, the name `list` means that module there.

Comes in: arguments. Goes out: the verb's module; what it raises ends in `fireworks.cli.reporting`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

__all__ = ["VERBS", "main"]

# Verb → its line in the overview, so that `fireworks --help` loads none of them. tests/unit/test_cli.py compares.
VERBS = {
    "run": "Run a pipeline; what is in the store already is not run again.",
    "plan": "Show the stages of a pipeline, and which of them would run.",
    "compile": "Print what Argo Workflows would be given for a pipeline, as YAML.",
    "submit": "Run a pipeline on a Kubernetes cluster with Argo Workflows.",
    "watch": "Follow a run until it ends; Ctrl-C leaves it going on.",
    "status": "Show how a run stands, stage by stage.",
    "list": "List runs, newest first.",
    "logs": "Print what the stages of a run printed.",
    "get": "Fetch a stage's output: as a table, or a fitted state.",
    "cancel": "Stop a run; what its stages have committed stays.",
    "delete": "Remove a run that has ended: its records, logs, and Workflow.",
    "gc": "Remove runs and outputs that are no longer needed.",
    "doctor": "Check cluster, store and image, and say what to do.",
    "version": "Show the versions of Fireworks, Python and torch.",
}


class _Verbs(click.Group):
    """A group whose commands are modules of this package, each with a `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f".{cmd_name}", __package__).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from ..errors import did_you_mean

            hint = did_you_mean(args[0], VERBS) or f" There are: {', '.join(VERBS)}."
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def fireworks() -> None:
    """Reproducible data and training pipelines.

    A pipeline is named as MODULE:function or path/to/file.py:function. Runs are named by the start of their id;
    where none is named, the latest is meant.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 the user's error, 75 try again later, 130 interrupted."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        code = fireworks.main(list(given) or ["--help"], prog_name="fireworks", standalone_mode=False)
    except Exception as error:
        from .reporting import report

        return report(error)
    return code if isinstance(code, int) else 0
