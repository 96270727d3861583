"""The code of docs/guide.md runs, from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "guide.md"


def test_the_guide_is_a_program(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert 7 == len(blocks)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "guide.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "-W", "error", "guide.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert "" == done.stderr
    assert 0 == done.returncode
