"""What every folder below operators/ must have. Neighbours: `operators/README.md`, `fireworks.workflow.operators`."""

import ast
import re
from pathlib import Path

import pytest
import yaml

import fireworks.operators
from fireworks.workflow.argo.validator import validate
from fireworks.workflow.operators import describe, load_operator, operator_names

OPERATORS = Path(__file__).parents[2] / "operators"
NAMES = ["fasta-windows", "message-convert", "predict", "report", "sql-extract", "train-torch"]
FILES = {"README.md", "stage.py", "template.yaml", "example.yaml"}
COMMON = {"output", "file", "memory", "image"}
# The controller's settings in manifests/ add these to a workflow that says nothing of them.
ADDED = {"pod-gc-missing", "ttl-missing", "deadline-missing", "security-missing"}


def manifest(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_there_are_six_and_all_are_installed_exported_and_listed():
    assert NAMES == operator_names()
    assert NAMES == sorted(path.name for path in OPERATORS.iterdir() if path.is_dir() and path.name != "__pycache__")
    kustomization = manifest(OPERATORS / "kustomization.yaml")
    assert [f"{name}/template.yaml" for name in NAMES] == kustomization["resources"]
    assert [name.replace("-", "_") for name in NAMES] == sorted(fireworks.operators.__all__)
    readme = (OPERATORS / "README.md").read_text(encoding="utf-8")
    assert [] == [name for name in NAMES if f"({name}/README.md)" not in readme]
    assert "stages, not controllers" in readme.partition("\n\n")[2].partition("\n\n")[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_has_all_files_and_a_short_stage(name):
    folder = OPERATORS / name
    assert FILES == {path.name for path in folder.iterdir() if path.is_file()}
    lines = (folder / "stage.py").read_text(encoding="utf-8").splitlines()
    assert 60 >= len(lines)
    assert ast.get_docstring(ast.parse("\n".join(lines))).startswith(f"{name}: ")


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_names_every_parameter_with_its_default(name):
    text = (OPERATORS / name / "README.md").read_text(encoding="utf-8")
    operator = describe(name)
    rows = dict(re.findall(r"^\| `(\w+)`(?:, optional)? \| (.*) \|$", text, re.MULTILINE))
    assert [one.name for one in operator.parameters if one.is_file] + [
        one.name for one in operator.parameters if not one.is_file
    ] == list(rows)
    for one in operator.parameters:
        default = "must be given" if one.default is None else f"`{one.default}`" if one.default else "none"
        assert f"{'' if one.is_file else f'{default} | '}{one.text}" == rows[one.name]
    assert all(f"## {section}" in text for section in ("Inputs", "Output", "Parameters", "In Python"))


@pytest.mark.parametrize("name", NAMES)
def test_a_template_passes_on_every_parameter_and_is_that_of_any_stage(name):
    document = manifest(OPERATORS / name / "template.yaml")
    [template] = document["spec"]["templates"]
    operator = describe(name)
    expected = (
        {one.name for one in operator.parameters} | COMMON | ({"connection"} if operator.stage.secrets else set())
    )
    assert expected == {one["name"] for one in template["inputs"]["parameters"]}
    # Not a word that YAML takes for something else than a text.
    assert expected == {yaml.safe_load(one) for one in expected}
    text = (OPERATORS / name / "template.yaml").read_text(encoding="utf-8")
    assert [] == [one for one in expected if f"{{{{inputs.parameters.{one}}}}}" not in text]
    assert ["rows", "hash", "url"] == [one["name"] for one in template["outputs"]["parameters"]]
    assert "stage" == template["serviceAccountName"]


@pytest.mark.parametrize("name", NAMES)
def test_templates_and_examples_are_valid(name):
    templates = [manifest(OPERATORS / other / "template.yaml") for other in NAMES]
    example = manifest(OPERATORS / name / "example.yaml")
    assert [] == [str(one) for one in validate([example, *templates]) if one.rule not in ADDED]
    used = {task["templateRef"]["name"] for task in example["spec"]["templates"][0]["dag"]["tasks"]}
    assert name in used
    assert used <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_from_python_it_is_a_function_that_gives_a_stage(name):
    found = getattr(fireworks.operators, name.replace("-", "_"))
    assert load_operator(name) is found
    assert (name, "fireworks.operators", name.replace("-", "_")) == (found.name, found.ref.module, found.ref.function)
    assert name == describe(name).stage.name
