"""Templates that no Workflow uses. Neighbours: `fireworks.workflow.argo.tidying`, ``fireworks gc``."""

import json
import time

import pytest

from answering import Reply, answering, write_kubeconfig
from fireworks.cli import main

API = "/apis/argoproj.io/v1alpha1/namespaces/fireworks"
DAY = 24 * 3600


def made(name, age_s):
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_s))
    return {"metadata": {"name": name, "creationTimestamp": created}}


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWORKS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with answering() as running:
        write_kubeconfig(tmp_path / "config", running.url)
        templates = [made("used", 30 * DAY), made("unused", 8 * DAY), made("new", 6 * DAY)]
        workflows = [
            {"metadata": {"name": "a"}, "spec": {"workflowTemplateRef": {"name": "used"}}},
            {"metadata": {"name": "by-hand"}, "spec": {"entrypoint": "main"}},
        ]
        listed = {"metadata": {"resourceVersion": "1"}}
        running.on(f"GET {API}/workflowtemplates", Reply(body=listed | {"items": templates}))
        running.on(f"GET {API}/workflows", Reply(body=listed | {"items": workflows}))
        running.on(f"DELETE {API}/workflowtemplates/unused", Reply())
        yield running


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_templates_go_that_no_workflow_has_used_for_a_week(server, capsys, dry):
    assert 0 == main(["gc", "--context", "here", "--json", *dry])
    assert ["unused"] == json.loads(capsys.readouterr().out)["templates"]
    [asked] = server.asked(f"GET {API}/workflowtemplates")
    assert "app.kubernetes.io/part-of=fireworks,fireworks.io/run=" == asked["query"]["labelSelector"]
    deleted = [one["request"] for one in server.requests if one["request"].startswith("DELETE")]
    assert ([] if dry else [f"DELETE {API}/workflowtemplates/unused"]) == deleted


def test_a_store_without_runs_on_a_cluster_asks_none(server, capsys):
    assert 0 == main(["gc"])
    assert "removed 0 runs, 0 outputs, 0 objects, 0 B, in " in capsys.readouterr().out
    assert [] == server.requests


def test_a_cluster_that_is_away_keeps_its_templates(server, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("fireworks.cli.clusters._FIRST_S", 0.5)
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    assert 0 == main(["gc", "--context", "here"])
    told = capsys.readouterr()
    assert "templates stay, for the cluster did not answer" in told.err
    assert "0 templates" in told.out
