"""What a module depends on is read from its import statements."""

import pytest

from fireworks.workflow.imports import Project, distribution_version


@pytest.fixture
def project(tmp_path):
    files = {
        "main.py": "import os, numpy\nfrom pkg.deep import mod\nfrom . import sibling\n",
        "sibling.py": "",
        "unused.py": "",
        "pkg/__init__.py": "",
        "pkg/deep/__init__.py": "from ..other import thing\n",
        "pkg/deep/mod.py": "def f():\n    import lazy\n",
        "pkg/other.py": "import not_installed_anywhere\n",
        "lazy.py": "import main\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(tmp_path, tmp_path)


def test_closure_follows_imports_through_the_project(project):
    found = project.closure([project.root / "main.py"])
    assert {"main", "pkg", "pkg.deep", "pkg.deep.mod", "pkg.other", "lazy", "sibling"} == set(found.files)
    assert {"numpy", "not_installed_anywhere"} == found.distributions


def test_hash_follows_content(project):
    before = project.closure([project.root / "main.py"]).hashes()
    (project.root / "pkg/other.py").write_text("import not_installed_anywhere  # edited\n")
    after = project.closure([project.root / "main.py"]).hashes()
    assert ["pkg.other"] == [name for name in before if before[name] != after[name]]


def test_versions_of_distributions_whose_name_differs_from_the_module():
    name, number = distribution_version("yaml") or distribution_version("_pytest")
    assert name.lower() in {"pyyaml", "pytest"}
    assert number[0].isdigit()


def test_what_was_never_installed_has_no_version():
    assert distribution_version("not_installed_anywhere") is None
