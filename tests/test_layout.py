"""How the source is laid out: sizes, names, docstrings, links. Neighbours: every file of the project."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES, FUNCTION_LINES, README_LINES = 400, 40, 150
VAGUE = {"utils", "helpers", "common"}
# Lazy aliases of the original's import paths.
ALLOWED = {"fireworks/utils.py"}
# Written so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.}$-])/(?:root|work|home|Users)/\w")
REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.org|crates\.io|golang\.org|deb\.debian\.org|maven\.org)\b".replace(
        r"\.", r"[.]"
    )
)


def project_files() -> list[Path]:
    """What git tracks, and what it would: untracked files that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(ROOT / name for name in set(names) if name and (ROOT / name).is_file())


FILES = project_files()
SOURCES = [path for path in FILES if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def in_folder(*folders: str) -> list[Path]:
    return [path for path in SOURCES if path.relative_to(ROOT).parts[0] in folders]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    long = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                long[f"{name_of(path)}:{node.lineno} {node.name}"] = lines
    assert long == {}


@pytest.mark.parametrize("path", in_folder("fireworks", "benchmarks"), ids=name_of)
def test_a_module_names_its_neighbours(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "Comes in:" in docstring
    assert "Goes out:" in docstring.split("Comes in:")[-1]


@pytest.mark.parametrize("path", in_folder("tests", "examples"), ids=name_of)
def test_tests_and_examples_say_what_they_are(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_module_has_a_name_that_says_nothing():
    found = [name_of(path) for path in SOURCES if VAGUE & {path.stem, *path.relative_to(ROOT).parts[:-1]}]
    assert [name for name in found if name not in ALLOWED] == []


@pytest.mark.parametrize("pattern", [MACHINE, REGISTRY], ids=["machine", "registry"])
def test_nothing_depends_on_one_machine_or_registry(pattern):
    found = []
    for path in FILES:
        if path.name in {"go.mod", "go.sum"}:  # Modules are named by where they come from.
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name_of(path)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".md"], ids=name_of)
def test_links_lead_somewhere(path):
    prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert broken == []


def test_the_readme_opens_with_the_flow_and_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < README_LINES
    assert re.search(r"\]\(fireworks/", "\n".join(text.splitlines()[:15]))


def test_ci_runs_only_what_a_person_can_run():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    steps = re.search(r"for target in (.+);", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert steps is not None
    assert steps[1].split() == ["setup", "lint", "test", "demo", "test-cluster", "cluster-down"]
    assert set(steps[1].split()) <= targets


def test_the_design_page_names_every_package():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    packages = sorted(path.parent.name for path in (ROOT / "fireworks").glob("*/__init__.py"))
    assert [name for name in packages if f"`fireworks.{name}`" not in text] == []
