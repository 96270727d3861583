"""What Argo is given for some pipelines, to the byte. Neighbour: `fireworks compile`.

After a change that is meant: FIREWORKS_WRITE_GOLDEN=1 pytest tests/golden, and read the difference.
"""

import os
import re
from pathlib import Path

import pytest

from fireworks.cli import main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IMAGE = "localhost/fireworks-stage:0123456789ab"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tiny", ["tests/projects/tiny/tiny.py:tiny", "-p", "shards=3"]),
        ("tiny-alone", ["tests/projects/tiny/tiny.py:tiny", "--no-fuse", "--argo-version", "4.1"]),
        ("prophages", ["examples/01-prophages/prophages.py:prophages"]),
        ("grid", ["examples/03-grid/grid.py:grid", "-p", "lengths=500,1000", "-p", "ks=2,3"]),
    ],
)
def test_compiled_pipelines(name, arguments, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    assert main(["compile", *arguments, "--image", IMAGE, "--output", str(tmp_path / "made.yaml")]) == 0
    assert ("", "") == capsys.readouterr()
    made, golden = (tmp_path / "made.yaml").read_text(encoding="utf-8"), HERE / f"{name}.yaml"
    if os.environ.get("FIREWORKS_WRITE_GOLDEN"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_the_documentation_shows_what_is_emitted():
    emitted = {line for file in HERE.glob("*.yaml") for line in file.read_text(encoding="utf-8").splitlines()}
    text = (ROOT / "docs" / "argo.md").read_text(encoding="utf-8")
    shown = [line for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    patterns = [re.escape(line).replace("…", ".*") for line in shown]
    assert len(patterns) > 40
    assert [] == [pattern for pattern in patterns if not any(re.fullmatch(pattern, line) for line in emitted)]
