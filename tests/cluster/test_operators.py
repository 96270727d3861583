"""Ready-made stages on the real cluster, by `kubectl` and `templateRef` alone. Neighbours: `operators/`."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cluster.provider.images import stage_image
from fireworks import File
from fireworks.toolbox import FilePipe
from fireworks.workflow.argo.resources import PODS, WORKFLOWS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "01-prophages" / "data"
NAMES = ["fasta-windows", "message-convert", "predict", "report", "sql-extract", "train-torch"]
# Of one pod: what it is told must arrive as it was written.
QUERY = """SELECT '{"it''s": "\\\\ %"}' AS quoted,
       :x AS x"""


def copied_for(image, folder):
    """The folder of operators, with this image in its kustomization, set as a person does."""
    copy = Path(shutil.copytree(ROOT / "operators", folder / "operators"))
    kustomization = copy / "kustomization.yaml"
    name, _, tag = image.rpartition(":")
    text = kustomization.read_text(encoding="utf-8")
    text = text.replace("newName: fireworks-stage", f"newName: {name}").replace("unset", tag)
    kustomization.write_text(text, encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def installed(cluster, tmp_path_factory):
    """As operators/README.md says: the image is set in the kustomization, then all is applied."""
    folder = copied_for(stage_image(), tmp_path_factory.mktemp("installed"))
    with (folder / "kustomization.yaml").open("a", encoding="utf-8") as kustomization:
        kustomization.write(f"namespace: {cluster.namespace}\n")
    applied = cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(folder))
    assert sorted(f"workflowtemplate.argoproj.io/{name}" for name in NAMES) == sorted(
        line.split()[0] for line in applied.splitlines()
    )
    labels = "app.kubernetes.io/component=operator,app.kubernetes.io/part-of=fireworks"
    labels += ",app.kubernetes.io/managed-by=kustomize,app.kubernetes.io/name"
    found = cluster.kubectl("get", "workflowtemplates", f"--namespace={cluster.namespace}", "-l", labels, "-o", "name")
    assert len(NAMES) == len(found.split())
    yield folder
    cluster.kubectl("delete", "-k", str(folder), "--wait=false")


@pytest.mark.parametrize("tag", ["279193733776", "1234567890e1"])
def test_a_tag_that_could_be_a_number_stays_a_text(cluster, tmp_path, tag):
    made = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(copied_for(f"lab/stage:{tag}", tmp_path)))))
    assert len(NAMES) == len(made)
    for template in made:
        values = [one.get("value") for one in template["spec"]["arguments"]["parameters"]]
        assert f"lab/stage:{tag}" in values, template["metadata"]["name"]


@pytest.fixture
def data(store, tmp_path):
    """What the examples read, where `store` leads."""
    table = pd.read_csv(DATA / "prophages-ecoli-k12.csv")
    with closing(sqlite3.connect(tmp_path / "prophages.sqlite")) as connection:
        table.to_sql("prophages", connection, index=False)
    for path in (DATA / "lambda.fa.gz", DATA / "prophages-ecoli-k12.csv", tmp_path / "prophages.sqlite"):
        store.put(path.name, path)
    return table


@pytest.fixture
def start(cluster, client, store, installed, tmp_path):
    """Creates a Workflow with `kubectl create`; gives its name."""
    made = []

    def call(document):
        parameters = {one["name"]: one for one in document["spec"]["arguments"]["parameters"]}
        parameters["store"]["value"] = store.url
        document["metadata"]["namespace"] = cluster.namespace
        file = tmp_path / "workflow.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        answer = cluster.kubectl("create", f"--filename={file}", "--output=json")
        made.append(json.loads(answer)["metadata"]["name"])
        return made[-1]

    yield call
    for name in made:
        client.delete(WORKFLOWS, name)


def example(name):
    return yaml.safe_load((ROOT / "operators" / name / "example.yaml").read_text(encoding="utf-8"))


def quoting():
    """A query whose text is hard to pass on, in the example of sql-extract."""
    document = example("sql-extract")
    given = document["spec"]["templates"][0]["dag"]["tasks"][0]["arguments"]["parameters"]
    changed = {"query": QUERY, "values": '{"x": "a \\"b\\" \\\\ c"}', "file": ""}
    for one in given:
        one["value"] = changed.get(one["name"], one["value"])
    return document


def outputs(client, name, limit_s=500):
    """Task → its output parameters, once the Workflow has succeeded."""
    deadline = time.monotonic() + limit_s
    while True:
        status = client.get(WORKFLOWS, name).get("status", {})
        if status.get("phase") in {"Succeeded", "Failed", "Error"}:
            nodes = [node for node in status["nodes"].values() if node["type"] == "Pod"]
            assert "Succeeded" == status["phase"], [node.get("message") for node in nodes]
            return {
                node["templateRef"]["name"]: {one["name"]: one["value"] for one in node["outputs"]["parameters"]}
                for node in nodes
                if node["phase"] == "Succeeded"
            }
        assert time.monotonic() < deadline, f"{name} must end within {limit_s} s: {status}"
        time.sleep(1)


def check_pod(client, name):
    """It is that of any stage."""
    deadline = time.monotonic() + 120
    while not (pods := client.list(PODS, labels=f"workflows.argoproj.io/workflow={name}")):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    [pod] = pods
    [main] = [one for one in pod["spec"]["containers"] if one["name"] == "main"]
    assert ("stage", stage_image()) == (pod["spec"]["serviceAccountName"], main["image"])
    assert {"memory": "2Gi"} == main["resources"]["limits"]
    assert main["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert "message-convert" == pod["metadata"]["labels"]["fireworks.io/operator"]


def test_every_example_runs_and_its_result_is_fetched(start, client, store, data):
    started = {name: start(example(name)) for name in NAMES} | {"quoting": start(quoting())}
    check_pod(client, started["message-convert"])
    ended = {name: outputs(client, workflow) for name, workflow in started.items()}
    facts = {name: ended[name][name] for name in NAMES}
    # Of 48,502 bases, in steps of 500.
    assert ("96", str(len(data))) == (facts["fasta-windows"]["rows"], facts["predict"]["rows"])
    for name in NAMES:
        rows = FilePipe(File(f"{facts[name]['url']}manifest.json"))
        assert facts[name]["rows"] == str(len(rows))
        assert len(facts[name]["hash"]) == 64
    # Two pods trained the same at the same time, or one found what the other had done.
    assert facts["train-torch"] == ended["predict"]["train-torch"]
    written = {info.key for info in store.list("") if "/" not in info.key}
    assert {"prophages.parquet", "predicted.csv", "long.csv", "prophages.html"} <= written
    assert b"Plotly" in store.get("prophages.html")
    long = FilePipe(File(f"{store.url}/long.csv"))[:]
    expected = data[data.end - data.start > 20000]
    assert dict(zip(expected.name, expected.end - expected.start, strict=True)) == dict(
        zip(long["name"], long["length"], strict=True)
    )
    quoted = FilePipe(File(f"{ended['quoting']['sql-extract']['url']}manifest.json"))[:]
    assert ['{"it\'s": "\\\\ %"}', 'a "b" \\ c'] == [quoted["quoted"][0], quoted["x"][0]]
