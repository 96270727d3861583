"""``fireworks compile``. Neighbours: `fireworks.cli.compile`; tests/golden has its output."""

import json
from pathlib import Path

import pytest
import yaml

from fireworks.cli import main

TINY = str(Path(__file__).parents[1] / "projects" / "tiny" / "tiny.py:tiny")
IMAGE = "localhost/fireworks-stage:0123456789ab"


@pytest.fixture
def say(capfd):
    """Compiles; gives exit code, stdout, stderr."""

    def call(*arguments, image=IMAGE):
        code = main(["compile", TINY, *arguments, *(["--image", image] if image else [])])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_yaml_and_json_are_the_same_two_objects(say, tmp_path):
    code, text, err = say()
    assert (0, "") == (code, err)
    template, workflow = yaml.safe_load_all(text)
    assert ("WorkflowTemplate", "Workflow") == (template["kind"], workflow["kind"])
    assert template["metadata"]["name"] == workflow["spec"]["workflowTemplateRef"]["name"]
    code, out, err = say("--json")
    assert {"apiVersion": "v1", "kind": "List", "items": [template, workflow]} == json.loads(out)
    assert (0, "", "") == say("-o", str(tmp_path / "file.yaml"))
    assert text == (tmp_path / "file.yaml").read_text(encoding="utf-8")


def test_parameters_that_leave_the_graph_as_it_is_leave_the_output_as_it_is(say):
    expected = say()
    assert expected == say("-p", "scale=3", "--seed", "9", "--sample", "5")
    assert expected != say("-p", "shards=2")


def test_options_reach_the_output(say):
    _, text, _ = say("--namespace", "lab", "--no-fuse", "--argo-version", "4.1", "--parallelism", "7")
    template, workflow = yaml.safe_load_all(text)
    assert ("lab", "lab", 7) == (
        template["metadata"]["namespace"], workflow["metadata"]["namespace"], template["spec"]["parallelism"],
    )  # fmt: skip
    tasks = template["spec"]["templates"][0]["dag"]["tasks"]
    assert ["raw", "features", "train", "score", "report"] == [task["name"] for task in tasks]
    assert "pendingTimeout: " in text


def test_a_profile_says_image_namespace_and_store(say, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    for file in Path(TINY).parent.iterdir():
        if file.is_file():
            (project / file.name).write_bytes(file.read_bytes())
    (project / "data").mkdir()
    (project / "data" / "numbers.csv").write_bytes((Path(TINY).parent / "data" / "numbers.csv").read_bytes())
    settings = '[tool.fireworks.profile.lab]\nimage = "x:1"\nnamespace = "lab"\nstore-in-pods = "s3://lab/store/"\n'
    (project / "pyproject.toml").write_text(settings, encoding="utf-8")
    code = main(["compile", f"{project}/tiny.py:tiny", "--profile", "lab", "-o", str(tmp_path / "out.yaml")])
    assert 0 == code
    template, workflow = yaml.safe_load_all((tmp_path / "out.yaml").read_text(encoding="utf-8"))
    assert "lab" == workflow["metadata"]["namespace"]
    name = template["metadata"]["name"]
    assert f"s3://lab/store/runs/{name}/plan.json" == workflow["spec"]["arguments"]["parameters"][0]["value"]
    assert "x:1" == template["spec"]["templates"][-1]["container"]["image"]


def test_the_budget_is_shown_without_the_objects(say):
    code, out, err = say("--budget")
    assert (0, "") == (code, err)
    assert "in 3 tasks" in out
    assert "an estimate" in out
    code, out, err = say("--budget", "--json")
    found = json.loads(out)
    assert (0, "", 5, 3, 4) == (code, err, found["stages"], found["tasks"], found["pods"])


def test_too_many_shards_are_refused_with_the_budget(say):
    code, out, err = say("-p", "shards=9000", "--budget")
    assert 1 == code
    assert "27,00" in out
    assert "error: a workflow at the end of its run must stay below 1,000,000 bytes" in err
    assert (1, "") == say("-p", "shards=9000")[:2]


def test_many_shards_are_warned_about(say):
    code, out, err = say("-p", "shards=150")
    assert 0 == code
    assert out.startswith("# The graph")
    assert "warning: the history of 453 pods passes 1 MiB" in err


@pytest.mark.parametrize(
    ("arguments", "image", "message"),
    [
        ([], None, "a stage needs an image, but no profile names one. Add --image NAME:TAG"),
        ([], "x:latest", "an image must have a tag that stays, or a digest, but got 'x:latest'."),
        (["--argo-version", "newest"], IMAGE, "--argo-version must be a version such as 4.1, but got 'newest'."),
        (["-p", "shrads=2"], IMAGE, "Did you mean 'shards'?"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(say, arguments, image, message):
    code, out, err = say(*arguments, image=image)
    assert (1, "", 1) == (code, out, err.count("\n"))
    assert err.startswith("error: ")
    assert message in err


def test_what_the_validator_finds_is_told_at_once(say):
    code, out, err = say("--namespace", "Lab")
    assert (1, "") == (code, out)
    assert all(line.startswith("error: ") and "Lab" in line for line in err.splitlines())
