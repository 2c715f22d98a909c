"""Laws of the lines: what is written reads back as what was sent, whatever stands in names, texts and numbers."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import pytest
from history_blocks import SECOND, T0, batch, block, some_blocks, stream
from hypothesis import example, given, settings
from hypothesis import strategies as st
from influx_peer import split
from influxdb_client import Point

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import NO_TIME, Flag, Row, Value
from receiver.outputs.base import EventBody, OtherBody, StateBody
from receiver.outputs.influx.dialect import for_server, outlier_field, without_texts
from receiver.outputs.influx.joining import quoted
from receiver.outputs.influx.line_group import grouped
from receiver.outputs.influx.lines import LineWriter, escaped
from receiver.outputs.influx.server_kind import INFLUXDB, QUESTDB, VICTORIA

Q = {0: 192, 1: 64, 2: 0, 3: 0}


def written(tag: Tag, rows: list[Row], asset: Asset | None = None) -> list[str]:
    """The lines of these rows of one tag."""
    of = stream(tags=[tag], assets=[asset or Asset(name=tag.asset)])
    return for_server(LineWriter().lines(block(of, 0, batch(rows))), INFLUXDB).decode().removesuffix("\n").split("\n")


def plain(row: Row, unsigned: bool) -> str:
    """The line that a row must give, made one by one, without its series."""
    code = row.quality
    tail = f"q={Q[code >> 30]}i" + ("" if code in (0, 1 << 30, 2 << 30) else f",sc={code}i")
    tail += f",native={row.native}i" if row.native else ""
    tail += f",other_after_ns={row.other_ns - row.time_ns}i" if row.other_ns != NO_TIME else ""
    value = row.value
    if isinstance(value, bool):
        tail = f"vb={str(value).lower()},{tail}"
    elif isinstance(value, int):
        value = value + 2**64 if unsigned and value < 0 else value
        tail = (f"vi={value}i," if 2**53 < abs(value) < 2**63 or value == -(2**63) else "") + tail
        tail = f"v={float(value)},{tail}"
        tail = f'vd="{value}",{tail}' if value >= 2**63 else tail
    elif isinstance(value, float):
        tail = f"v={value},{tail}" if math.isfinite(value) else tail
    elif isinstance(value, str):
        tail = f"vs={quoted(value)},{tail}"
    return f"{tail} {row.time_ns}"


def numbers(line: str) -> str:
    """A line with its float written one way (`1e+22` and `1e22` are one number)."""
    return re.sub(r"\bv=([^,]+)", lambda found: f"v={float(found[1])!r}", line)


@pytest.mark.parametrize("seed", range(6))
def test_lines_are_those_of_a_plain_loop(seed: int) -> None:
    """Built from columns, the lines are the ones that formatting each sample alone gives; refresh rows give none."""
    chance = random.Random(seed)
    of = stream()
    writer = LineWriter()
    for one in some_blocks(chance, of, 6, 40):
        rows = [row for row in one.body.columns.rows() if not row.flags & Flag.REFRESH]  # type: ignore[union-attr]
        want = sorted(numbers(plain(row, of.tags[row.tag].type == "uint64")) for row in rows)
        lines = for_server(writer.lines(one), INFLUXDB).decode().removesuffix("\n").split("\n")
        assert sorted(numbers(" ".join(map(str, split(line.encode())[1:]))) for line in lines) == want, f"seed {seed}"
        series = sorted(f"tag={of.tags[row.tag].name}" for row in rows)
        assert sorted(re.findall(r"(?<!\\),(tag=[^,]*),type=", line)[0] for line in lines) == series


REAL = st.floats(allow_nan=True, allow_infinity=True)
VALUE: st.SearchStrategy[Value] = st.one_of(
    REAL, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.text(max_size=12)
)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(VALUE, st.sampled_from([0, 0x40000000, 0x80000000, 0x80050000, 0x40900000, 2**32 - 1]))
def test_any_value_gives_one_line_that_reads_back(value: Value, quality: int) -> None:
    """Each sample is exactly one line; a float comes back with the same bits, q always says the class."""
    (line,) = written(Tag(id=0, asset="a", name="t"), [Row(0, T0, value, quality)])
    _, fields, time_ns = split(line.encode())
    assert time_ns == T0
    assert f"q={Q[quality >> 30]}i" in fields
    assert ("sc=" in fields) == (quality not in (0, 0x40000000, 0x80000000))
    if isinstance(value, float) and math.isfinite(value):
        assert float(fields.split(",")[0].removeprefix("v=")).hex() == value.hex()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        assert fields.startswith("q=")


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=20))
def test_names_are_escaped_as_the_vendors_client_does(name: str) -> None:
    """Commas, spaces and equal signs as influxdb-client writes them; what servers read in two ways is not written."""
    made = escaped(name)
    assert made
    assert not re.search(r"[\x00-\x1f\x7f]", made)
    assert not made.endswith("\\")
    if not re.search(r"[\x00-\x1f\x7f]|\\(\\*)([,= ]|$)", name) and name.strip():
        theirs = Point("m").tag("k", name).field("f", 1).to_line_protocol().removesuffix(" f=1i")
        assert made == theirs.removeprefix("m,k=")
    assert split(f"m,k={made} f=1i 5".encode())[1:] == ("f=1i", 5)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=20))
def test_texts_are_quoted_as_the_vendors_client_does(text: str) -> None:
    """A text field never ends its line; without control characters it is what influxdb-client writes."""
    made = quoted(text)
    assert split(f"m f={made} 5".encode())[1:] == (f"f={made}", 5)
    if not re.search(r"[\x00-\x1f\x7f]", text):
        assert f"m f={made}" == Point("m").field("f", text).to_line_protocol()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("a\\b", "a\\b"),
        ("a\\", "a/"),
        ("a\\\\ b", "a//\\ b"),
        ("\\,", "/\\,"),
        ("", "-"),
        (" ", "-"),
        ("a\nb", "a␊b"),
        ("a\x00b\x7f", "a␀b␡"),
        ("ä=1", "ä\\=1"),
    ],
)
def test_doubtful_names_have_one_reading(name: str, made: str) -> None:
    """A backslash stays where it is only a letter; where it could escape something it is written as a slash."""
    assert escaped(name) == made


def test_a_series_names_site_asset_and_tag_and_says_simulated() -> None:
    """Tags stand sorted by key; data from a simulator are told apart by a tag; nothing else is a tag."""
    tag = Tag(id=0, asset="pump 7", name="a,b=c", unit="bar")
    (line,) = written(tag, [Row(0, T0, 1.5)])
    assert line == rf"sample,asset=pump\ 7,site=north,tag=a\,b\=c,type=float64,unit=bar v=1.5,q=192i {T0}"
    (line,) = written(tag, [Row(0, T0, 1.5)], Asset(name="pump 7", simulated=True))
    assert line.startswith(r"sample,asset=pump\ 7,simulated=true,site=north,tag=")


@pytest.mark.parametrize(
    ("value", "unsigned", "fields"),
    [
        (7, False, "v=7.0"),
        (2**53, False, f"v={float(2**53)}"),
        (2**53 + 1, False, f"v={float(2**53 + 1)},vi={2**53 + 1}i"),
        (-(2**63), False, f"v={float(-(2**63))},vi={-(2**63)}i"),
        (2**64 - 1, True, f'vd="{2**64 - 1}",v={float(2**64)}'),
        (2**63 - 1, True, f"v={float(2**63)},vi={2**63 - 1}i"),
    ],
)
def test_integers_are_floats_and_exact_where_a_float_is_not(value: int, unsigned: bool, fields: str) -> None:
    """`v` is always a float, so its type never changes; beyond 2**53 `vi` holds the integer itself."""
    tag = Tag(id=0, asset="a", name="t", type="uint64" if unsigned else "int64")
    (line,) = written(tag, [Row(0, T0, value)])
    assert numbers(split(line.encode())[1]) == numbers(f"{fields},q=192i")


def test_states_and_events_have_measurements_of_their_own() -> None:
    """What is up or down, and what happened, is written beside the samples; the sender's own notes are not."""
    writer = LineWriter()
    state = StateBody(asset="pump-7", time_ns=T0, what="down", text='no "reply"\nat all')
    lines = [writer.lines(block(stream(), 1, state))]
    event = EventBody(
        asset="press-1", source="s", time_ns=T0, severity=700, code="E 4", text="t", state="active", sequence=9
    )
    lines.append(writer.lines(block(stream(), 2, event)))
    assert lines == [
        b'state,asset=pump-7,site=north,what=down text="no \\"reply\\" at all",n=1i,up=0i %d\n' % T0,
        b"event,asset=press-1,simulated=true,site=north,state=active "
        b'code="E 4",source="s",text="t",severity=700i,sequence=9i %d\n' % T0,
    ]
    assert [without_texts(line) for line in lines] == [
        b"state,asset=pump-7,site=north,what=down n=1i,up=0i %d\n" % T0,
        b"event,asset=press-1,simulated=true,site=north,state=active severity=700i,sequence=9i %d\n" % T0,
    ]
    passed = writer.lines(block(stream(), 2, replace(event, state="")))
    assert passed.startswith(b"event,asset=press-1,simulated=true,site=north code="), "an empty tag is refused"
    assert writer.lines(block(stream(), 3, StateBody(asset="", time_ns=T0, what="note", text=""))) == b""
    assert writer.lines(block(stream(), 4, OtherBody(kind=1, body={}))) == b""


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=16) | st.just('""'), st.text(max_size=16))
@example('""', "x")
def test_texts_can_be_taken_out_again(name: str, text: str) -> None:
    """Without its text field a line still is one line with the same series, quality and time, whatever the names."""
    tag = Tag(id=0, asset=name, name=f'{name}x="y",z', type="string")
    (line,) = written(tag, [Row(0, T0, text)])
    series, _, time_ns = split(line.encode())
    assert split(without_texts(line.encode())) == (series, "q=192i", time_ns)


def test_a_new_description_of_an_asset_is_taken_up() -> None:
    """After a page the beginnings of lines are made anew."""
    writer, tag = LineWriter(), Tag(id=0, asset="a", name="t")
    before = stream(tags=[tag], assets=[Asset(name="a")])
    after = stream(tags=[tag], assets=[Asset(name="a", simulated=True)])
    assert b"simulated" not in writer.lines(block(before, 1, batch([Row(0, T0, 1.0)])))
    writer.lines(block(after, 2, Page(index=0, assets=(Asset(name="a", simulated=True),), tags=(tag,))))
    assert b"simulated" in writer.lines(block(after, 3, batch([Row(0, T0, 1.0)])))


def test_many_streams_do_not_pile_up() -> None:
    """A receiver that saw a hundred starts of the packer keeps the tags of a few."""
    writer = LineWriter()
    for start in range(100):
        of = stream(start.to_bytes(8, "big"))
        assert writer.lines(block(of, 0, batch([Row(0, T0 + start * SECOND, 1.0)])))
    assert len(writer._known) <= 16


@pytest.mark.parametrize("seed", range(20))
def test_questdb_gets_numbers_for_booleans_whatever_names_and_texts_say(seed: int) -> None:
    """Only the field is changed, in every line that has it: what looks like it in a name or a text stays."""
    chance = random.Random(seed)
    words = (" vb=true,", '="x vb=false,', "vb", '="', "x", " vb=1i,", '"', "a vb=true")
    some = [("".join(chance.choices(words, k=3)), chance.choice(["bool", "string"])) for _ in range(5)]
    tags = [Tag(id=at, asset=name, name=name, type=kind) for at, (name, kind) in enumerate(some)]
    of = stream(tags=tags)
    values: list[Value] = [
        chance.random() < 0.5 if kind == "bool" else "".join(chance.choices(words, k=3)) for _, kind in some * 4
    ]
    lines = LineWriter().lines(block(of, 0, batch([Row(at % 5, T0 + at, one) for at, one in enumerate(values)])))
    have = [split(line) for line in for_server(lines, QUESTDB).splitlines()]
    want = [split(line) for line in lines.splitlines()]
    numbers = {"vb=true,q=192i": "vb=1i,q=192i", "vb=false,q=192i": "vb=0i,q=192i"}
    assert have == [(series, numbers.get(fields, fields), at) for series, fields, at in want], f"seed {seed}"


@pytest.mark.parametrize("ids", [(0, 1, 2), (5, 7, 9_000), (3, 70_000, 2**32 - 1)])
def test_a_tag_keeps_its_lines_whatever_its_id_and_whenever_it_comes(ids: tuple[int, int, int]) -> None:
    """Close or far apart, in any order, one after the other: each id's samples stand in its own series."""
    tags = [Tag(id=one, asset="a", name=f"t{one}") for one in ids]
    of, writer = stream(tags=tags), LineWriter()
    first, second, third = ids
    for number, each in enumerate([(second,), (third, second), (second, first), (first, third, second), (third,)]):
        rows = [Row(one, T0 + number * SECOND + at, float(at)) for at, one in enumerate(each)]
        lines = writer.lines(block(of, number, batch(rows))).decode().splitlines()
        assert sorted(lines) == sorted(
            f"sample,asset=a,site=north,tag=t{row.tag},type=float64 v={row.value},q=192i {row.time_ns}" for row in rows
        )


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_whole_lines_within_the_limits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting loses nothing, keeps lines whole and in order, and passes a limit only for one longer line."""
    monkeypatch.setattr("receiver.outputs.influx.line_group.GROUP_LINES", 7)
    monkeypatch.setattr("receiver.outputs.influx.line_group.GROUP_BYTES", 60)
    chance = random.Random(seed)
    lines = b"".join(b"x" * chance.choice([0, 3, 20, 90]) + b"\n" for _ in range(chance.randrange(80)))
    cut = [one.lines for one in grouped(lines)]
    assert b"".join(cut) == lines, f"seed {seed}"
    for group in cut:
        assert group.endswith(b"\n")
        assert group.count(b"\n") <= 7
        assert len(group) <= 60 or group.count(b"\n") == 1


def test_unit_and_type_are_of_the_series_and_codes_and_second_times_stand_beside_the_value() -> None:
    """A change from bar to kPa begins another series; native code and the second time reach the sink, exact."""
    rows = [Row(0, T0, 1.5, 0x80050000, 4, T0 - 250_000_000)]
    bar, kilo = (written(Tag(id=0, asset="a", name="t", unit=unit), rows)[0] for unit in ("bar", "kPa"))
    assert bar == (
        "sample,asset=a,site=north,tag=t,type=float64,unit=bar "
        f"v=1.5,q=0i,sc=2147811328i,native=4i,other_after_ns=-250000000i {T0}"
    )
    assert kilo.partition(" ")[0] == bar.partition(" ")[0].replace("bar", "kPa")


def test_a_second_time_that_no_number_holds_costs_no_value() -> None:
    """Times more than 292 years apart differ by more than 63 bits: the line goes without their difference."""
    rows = [Row(0, -5, 1.5, other_ns=2**63 - 1), Row(0, 0, 2.5, other_ns=2**63 - 1)]
    whole, fits = written(Tag(id=0, asset="a", name="t"), rows)
    assert whole.endswith(" v=1.5,q=192i -5")
    assert fits.endswith(" v=2.5,q=192i,other_after_ns=9223372036854775807i 0")


OUTLIERS = {
    3.4e38: "v_e35", 1e30: "v_e22", 1e22: "v_e22", 9.99e21: "v_e9", 1e9: "v_e9", -1e9: "v_e9", 999_999_999.9: "v",
    0.0: "v", 1e-6: "v", 9.9e-7: "v_em19", 1e-19: "v_em19", 9.9e-20: "v_em32", 5e-324: "v_em331", 1.7e308: "v_e308",
}  # fmt: skip


@pytest.mark.parametrize("value", OUTLIERS)
def test_an_outlier_has_a_field_of_its_decades_in_victoria_metrics(value: float) -> None:
    """Values of one field lie within 15 digits of each other; elsewhere every number stands in `v`."""
    assert outlier_field(value) == OUTLIERS[value]
    tag = Tag(id=0, asset="a", name="t")
    lines = LineWriter().lines(block(stream(tags=[tag], assets=[Asset(name="a")]), 0, batch([Row(0, T0, value)])))
    for kind, field in ((VICTORIA, OUTLIERS[value]), (INFLUXDB, "v"), (QUESTDB, "v")):
        _, fields, _ = split(for_server(lines, kind))
        name, _, told = fields.partition(",")[0].partition("=")
        assert (name, float(told)) == (field, value)


def test_questdb_gets_no_booleans_and_no_lone_backslash() -> None:
    """A boolean that is absent in a row would read false there, and a lone backslash in a tag would vanish."""
    tag = Tag(id=0, asset="a\\b c", name="t", type="bool")
    of = stream(tags=[tag], assets=[Asset(name="a")])
    lines = LineWriter().lines(block(of, 0, batch([Row(0, T0, True), Row(0, T0 + 1, False)])))
    made = for_server(lines, QUESTDB)
    assert b"asset=a\\\\b\\ c," in made
    assert [split(line)[1].partition(",")[0] for line in made.splitlines()] == ["vb=1i", "vb=0i"]
    assert for_server(made, QUESTDB) == made, "what is set aside may be sent again"


def test_another_scale_begins_another_series() -> None:
    """What the number of the device is multiplied by stands in the series: 0.1 never goes on as 0.01."""
    old, new = (
        Tag(id=at, asset="a b", name="t", conversion=f"int16 x {scale}") for at, scale in ((0, "0.1"), (1, "0.01"))
    )
    rows = [Row(0, T0, 1.5), Row(1, T0, 0.15), Row(1, T0, 0.16)]
    lines = LineWriter().lines(block(stream(tags=[old, new], assets=[Asset(name="a b")]), 0, batch(rows)))
    assert [split(line)[0] for line in sorted(lines.splitlines())] == [
        r"sample,asset=a\ b,conversion=int16\ x\ 0.01,seq=1,site=north,tag=t,type=float64",
        r"sample,asset=a\ b,conversion=int16\ x\ 0.01,site=north,tag=t,type=float64",
        r"sample,asset=a\ b,conversion=int16\ x\ 0.1,site=north,tag=t,type=float64",
    ]


def test_names_that_differ_in_control_characters_alone_are_two_series() -> None:
    """Each has a picture of its own."""
    assert len({escaped(f"a{chr(code)}b") for code in (*range(33), 127)}) == 34
