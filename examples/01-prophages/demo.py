"""Run the example and put table and figure into ``results/``.

python demo.py                                  what `make demo` does
python demo.py genome=mine.fa.gz known=null     the same on your own genome: parameters of the pipeline
"""

import os
import sys
from math import isnan
from pathlib import Path
from typing import Any

import fireworks
from fireworks.errors import FireworksError, ParameterError
from fireworks.workflow.profiles import load_profile
from fireworks.workflow.progress import display
from prophages import prophages

HERE = Path(__file__).resolve().parent
TITLE = "Regions like phage lambda in <i>Escherichia coli</i> K-12 MG1655"


def main() -> None:
    given = parameters(sys.argv[1:]) or {"title": TITLE}
    results = fireworks.run(prophages, given, store=load_profile(HERE).store, progress=display())
    evaluation = results["evaluation"].read()
    metrics = dict(zip(evaluation["metric"], evaluation["value"].tolist(), strict=True))
    figure, table = write(results["report"].read(), HERE / "results")
    print("\n".join(lines(metrics, results["candidates"].read(), f"table {table}  figure {figure}")))


def parameters(texts: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` by name."""
    for text in texts:
        if "=" not in text:
            raise ParameterError(f"a parameter must be given as NAME=VALUE, but got {text!r}. Write genome=mine.fa.gz.")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def lines(metrics: dict[str, float], candidates: Any, files: str) -> list[str]:
    """What was found and how far to trust it; where no prophage is known, the phage itself has to do."""
    rows = candidates.to_dataframe().df.to_dict("records")
    if isnan(metrics["auroc"]):
        return [regions(rows), f"held-out phage AUROC {metrics['auroc of held-out phage']:.3f}  {files}"]
    found = f"{regions(rows)}; known prophages hit: {hit(rows)}"
    return [f"lambda-like {pair(metrics, 'auroc lambda-like')}  {found}", f"{pair(metrics, 'auroc')}  {files}"]


def write(files: Any, folder: Path) -> list[str]:
    """Write the report's files; their paths, as seen from here."""
    folder.mkdir(exist_ok=True)
    for name, content in zip(files["name"], files["content"], strict=True):
        (folder / name).write_bytes(content)
    return [os.path.relpath(folder / name) for name in files["name"]]


def pair(metrics: dict[str, float], name: str) -> str:
    """The method's figure and the baseline's; n/a where a genome has no such windows."""
    return f"AUROC {number(metrics[name])} (baseline {number(metrics[f'baseline {name}'])})"


def number(value: float) -> str:
    return "n/a" if isnan(value) else f"{value:.3f}"


def regions(rows: list[dict[str, Any]]) -> str:
    """How many candidates there are, in words."""
    high = sum(row["phage_like"] for row in rows)
    unusual = len(rows) - high
    return f"{high} candidate{'' if high == 1 else 's'}, {unusual} unusual stretch{'' if unusual == 1 else 'es'}"


def hit(rows: list[dict[str, Any]]) -> str:
    """The known prophages that candidates overlap."""
    names = dict.fromkeys(name for row in rows if row["phage_like"] for name in row["known"].split(", ") if name)
    return ", ".join(names) or "none"


if __name__ == "__main__":
    try:
        main()
    except FireworksError as error:
        sys.exit(f"error: {error}")
