"""Example 03 on the real cluster: the README's own command gives what it gives here. Neighbour: `examples/03-grid`."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from cluster.provider.images import stage_image
from cluster.runs import ROOT
from fireworks import load_pipeline, run
from fireworks.testing.runners import output_hashes
from fireworks.workflow.argo.observing import remove
from fireworks.workflow.history import RunFolder, list_runs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "examples" / "03-grid"


def test_the_readme_s_grid_gives_on_the_cluster_what_it_gives_here(store, client, tmp_path):
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^\$ (fireworks submit .*)$", text, re.MULTILINE)
    folder = shutil.copytree(EXAMPLE, tmp_path / "grid", ignore=shutil.ignore_patterns(".fireworks"))
    environment = {**os.environ, "FIREWORKS_STORE": store.url, "FIREWORKS_IMAGE": stage_image()}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    words = [
        sys.executable,
        "-c",
        "import sys; from fireworks.cli import main; sys.exit(main())",
        *shlex.split(line)[1:],
    ]
    try:
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        [run_id] = list_runs(store)
        end = RunFolder(store, run_id).end
        given = dict(pair.split("=") for pair in shlex.split(line) if "=" in pair)
        here = run(load_pipeline(f"{folder / 'grid.py'}:grid"), given, store=tmp_path / "here")
        assert output_hashes(here) == output_hashes(end)
        assert len(here.stages) == 8
    finally:
        for run_id in list_runs(store):
            remove(client, run_id)
