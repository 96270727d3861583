"""Submits to an API that is scripted: what a real one does one time in a hundred. Neighbour: `argo.submitting`."""

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from answering import Reply, answering, write_kubeconfig
from fireworks import load_pipeline, run
from fireworks.errors import ClusterUnavailable
from fireworks.records import WorkflowRecord
from fireworks.store import open_store
from fireworks.workflow import cut
from fireworks.workflow.argo import submitting
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.compiling import Target
from fireworks.workflow.history import RunFolder, list_runs
from fireworks.workflow.shipping import pack_for
from fireworks.workflow.summary import summarize

TINY = Path(__file__).parents[1] / "projects" / "tiny"
RUN = "tiny-20261121-104512-3fa9"
API = "/apis/argoproj.io/v1alpha1/namespaces/fireworks"


def workflow(**status):
    return Reply(
        body={"metadata": {"name": RUN, "uid": "7f0c", "creationTimestamp": "2026-11-21T10:45:12Z"}, "status": status}
    )


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    """Submits to a cluster that made the template then, and says this of the Workflow; its requests about it."""
    monkeypatch.setattr(submitting, "new_run_id", lambda pipeline: RUN)
    project = shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks"))
    pipeline = load_pipeline(f"{project}/tiny.py:tiny")
    plan = cut(pipeline, {})

    def call(made_at, *seen):
        with answering() as server:
            write_kubeconfig(tmp_path / "config", server.url)
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
            template = {"metadata": {"name": "tiny-0123456789", "creationTimestamp": made_at}}
            server.on(f"POST {API}/workflowtemplates", Reply(201, template))
            server.on(f"POST {API}/workflows", workflow())
            server.on(f"GET {API}/workflows/{RUN}", *seen)
            server.on(f"DELETE {API}/workflows/{RUN}", Reply())
            submitting.submit(
                plan,
                pack_for(plan, pipeline.project),
                project,
                open_store(tmp_path / "store"),
                ClusterClient(),
                Target(image="localhost/stage:1", namespace="fireworks"),
                store_in_pods="s3://bucket/store",
            )
            return [one["request"].split()[0] for one in server.requests if "/workflows" in one["request"]]

    return call


LOST = 'workflowtemplates.argoproj.io "tiny-0123456789" not found'


def test_a_workflow_given_up_for_a_template_that_is_new_is_made_again(submitted):
    seen = [workflow(), workflow(phase="Error", message=LOST), workflow(phase="Running")]
    assert ["POST", "GET", "GET", "DELETE", "POST", "GET"] == submitted("2026-11-21T10:45:11Z", *seen)


def test_other_errors_are_the_run_s(submitted):
    assert ["POST", "GET"] == submitted("2026-11-21T10:45:11Z", workflow(phase="Error", message="invalid spec"))


def test_a_template_of_old_is_known(submitted):
    assert ["POST"] == submitted("2026-11-20T10:45:11Z", workflow(phase="Error", message=LOST))


def test_a_controller_that_is_down_is_not_waited_for(submitted, monkeypatch):
    monkeypatch.setattr(submitting, "_BEGIN_S", 0.5)
    assert 1 == submitted("2026-11-21T10:45:11Z", workflow()).count("POST")


class Cluster:
    """Takes objects, until it is told to fail."""

    server, namespace = "https://cluster.example.org:6443", "fireworks"

    def __init__(self):
        self.made, self.failing = [], True

    def ensure(self, resource, body):
        return body | {"metadata": body["metadata"] | {"creationTimestamp": "2026-11-20T10:45:12Z"}}

    def create(self, resource, body):
        if self.failing:
            raise ClusterUnavailable("gone")
        self.made.append(body)
        return body | {"metadata": body["metadata"] | {"uid": "7f0c", "creationTimestamp": "2026-11-21T10:45:12Z"}}


@pytest.mark.parametrize("with_git", [False, True])
def test_a_submit_that_was_cut_off_goes_on_with_the_run_it_began(tmp_path, with_git):
    """Though a stage has come to its end meanwhile; and though git ignores nothing, not even the token."""
    project = shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks"))
    if with_git:
        subprocess.run(["git", "init", "-q", str(project)], check=True)
    pipeline = load_pipeline(f"{project}/tiny.py:tiny")
    plan, store, cluster = cut(pipeline, {}), open_store(tmp_path / "store"), Cluster()
    target = Target(image="localhost/stage:1", namespace="fireworks")

    def submit(cached=(), target=target):
        package = pack_for(plan, project)
        return submitting.submit(
            plan, package, project, store, cluster, target, store_in_pods="s3://b/s", cached=cached
        )

    with pytest.raises(ClusterUnavailable):
        submit()
    [begun] = list_runs(store)
    # What others submit meanwhile is another run.
    with pytest.raises(ClusterUnavailable):
        submit(target=replace(target, chosen=("raw",)))
    cluster.failing = False
    made = submit(cached=["raw"])
    assert (begun, True, ()) == (made.run, made.resumed, made.skipped)
    assert [begun] == [one["metadata"]["name"] for one in cluster.made]
    assert "" == cluster.made[0]["spec"]["arguments"]["parameters"][1]["value"]
    assert WorkflowRecord(server=cluster.server, namespace="fireworks", uid="7f0c") == RunFolder(store, begun).workflow
    other = submit(cached=["raw"])
    assert (False, ("raw",)) == (other.resumed, other.skipped)


def test_what_is_in_the_store_is_recorded_as_cached_at_once(tmp_path):
    project = shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks"))
    pipeline, store = load_pipeline(f"{project}/tiny.py:tiny"), open_store(tmp_path / "store")
    run(pipeline, store=store)
    plan, cluster = replace(cut(pipeline, {}), force=("report",)), Cluster()
    cluster.failing = False
    target = Target(image="localhost/stage:1", namespace="fireworks")
    package, cached = pack_for(plan, project), [stage.name for stage in plan.stages]
    made = submitting.submit(plan, package, project, store, cluster, target, store_in_pods="s3://b/s", cached=cached)
    assert {stage.name for stage in plan.stages} - {"report"} == set(made.skipped)
    recorded = RunFolder(store, made.run).stage_results()
    assert set(made.skipped) == {name for name, result in recorded.items() if result.cached}
    assert {"succeeded": len(made.skipped), "waiting": 1} == Counter(
        stage.status for stage in summarize(RunFolder(store, made.run)).stages
    )
