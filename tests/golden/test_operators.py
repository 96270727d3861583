"""The WorkflowTemplates of the ready-made stages, to the byte. Neighbour: `fireworks.workflow.argo.operators`.

After a change that is meant: FIREWORKS_WRITE_GOLDEN=1 pytest tests/golden, and read the difference.
"""

import os
from pathlib import Path

import pytest

from fireworks.workflow.argo.operators import render_operator
from fireworks.workflow.operators import describe, operator_names

OPERATORS = Path(__file__).parents[2] / "operators"


@pytest.mark.parametrize("name", operator_names())
def test_templates(name):
    made, golden = render_operator(describe(name)), OPERATORS / name / "template.yaml"
    if os.environ.get("FIREWORKS_WRITE_GOLDEN"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")
