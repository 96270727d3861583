"""Records to JSON and back: every field, canonical bytes, and what is refused."""

import json
from dataclasses import MISSING, fields, replace

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from fireworks import records
from fireworks.errors import FormatError
from fireworks.records import (
    ObjectRecord,
    PipelineRef,
    Plan,
    Resources,
    ShardRecord,
    StagePlan,
    StateEdge,
    address,
    decode,
    encode,
)

KINDS = [getattr(records, name) for name in records.__all__ if name[0].isupper()]
VERSIONED = [kind for kind in KINDS if hasattr(kind, "version")]

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | finite | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)

for kind in KINDS:
    known = {}
    for field in fields(kind):
        if field.name == "version":
            known["version"] = st.just(1)
        elif field.type == dict[str, records.plan.Any]:
            known[field.name] = st.dictionaries(text, values, max_size=3)
        elif field.type is float or field.type == float | None:
            known[field.name] = finite
    st.register_type_strategy(kind, st.builds(kind, **known))

any_record = st.one_of([st.from_type(kind) for kind in KINDS])


def plan(**changes):
    stages = (StagePlan(name="a", recipe="r", ingredients={}), StagePlan(name="b", recipe="s", ingredients={}))
    whole = Plan(pipeline=PipelineRef(name="p", module="m", function="f"), parameters={}, seed=0, stages=stages)
    return replace(whole, **changes)


@given(any_record)
def test_records_come_back_as_they_were(record):
    data = encode(record)
    again = decode(type(record), data)
    assert again == record
    assert encode(again) == data


@given(any_record)
def test_bytes_are_canonical(record):
    data = encode(record)
    canonical = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Digits of floats are the encoder's own; everything else is as the standard library has it.
    assert json.loads(canonical) == json.loads(data)
    assert [*json.loads(data)] == sorted(json.loads(data))
    assert b"\n" not in data
    assert decode(type(record), canonical.encode()) == record


@given(st.dictionaries(text, values, max_size=5))
def test_the_order_of_keys_does_not_count(value):
    turned = dict(reversed(value.items()))
    assert encode(turned) == encode(value)
    assert address(turned) == address(value)


def test_an_address_is_the_blake3_of_the_canonical_bytes():
    record = ObjectRecord(key="k", size_bytes=3, hash="h")
    assert encode(record) == b'{"hash":"h","key":"k","size_bytes":3}'
    assert address(record) == blake3(b'{"hash":"h","key":"k","size_bytes":3}').hexdigest()


def test_a_whole_number_is_a_float_where_one_is_declared():
    assert encode(Resources(cpu=2)) == encode(Resources(cpu=2.0))
    assert address(Resources(cpu=2)) == address(decode(Resources, encode(Resources(cpu=2))))
    assert encode({"rate": 1}) != encode({"rate": 1.0})


@pytest.mark.parametrize("kind", VERSIONED)
@pytest.mark.parametrize("version", ["0", "2", "999999999999999999999999", "-1"])
def test_unknown_versions_are_refused(kind, version):
    with pytest.raises(FormatError, match=rf"a {kind.__name__} must have version 1, but got {version}\. Read it with"):
        decode(kind, f'{{"version":{version}}}'.encode())


@pytest.mark.parametrize("kind", VERSIONED)
@pytest.mark.parametrize("data", [b"{}", b'{"version":"1"}', b'{"version":null}', b'{"version":true}', b"[1]", b"1"])
def test_a_missing_version_is_refused(kind, data):
    with pytest.raises(FormatError, match=rf"a {kind.__name__} must be a JSON object with a version"):
        decode(kind, data)


@given(any_record, st.data())
def test_a_missing_field_is_refused(record, data):
    needed = [one.name for one in fields(record) if one.default is MISSING and one.default_factory is MISSING]
    if not needed:
        return
    gone = data.draw(st.sampled_from(needed))
    plain = json.loads(encode(record))
    del plain[gone]
    with pytest.raises(FormatError, match=rf"a {type(record).__name__} must .*`{gone}`"):
        decode(type(record), json.dumps(plain).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"nonsense",
        b'{"key":"k","size_bytes":3,"hash":"h"}garbage',
        b'{"key":"k","size_bytes":3,"hash":"h"',
        b'{"key":"k","size_bytes":"3","hash":"h"}',
        b'{"key":"k","size_bytes":3.5,"hash":"h"}',
        b'{"key":"k","size_bytes":1e999,"hash":"h"}',
        b'{"key":"k","size_bytes":NaN,"hash":"h"}',
        b'{"key":"\xff","size_bytes":3,"hash":"h"}',
        b'{"key":null,"size_bytes":3,"hash":"h"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda data: f"{data[:20]!r}",
)
@pytest.mark.parametrize("kind", [ObjectRecord, ShardRecord])
def test_what_is_no_record_is_refused(kind, data):
    with pytest.raises(FormatError, match=rf"a {kind.__name__} must .*Was the file altered\?") as caught:
        decode(kind, data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [2000, 100_000])
def test_deep_json_where_anything_may_stand_is_refused(depth):
    deep = b"[" * depth + b"]" * depth
    data = encode(plan(parameters={"p": "DEEP"})).replace(b'"DEEP"', deep)
    with pytest.raises(FormatError, match="a Plan must"):
        decode(Plan, data)


@given(any_record, st.data())
def test_every_cut_of_a_record_is_refused(record, data):
    whole = encode(record)
    with pytest.raises(FormatError):
        decode(type(record), whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_fields_that_are_not_known_are_passed_over():
    data = b'{"key":"k","size_bytes":3,"hash":"h","colour":[1,2]}'
    assert decode(ObjectRecord, data) == ObjectRecord(key="k", size_bytes=3, hash="h")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(number):
    with pytest.raises(FormatError, match=r"a Plan must hold finite numbers, .* but parameters\.a\.1\.b is not"):
        encode(plan(parameters={"a": [1, {"b": number}]}))
    with pytest.raises(FormatError, match="finite"):
        address(number)


@pytest.mark.parametrize("value", [object(), {1: 2}, "\ud800"])
def test_values_that_json_lacks_are_refused(value):
    with pytest.raises(FormatError, match="a Plan must hold what JSON can"):
        encode(plan(parameters={"a": value}))


def test_a_value_that_holds_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(FormatError, match="a Plan must hold what JSON can"):
        encode(plan(parameters={"a": loop}))


def test_a_record_whose_field_is_of_another_type_is_never_written():
    with pytest.raises(FormatError, match=r"Expected `int`, got `str` - at `\$\.size_bytes`"):
        encode(ObjectRecord(key="k", size_bytes="3", hash="h"))


def test_records_cannot_be_changed():
    with pytest.raises(AttributeError):
        plan().seed = 1


def test_a_plan_finds_its_stages():
    stages = (
        StagePlan(name="rows", recipe="r", ingredients={}),
        StagePlan(name="fit", recipe="r", ingredients={}, inputs=("rows",)),
        StagePlan(
            name="score", recipe="r", ingredients={}, inputs=("rows", "fit"), states=(StateEdge(stage="fit", name="m"),)
        ),
    )
    whole = plan(stages=stages)
    assert whole.stage("fit") is stages[1]
    assert whole.upstream("rows") == ()
    assert whole.upstream("score") == ("rows", "fit")
    with pytest.raises(KeyError, match="missing"):
        whole.stage("missing")
