"""Submitting a plan: everything it needs goes to the store, then one Workflow is made.

A submit may be cut off anywhere and be made again: before the first remote call a token is written below
``.fireworks/pending/`` of the project, with the id of the run to be and what it skips; it goes once the Workflow is
there. Whoever finds the token goes on with that run, and the Workflow has the run's id for its name, so there is never
a second one.

Comes in: a plan, its project's package, a store, a cluster. Goes out: a run under way.
"""

import json
import os
import socket
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ...errors import ParameterError, ResourceExists
from ...records import Plan, RunRecord, WorkflowRecord, address, encode
from ...store import Store
from ..closing import close_run, record_cached
from ..history import RunFolder, new_run_id, plan_url, write_run, write_workflow
from ..packing import Package, hide_own_folder
from ..shipping import ship
from .budget import measure
from .checking import check
from .client import ClusterClient
from .compiling import Target, compile_template, compile_workflow
from .resources import WORKFLOWS, WORKFLOWTEMPLATES
from .selecting import skipped

__all__ = ["Submission", "dry_run", "submit"]

# A template is new to Argo's controller for so long.
_NEW_S = 10.0
# How long to wait for the controller to begin; it may be down.
_BEGIN_S, _PAUSE_S = 5.0, 0.2


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What became of a submit.

    Args:
        run: The run's id, and the Workflow's name.
        template: Name of the WorkflowTemplate; None if every output was there, and no Workflow is needed.
        skipped: Stages that take no pod, since their outputs are in the store, or others were chosen.
        resumed: The run of an earlier submit, which was cut off.
        warnings: What a person should know; one line each.
    """

    run: str
    namespace: str
    template: str | None
    skipped: tuple[str, ...]
    resumed: bool = False
    warnings: tuple[str, ...] = ()


def submit(
    plan: Plan,
    package: Package,
    project: Path,
    store: Store,
    client: ClusterClient,
    target: Target,
    *,
    store_in_pods: str | None = None,
    cached: Collection[str] = (),
) -> Submission:
    """Start a run on a cluster.

    Args:
        package: The project's code, from `fireworks.workflow.shipping.pack_for`.
        store: As it is reached from here.
        store_in_pods: Its URL in pods; the same by default.
        cached: Stages that need no pod, because their outputs are there.

    Raises:
        ParameterError: If pods cannot reach the store, or what is to run needs an output that is not there.
        CompileError: With everything that Argo would take amiss.
        ClusterError: If the cluster does not take the Workflow.
    """
    url = _shared(store_in_pods or store.url)
    template, warnings = _checked(plan, target, url)
    content = [json.loads(encode(plan)), package.hash, url, client.server, asdict(target)]
    with _Token(project, store, address(content), plan, skipped(plan, cached, target.chosen)) as token:
        plan = ship(plan, package, project, store)
        _write(store, _record(token.run_id, plan, target.namespace), plan)
        if len(token.skip) == len(plan.stages):
            close_run(store, token.run_id, "succeeded")
            return _submission(token, target, None, warnings)
        made = _make(plan, client, target, template, token, plan_url(url, token.run_id))
        where = WorkflowRecord(server=client.server, namespace=target.namespace, uid=made["metadata"]["uid"])
        write_workflow(store, token.run_id, where)
        record_cached(store, token.run_id, plan, token.skip)
        return _submission(token, target, template["metadata"]["name"], warnings)


def _checked(plan: Plan, target: Target, url: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The template, looked at together with a Workflow like that of this run; and what to warn of."""
    template = compile_template(plan, target)
    run_id = new_run_id(plan.pipeline.name)
    place, name = plan_url(url, run_id), template["metadata"]["name"]
    workflow = compile_workflow(plan, target, template=name, run_id=run_id, plan_url=place)
    return template, tuple(check(template, workflow, measure(target.tasks(plan), template, workflow), target))


def _make(
    plan: Plan, client: ClusterClient, target: Target, template: dict[str, Any], token: "_Token", place: str
) -> dict[str, Any]:
    """The Workflow, as it is on the cluster now."""
    ensured = client.ensure(WORKFLOWTEMPLATES, template)
    name = ensured["metadata"]["name"]
    workflow = compile_workflow(plan, target, template=name, run_id=token.run_id, plan_url=place, skip=token.skip)
    made = _create(client, workflow, resumed=token.resumed)
    return _confirm(client, workflow, made, _made_at(made) - _made_at(ensured))


def _create(client: ClusterClient, workflow: dict[str, Any], *, resumed: bool) -> dict[str, Any]:
    try:
        return client.create(WORKFLOWS, workflow)
    except ResourceExists:
        # Ours: nobody else has the id.
        if not resumed:
            raise
        return client.get(WORKFLOWS, workflow["metadata"]["name"])


def _made_at(made: Mapping[str, Any]) -> float:
    """When an object was made, by the server's clock; seconds since the epoch."""
    return datetime.fromisoformat(made["metadata"]["creationTimestamp"]).timestamp()


def _confirm(
    client: ClusterClient, workflow: dict[str, Any], made: dict[str, Any], template_age_s: float
) -> dict[str, Any]:
    """See the Workflow begun, if its template is new; returns the Workflow that is there.

    Argo's controller hears of both by different ways. One that has not heard of the template gives the Workflow up for
    good, before anything of it has run: it is made again.
    """
    if template_age_s > _NEW_S:
        return made
    name, template = workflow["metadata"]["name"], workflow["spec"]["workflowTemplateRef"]["name"]
    deadline = time.monotonic() + _BEGIN_S
    while time.monotonic() < deadline:
        status = (client.find(WORKFLOWS, name) or {}).get("status") or {}
        if status.get("phase") == "Error" and f'"{template}" not found' in status.get("message", ""):
            client.delete(WORKFLOWS, name)
            time.sleep(_PAUSE_S)
            made = client.create(WORKFLOWS, workflow)
        elif status.get("phase"):
            break
        time.sleep(_PAUSE_S)
    return made


def dry_run(plan: Plan, client: ClusterClient, target: Target, store_in_pods: str) -> list[dict[str, Any]]:
    """Let the cluster check what a submit would make; make nothing.

    Returns:
        The objects, as the cluster would keep them.
    """
    template, _ = _checked(plan, target, _shared(store_in_pods))
    run_id = new_run_id(plan.pipeline.name)
    name = template["metadata"]["name"]
    workflow = compile_workflow(
        plan, target, template=name, run_id=run_id, plan_url=plan_url(_shared(store_in_pods), run_id)
    )
    known = client.find(WORKFLOWTEMPLATES, name)
    checked = known if known is not None else client.create(WORKFLOWTEMPLATES, template, dry_run=True)
    return [checked, client.create(WORKFLOWS, workflow, dry_run=True)]


class _Token:
    """The note that a submit is under way; removed when it comes to its end."""

    def __init__(self, project: Path, store: Store, digest: str, plan: Plan, skip: Collection[str]) -> None:
        self._project = project
        self._path = project / ".fireworks" / "pending" / f"{digest[:16]}.json"
        self._store = store
        self._pipeline = plan.pipeline.name
        self.run_id = ""
        # Of a submit that is continued, what it skipped: more may be there by now, and it is the same run all the same.
        self.skip = tuple(skip)
        self.resumed = False

    def __enter__(self) -> Self:
        noted = self._read()
        if noted is not None and RunFolder(self._store, noted[0]).end is None:
            self.run_id, self.skip, self.resumed = *noted, True
            return self
        self.run_id = new_run_id(self._pipeline)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        hide_own_folder(self._project)
        unfinished = self._path.with_suffix(f".{os.getpid()}")
        note = {"run": self.run_id, "skip": self.skip, "started_at": time.time()}
        unfinished.write_text(json.dumps(note), encoding="utf-8")
        unfinished.replace(self._path)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # After an error nobody knows how far it came: the next submit finds out.
        if kind is None:
            self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[str, tuple[str, ...]] | None:
        try:
            noted: Mapping[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            return str(noted["run"]), tuple(noted["skip"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def _shared(url: str) -> str:
    if url.startswith(("file:", "memory:", "/")):
        raise ParameterError(
            f"pods must reach the store, but {url} is on this machine. Pass --store s3://bucket/prefix, or set"
            " `store` or `store_in_pods` in [tool.fireworks]."
        )
    return url


def _record(run_id: str, plan: Plan, namespace: str) -> RunRecord:
    return RunRecord(
        id=run_id,
        pipeline=plan.pipeline.name,
        parameters=plan.parameters,
        seed=plan.seed,
        sample=plan.sample,
        runner="argo",
        host=socket.gethostname(),
        started_at=time.time(),
        stages=tuple(stage.name for stage in plan.stages),
        namespace=namespace,
    )


def _write(store: Store, record: RunRecord, plan: Plan) -> None:
    """The run's folder, or what is missing of it after a submit that was cut off."""
    folder = f"runs/{record.id}/"
    if not store.exists(f"{folder}plan.json"):
        write_run(store, record, plan)
    else:
        store.put_if_absent(f"{folder}run.json", encode(record))


def _submission(token: _Token, target: Target, template: str | None, warnings: tuple[str, ...]) -> Submission:
    return Submission(
        run=token.run_id,
        namespace=target.namespace,
        template=template,
        skipped=token.skip,
        resumed=token.resumed,
        warnings=warnings,
    )
