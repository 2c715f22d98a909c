"""Laws of receiver.toml: every mistake is named with its key at once, and nothing in it leads back to the sender."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocol.errors import ConfigError
from protocol.settings.findings import Findings
from receiver import catch_file
from receiver.config import ReceiverConfig, _look_at_outputs, load
from receiver.governed.authority import LATEST
from receiver.governed.people.secret_store import NAME as PEOPLE
from receiver.governed.trail.trail_file import NAME as TRAIL
from receiver.outputs.influx.settings import InfluxTable
from receiver.outputs.scope import Scope
from receiver.portal.keeping.thing_store import NAME as DESK
from receiver.settings import InletTable

EXAMPLE = Path(__file__).parents[2] / "examples" / "receiver.toml"

LEAST = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys/low"
senders = ["keys/high.pub", "/elsewhere/other.pub"]
"""

OUTPUT = """
[[output]]
kind = "influx"
name = "one"
url = "http://x"
bucket = "b"
token_file = "t"
"""


def read(folder: Path, text: str) -> ReceiverConfig:
    """Load a file of this content."""
    path = folder / "receiver.toml"
    path.write_text(text)
    return load(path)


def mistakes(folder: Path, text: str) -> dict[str, str]:
    """Key -> what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    assert "--check" in caught.value.hint
    lines = [re.sub(r" \(line [0-9]+\)$", "", line) for line in str(caught.value).split("\n")[1:]]
    return {key.split(" (")[0].strip(): rest for key, _, rest in (line.partition(": ") for line in lines)}


def test_the_example_is_right_and_says_everything() -> None:
    """It loads, and every key of every table stands in it; a key that is left out at first stands in a comment."""
    config = load(EXAMPLE)
    assert config.state == EXAMPLE.parent / "state"
    text = EXAMPLE.read_text()
    for model in (InletTable, type(config.keys), type(config.retention), type(config.portal)):
        for key in model.model_fields:
            left_out = model is type(config.portal) and model.model_fields[key].default in (None, ())
            assert f"\n{key} = " in text or (left_out and f"\n# {key} = " in text), key


def test_the_least_file_has_the_stated_defaults(tmp_path: Path) -> None:
    """7 days, 400 days, 200 GB, 64 MiB, the page on this machine only; paths are the file's own."""
    config = read(tmp_path, LEAST)
    assert config.inlet.listen == ("127.0.0.1", 5005)
    assert config.inlet.buffer_mib == 64
    assert (config.retention.journal, config.retention.history) == (7 * 86400, 400 * 86400)
    assert config.retention.max_gb == 200
    assert config.portal.listen == ("127.0.0.1", 8600)
    assert config.keys.own == tmp_path / "keys/low"
    assert config.keys.senders == (tmp_path / "keys/high.pub", Path("/elsewhere/other.pub"))
    assert config.outputs == ()
    assert config.journal == tmp_path / "state" / "journal"


def test_every_mistake_is_named_with_its_key(tmp_path: Path) -> None:
    """One error tells them all, each with a next step."""
    found = mistakes(
        tmp_path,
        """
        [inlet]
        listn = "127.0.0.1:5005"
        buffer_mib = 0
        [keys]
        own = 7
        senders = []
        [retention]
        journal = 7
        history = "7 weeks"
        max_gb = -1
        [portals]
        [[output]]
        kind = "telepathy"
        name = "a b"
        [[output]]
        kind = "influx"
        name = "twice"
        scope = "everything"
        [[output]]
        kind = "influx"
        name = "twice"
        scope = { vendor = "A", asset = "b" }
        url = "127.0.0.1:8086"
        bucket = ""
        [[output]]
        kind = "influxx"
        name = "third"
        scope = "all"
        [[output]]
        kind = "historian"
        name = "fourth"
        scope = "all"
        [[output]]
        kind = "influx"
        name = "catch"
        scope = "all"
        url = "http://127.0.0.1:8086"
        bucket = "plant"
        to = "192.0.2.1:5005"
        """,
    )
    assert set(found) == {
        "inlet.listen",
        "inlet.listn",
        "inlet.buffer_mib",
        "keys.own",
        "keys.senders",
        "retention.journal",
        "retention.history",
        "retention.max_gb",
        "portals",
        "output[0].kind",
        "output[0].name",
        "output[0].scope",
        "output[1].scope",
        "output[1].url",
        "output[1].bucket",
        "output[2].name",
        "output[2].scope",
        "output[2].url",
        "output[2].bucket",
        "output[3].kind",
        "output[4].kind",
        "output[5].name",
        "output[5].to",
    }
    assert "did you mean listen?" in found["inlet.listn"]
    assert "did you mean portal?" in found["portals"]
    assert "without a scope nothing is published" in found["output[0].scope"]
    assert '"twice" is output[1] already' in found["output[2].name"]
    assert "installed are: historian, influx" in found["output[0].kind"]
    assert "did you mean influx?" in found["output[3].kind"]
    assert "fed without being asked" in found["output[4].kind"]
    assert found["output[1].url"] == 'missing; write url = "http://127.0.0.1:8086"'
    assert "no http://host:port" in found["output[2].url"]


@pytest.mark.parametrize(
    "listen", ["192.0.2.2", "sender.plant:5005", "239.1.1.1:5005", "192.0.2.2:0", "192.0.2.2:70000", ""]
)
def test_the_inlet_listens_on_a_number_that_needs_no_asking(tmp_path: Path, listen: str) -> None:
    """A name would be asked for, a multicast group is joined by speaking: both are refused."""
    assert set(mistakes(tmp_path, LEAST.replace("127.0.0.1:5005", listen))) == {"inlet.listen"}


@pytest.mark.parametrize("file", [TRAIL, PEOPLE, DESK, LATEST, "portal.json", "accept.json", "floor.json"])
def test_no_output_is_called_as_a_file_of_the_receivers_own(tmp_path: Path, file: str) -> None:
    """It would take `state/NAME.db` for its own store, find it damaged, and set the trail aside."""
    named = OUTPUT.replace('"one"', f'"{Path(file).stem}"') + 'scope = "all"\n'
    assert "receiver's own" in mistakes(tmp_path, LEAST + named)["output[0].name"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ('{ vendor = "Acme Pumps" }', Scope(vendors=frozenset({"Acme Pumps"}))),
        ('{ asset = "pump-7" }', Scope(assets=frozenset({"pump-7"}))),
        ('"all"', Scope()),
    ],
)
def test_an_output_says_what_it_may_see(tmp_path: Path, scope: str, expected: Scope) -> None:
    """A vendor, an asset, or aloud: all."""
    (output,) = read(tmp_path, f"{LEAST}{OUTPUT}scope = {scope}\n").outputs
    assert isinstance(output, InfluxTable)
    assert output.scope == expected
    assert output.token_file == tmp_path / "t"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inlet = 3\nkeys = []\noutput = 4", {"inlet", "keys", "output"}),
        ("", {"inlet", "keys"}),
        (LEAST + "[[output]]\n", {"output[0].kind", "output[0].name", "output[0].scope"}),
        (LEAST + "output = [1]\n", {"keys.output"}),
        ("output = [1]\n" + LEAST, {"output[0]"}),
    ],
)
def test_tables_that_are_none_are_mistakes_too(tmp_path: Path, text: str, told: set[str]) -> None:
    """Nothing of another shape escapes as another error."""
    assert set(mistakes(tmp_path, text)) == told


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """Missing, no TOML (with its line), no UTF-8."""
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="line 2"):
        read(tmp_path, "[inlet]\nlisten = 192.0.2.2\n")
    (tmp_path / "receiver.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "receiver.toml")


def test_no_key_of_the_file_is_an_address_of_the_sender() -> None:
    """The inlet has a place to listen and a size of buffer; nothing to send to."""
    assert set(InletTable.model_fields) == {"listen", "buffer_mib"}


def test_catch_reads_its_own_tables_and_no_output(tmp_path: Path) -> None:
    """A mistake in an output stops no catching; each of catch's own is told, all of them."""
    path = tmp_path / "receiver.toml"
    path.write_text(LEAST + '[[output]]\nkind = "telepathy"\n')
    assert catch_file.load(path).keys.own == tmp_path / "keys/low"
    path.write_text("[inlet]\nlisten = 5\n[keys]\nowm = 'keys'\n")
    with pytest.raises(ConfigError) as caught:
        catch_file.load(path)
    assert [line.split(":")[0].strip() for line in str(caught.value).split("\n")[1:]] == [
        "inlet.listen",
        "keys.own",
        "keys.senders",
        "keys.owm",
    ]


def test_a_file_that_is_named_and_not_there_is_a_warning(tmp_path: Path) -> None:
    """Keys and tokens are often carried over after the file is written: it is told, and stops no check."""
    (tmp_path / "keys" / "low").mkdir(parents=True)
    assert [line.split(" is not there")[0] for line in read(tmp_path, f"{LEAST}{OUTPUT}scope = 'all'\n").warnings] == [
        f"keys: {tmp_path}/keys/high.pub",
        "keys: /elsewhere/other.pub",
        f"output[0]: {tmp_path}/t",
    ]


def test_nobody_reads_without_signing_in_unless_the_file_says_so(tmp_path: Path) -> None:
    """Left out: nobody; else what it says, and in words."""
    assert read(tmp_path, LEAST).portal.anyone is None
    assert read(tmp_path, LEAST).portal.open_to() == ""
    given = {'"all"': Scope(), '{ vendor = "Acme" }': Scope(vendors=frozenset({"Acme"}))}
    for text, scope in given.items():
        portal = read(tmp_path, f"{LEAST}[portal]\nanyone = {text}\n").portal
        assert portal.anyone is not None
        assert portal.anyone.scope() == scope
        assert "without signing in" in portal.open_to()
    assert "portal.anyone" in mistakes(tmp_path, f'{LEAST}[portal]\nanyone = "everybody"\n')


@pytest.mark.parametrize(
    ("lines", "encrypted", "odd"),
    [
        ('listen = "127.0.0.1:8600"', False, []),
        ('listen = "127.0.0.1:8600"\ntls = true', True, []),
        ('listen = "10.0.0.5:8600"', True, []),
        ('listen = "10.0.0.5:8600"\ntls = false', False, ["portal.tls"]),
        ('listen = "10.0.0.5:8600"\nanyone = "all"', True, ["portal.anyone"]),
        ('listen = "127.0.0.1:8600"\nanyone = "all"', False, []),
    ],
)
def test_the_pages_are_encrypted_beyond_this_machine(
    lines: str, encrypted: bool, odd: list[str], tmp_path: Path
) -> None:
    """Unless the file says so aloud, which is a warning; so is that anyone reads there."""
    config = read(tmp_path, f"{LEAST}[portal]\n{lines}\n")
    assert config.portal.encrypted is encrypted
    assert [line.partition(": ")[0] for line in config.warnings if line.startswith("portal.")] == odd


def test_the_plants_zone_is_one_that_there_is(tmp_path: Path) -> None:
    """Left out: times stand in the zone of whoever reads."""
    assert read(tmp_path, LEAST).portal.zone is None
    assert read(tmp_path, f'{LEAST}[portal]\nzone = "Asia/Tokyo"\n').portal.zone == "Asia/Tokyo"
    assert "portal.zone" in mistakes(tmp_path, f'{LEAST}[portal]\nzone = "Tokio"\n')


def test_a_certificate_and_its_key_come_together(tmp_path: Path) -> None:
    """One alone, or both beside `tls = false`, is a mistake."""
    both = 'certificate = "a.crt"\nkey = "a.key"\n'
    assert read(tmp_path, f"{LEAST}[portal]\n{both}").portal.encrypted
    assert "portal.key" in mistakes(tmp_path, f'{LEAST}[portal]\ncertificate = "a.crt"\n')
    assert "portal.tls" in mistakes(tmp_path, f"{LEAST}[portal]\ntls = false\n{both}")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ('kind = "parquet"\nfolder = "files"', "folder"),
        ('kind = "mqtt"\nurl = "mqtt://127.0.0.1"\npayload = "sparkplug"', "node"),
    ],
)
def test_what_two_outputs_cannot_share_is_named(tmp_path: Path, section: str, key: str) -> None:
    """A folder of files, a Sparkplug node: two that have it spoil each other's, so the second is told whose it is."""
    sections = [f'[[output]]\nname = "{name}"\nscope = "all"\n{section}\n' for name in ("one", "two")]
    found = Findings()
    outputs = list(read(tmp_path, LEAST + "".join(sections)).outputs)
    _look_at_outputs(tmp_path, outputs, found)
    assert list(found.mistakes) == [f"output[1].{key}"]
    assert "output[0]'s already" in found.mistakes[f"output[1].{key}"]
