"""The README's commands on the real cluster, and the prophage finder's outputs there and here."""

import re
import shlex
import shutil

import pytest

from cluster.runs import PROPHAGES, ROOT
from fireworks import load_pipeline, run
from fireworks.testing.runners import output_hashes
from fireworks.workflow.history import RunFolder, list_runs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]


def test_the_readme_on_a_cluster_and_the_prophage_finder_gives_what_it_gives_here(say, store, tmp_path, report):
    """The README's commands, but for those of make, which brought the cluster here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## On a Kubernetes cluster\n.*?(?=^## )", text, re.MULTILINE | re.DOTALL)[0]
    commands = [shlex.split(line[2:]) for line in section.splitlines() if line.startswith("$ fireworks ")]
    assert ["doctor", "submit", "get"] == [words[1] for words in commands]
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for words in commands:
        say(*words[1:], folder=tmp_path)
    assert (tmp_path / "candidates.csv").stat().st_size > 0
    end = RunFolder(store, list_runs(store)[0]).end
    here = run(load_pipeline(str(PROPHAGES)), store=tmp_path / "here")
    there, expected = output_hashes(end), output_hashes(here)
    for name, found in expected.items():
        report(f"{name:<16} here {found[:12]}  cluster {there[name][:12]}")
    assert expected == there
