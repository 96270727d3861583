"""``fireworks doctor``.

Comes in: the findings of `fireworks.workflow.argo.diagnosis`. Goes out: a line each on stdout, and an exit code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .drawing import print_json
from .options import cluster_options, image_option, json_option, place_options

if TYPE_CHECKING:
    from ..workflow.argo.diagnosis import Case, Check

__all__ = ["command"]

_MARKS: dict[bool | None, tuple[str, str]] = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}
_WIDTH = 21


@click.command("doctor")
@cluster_options
@image_option
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(min=1), default=60, show_default=True, help="For the pod."
)
@place_options
@json_option
def command(*, as_json: bool, **settings: Any) -> int:
    """Check cluster, store and image, and say what to do.

    A workflow without pods and one pod are started, and removed again, in the namespace; an object is written to the
    store, and deleted. Marked – is what could not be checked, or could be better; the exit code is 1 if anything fails.
    """
    from ..workflow.argo.diagnosis import examine

    checks = []
    for check in examine(_case(**settings)):
        checks.append(check)
        if not as_json:
            _draw(check)
    ok = all(check.ok is not False for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": checks})
    return 0 if ok else 1


def _case(
    *,
    context: str | None,
    namespace: str | None,
    image: str | None,
    timeout: float,
    store: str | None,
    profile: str | None,
) -> Case:
    from ..workflow.argo.diagnosis import Case
    from ..workflow.profiles import find_project, load_profile

    settings = load_profile(find_project(Path.cwd()), profile)
    here = store or settings.store
    return Case(
        store=here,
        store_in_pods=settings.store_in_pods or here,
        context=context or settings.context,
        namespace=namespace or settings.namespace,
        image=image or settings.image,
        limit_s=timeout,
    )


def _draw(check: Check) -> None:
    mark, colour = _MARKS[check.ok]
    remedy = f". {check.remedy}" if check.remedy else ""
    click.echo(f"{click.style(mark, fg=colour)} {check.name:<{_WIDTH}}  {check.detail}{remedy}")
