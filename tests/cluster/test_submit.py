"""`fireworks submit` and what looks at its runs, on the real cluster. Neighbour: `workflow.argo.submitting`."""

import json
from functools import partial

import pytest

from cluster.runs import UNRULY, result, stages_of_pods
from fireworks import load_pipeline, run
from fireworks.testing.runners import output_hashes
from fireworks.workflow.argo.resources import WORKFLOWS
from fireworks.workflow.history import RunFolder, list_runs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

# Kills itself before or after the named step.
DIE = """
import os, signal, sys
from fireworks.workflow.argo import submitting
from fireworks.workflow.argo.client import ClusterClient

when, owner, name = sys.argv.pop(1), *sys.argv.pop(1).split(".")
place = {"submitting": submitting, "ClusterClient": ClusterClient}[owner]
original = getattr(place, name)

def dying(*arguments, **options):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(place, name, dying)
from fireworks.cli import main
sys.exit(main())
"""


@pytest.fixture
def say(say, project):
    """Runs a command in the project."""
    return partial(say, folder=project)


def test_a_run_is_submitted_watched_and_fetched_and_only_what_changed_runs_again(say, project, store, client, tmp_path):
    expected = output_hashes(run(load_pipeline(f"{project}/tiny.py:tiny"), {"shards": 2}, store=tmp_path / "here"))
    arguments = ("submit", "tiny.py:tiny", "-p", "shards=2")
    first = result(say(*arguments, "--watch", "--json"))
    assert "succeeded" == first["status"]
    assert expected == {stage["name"]: stage["hash"] for stage in first["stages"]}
    say("get", "score", "-o", "score.csv")
    assert (project / "score.csv").stat().st_size > 0
    shown = json.loads(say("status", "--json").out)["stages"]
    assert [(name, "succeeded", 0) for name in expected] == [
        (stage["name"], stage["status"], stage["attempts_lost"]) for stage in shown
    ]
    assert "the table has 1000 rows" in say("logs", "report").out
    # The same again takes nothing, and no Workflow.
    again = result(say(*arguments, "--json"))
    assert (None, 5) == (again["template"], len(again["skipped"]))
    assert "succeeded" == RunFolder(store, again["run"]).end.status
    assert client.find(WORKFLOWS, again["run"]) is None
    # The training code changes: what comes before takes no pod.
    model = project / "tiny_model.py"
    model.write_text(model.read_text().replace("self.slope * message", "2 * self.slope * message"))
    changed = result(say(*arguments, "--wait", "--json"))
    stages = {stage["name"]: stage for stage in changed["stages"]}
    assert ["raw", "features"] == [name for name, stage in stages.items() if stage["cached"]]
    assert {"train", "score", "report"} == stages_of_pods(client, changed["id"])


STEPS = ["submitting.ship", "submitting._write", "ClusterClient.ensure", "ClusterClient.create"]


# After a step is before the next one.
@pytest.mark.invariant
@pytest.mark.parametrize(("when", "step"), [*(("before", step) for step in STEPS), ("after", STEPS[-1])])
def test_a_submit_that_is_killed_and_made_again_makes_one_workflow(say, store, client, when, step):
    # Its pods wait for a secret, and so take no time of others'.
    arguments = ("submit", f"{UNRULY}:unruly", "-p", "secret=not-there/token", "--json")
    say(when, step, *arguments, script=DIE, code=-9)
    made = result(say(*arguments))
    assert made["resumed"]
    assert [made["run"]] == list_runs(store)
    assert client.find(WORKFLOWS, made["run"]) is not None
    # A second submit that is meant is a second run.
    other = result(say(*arguments))
    assert not other["resumed"]
    assert {made["run"], other["run"]} == set(list_runs(store))


def test_a_dry_run_starts_nothing(say, store, client):
    assert "the cluster would take Workflow tiny-" in say("submit", "tiny.py:tiny", "--dry-run").out
    assert [] == list(store.list(""))
    # Other tests submit the same pipeline, each into a store of its own.
    made = client.list(WORKFLOWS, labels="fireworks.io/pipeline=tiny")
    assert [] == [one["metadata"]["name"] for one in made if store.url in str(one["spec"]["arguments"])]


def test_cancel_and_delete(say, store, client):
    made = result(say("submit", f"{UNRULY}:unruly", "-p", "how=sleep:300", "--json"))["run"]
    assert "must have ended to be deleted" in say("delete", made, code=1).err
    assert f"{made} cancelled\n" == say("cancel", made).out
    assert "cancelled" in say("watch", made, code=1).err
    say("delete", made)
    # Not by `list_runs`: a server may name a folder for a while that is empty.
    assert [] == list(store.list("runs/"))
    assert client.find(WORKFLOWS, made) is None


def test_what_goes_on_is_asked_of_the_cluster(say):
    pipeline = f"{UNRULY}:unruly"
    stuck = result(say("submit", pipeline, "-p", "secret=not-there/token", "--json"))["run"]
    asleep = result(say("submit", pipeline, "-p", "how=sleep:8", "--json"))["run"]
    assert "asleep\n" == say("logs", "--follow", asleep, "rows").out
    assert "waits: " in say("status", stuck).out
    assert "not-there" in say("status", stuck).out
    say("cancel", stuck)


def test_what_is_wrong_is_said_in_one_line(say, project, cluster):
    submit = ("submit", "tiny.py:tiny")
    assert "namespace" in say(*submit, "--namespace", "nowhere", code=1).err
    assert "context" in say(*submit, "--context", "nowhere", code=1).err
    assert "pods must reach the store" in say(*submit, "--store", str(project / "store"), code=1).err
    assert "must have a tag that stays" in say(*submit, "--image", "stage:latest", code=1).err
    (project / ".env").write_text("TOKEN=1")
    assert "secrets must not travel with code, but the project has .env" in say(*submit, code=1).err
    for line in (say(*submit, code=1).err, say(*submit, "--only", "scor", code=1).err):
        assert 1 == line.count("\n")


def test_a_package_that_only_the_image_lacks_is_named(say, project):
    """hera is here, for this test's own sake, and not in the image."""
    (project / "tiny_scale.py").write_text("import hera\n" + (project / "tiny_scale.py").read_text())
    done = result(say("submit", "tiny.py:tiny", "--wait", "--json", code=1))
    cause = next(stage["cause"] for stage in done["stages"] if stage["status"] == "failed")
    assert "it imports hera, which is not installed" in cause
