"""Tables from files, and figures of tables."""

import gzip
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks
from fireworks import File, Message, Pipe, Stage
from fireworks.errors import ColumnNotFound, FormatError, GraphError, SchemaError, SourceError
from fireworks.testing import pipes as conformance
from fireworks.toolbox import FilePipe, PlotPipe
from fireworks.toolbox.files import split_manifest

FRAME = pd.DataFrame({"name": ["a", "b", "c", "d"], "x": [1.5, 2.5, -1.0, 0.0], "n": [1, 2, 3, 4]})


def written(folder, ending):
    path = folder / f"rows{ending}"
    match ending:
        case ".csv":
            FRAME.to_csv(path, index=False)
        case ".csv.gz":
            path.write_bytes(gzip.compress(FRAME.to_csv(index=False).encode()))
        case ".parquet":
            FRAME.to_parquet(path)
        case ".arrow":
            Message(FRAME).save(path)
    return path


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".arrow"])
def test_a_table_is_read_by_its_ending(ending, remote, tmp_path):
    path = written(tmp_path, ending)
    pipe = FilePipe(File(path.as_uri() if remote else path))
    assert FRAME.to_dict("list") == {name: list(pipe[:][name]) for name in FRAME}
    conformance.check_random_access(pipe)
    conformance.check_reset(FilePipe(path))
    conformance.check_state(lambda: FilePipe(path), n_items=2, resumes=True)
    conformance.check_arguments(FilePipe(path))
    assert b"2.5" not in pickle.dumps(pipe)


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("rows.tsv", b"a\n1", SourceError, "must end in .csv, .csv.gz, .parquet, .arrow, but got .*rows.tsv"),
        ("rows.csv", b"", FormatError, "must hold what its ending says, but: Empty CSV file"),
        ("rows.csv", b"a,b\n1,2,3,4\n5\n6,7,8\n", FormatError, "rows.csv must hold"),
        ("rows.csv.gz", gzip.compress(b"a\n1\n" * 1000, mtime=0)[:-9], FormatError, "rows.csv.gz must hold"),
        ("rows.parquet", b"PAR1 torn", FormatError, "rows.parquet must hold"),
        ("rows.arrow", b"no arrow", FormatError, "rows.arrow must hold what its ending says, but: a Message file"),
    ],
)
def test_what_is_no_table_is_named(name, content, kind, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(kind, match=message):
        FilePipe(path)[:]


@fireworks.pipeline
def counted(n: int = 10):
    return Stage(Pipe(Message({"n": torch.arange(n)})), name="counted")


def test_an_output_in_a_store_is_read_by_its_manifest(tmp_path):
    end = fireworks.run(counted, {"n": 1000}, store=tmp_path / "store")
    folder = tmp_path / "store" / "outputs" / end.stages[0].fingerprint
    for location in (folder / "manifest.json", (folder / "manifest.json").as_uri()):
        pipe = FilePipe(File(location))
        assert (1000, 998) == (len(pipe), int(pipe[998]["n"][0]))
        conformance.check_random_access(pipe)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("manifest.json", SourceError, "must be <store>/outputs/<fingerprint>/manifest.json"),
        ("outputs/f/manifest.json", FormatError, "a Manifest must be"),
    ],
)
def test_what_is_no_output_is_named(name, kind, message, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    with pytest.raises(kind, match=message):
        split_manifest(File(path))


ROWS = Message({"x": torch.arange(20.0), "y": torch.arange(20.0) ** 2, "group": np.array(["a", "b"] * 10)})


def page(rows=ROWS, **options):
    [row] = PlotPipe(rows, **options)
    assert "report.html" == row["name"][0]
    return row["content"][0].decode()


def traces(text):
    found = re.search(r'Plotly.newPlot\(\s*"report",\s*(\[.*?\]),\s*\{"', text, re.DOTALL)
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("line", ["scatter"]), ("points", ["scatter"]), ("bar", ["bar"]), ("histogram", ["histogram"])],
)
def test_columns_are_drawn(kind, expected):
    text = page(y=["y"], x="x", kind=kind, title="Squares")
    assert expected == [trace["type"] for trace in traces(text)]
    assert "Squares" in text
    assert "<script src=" not in text


def test_equal_rows_give_an_equal_page():
    assert page(y=["y"]) == page(y=["y"])


def test_groups_and_columns_have_traces_of_their_own():
    assert ["y a", "x a", "y b", "x b"] == [one["name"] for one in traces(page(y=["y", "x"], colour="group"))]
    assert ["a", "b"] == [one["name"] for one in traces(page(y=["y"], colour="group"))]


def test_many_rows_are_thinned_and_the_page_says_so():
    many = Message({"x": torch.arange(1000.0)})
    assert "100 of 1,000 rows, evenly spaced" in page(many, y=["x"], most=100)
    assert "evenly spaced" not in page(many, y=["x"], most=100, kind="histogram")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"y": ["z"]}, ColumnNotFound, "must be one of .*, but got 'z'"),
        ({"y": ["group"]}, SchemaError, "one number a row, but 'group' is"),
        ({"y": ["wide"]}, SchemaError, "'wide' is float32 of shape \\[20, 2\\]"),
        ({"y": []}, GraphError, "`y` names none"),
        ({"y": ["x"], "kind": "lines"}, GraphError, "Did you mean 'line'"),
    ],
)
def test_what_cannot_be_drawn_is_named(options, kind, message):
    rows = Message(ROWS)
    rows["wide"] = torch.ones(20, 2)
    with pytest.raises(kind, match=message):
        page(rows, **options)
