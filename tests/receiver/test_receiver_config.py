"""Laws of receiver.toml: every mistake is named with its key at once, and nothing in it leads back to the sender."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import ConfigError
from receiver.config import ReceiverConfig, Scope, kinds, load
from receiver.settings import Inlet

EXAMPLE = Path(__file__).parents[2] / "examples" / "receiver.toml"

LEAST = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys/low"
senders = ["keys/high.pub", "/elsewhere/other.pub"]
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
    lines = str(caught.value).split("\n")[1:]
    return {key.strip(): rest for key, _, rest in (line.partition(": ") for line in lines)}


def test_the_example_is_right_and_says_everything() -> None:
    """It loads, and every key of every table stands in it."""
    config = load(EXAMPLE)
    assert config.state == EXAMPLE.parent / "state"
    text = EXAMPLE.read_text()
    for model in (Inlet, type(config.keys), type(config.retention), type(config.portal)):
        for key in model.model_fields:
            assert f"\n{key} = " in text, key


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
        [[output]]
        kind = "influx"
        name = "catch"
        scope = "all"
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
        "output[2].name",
        "output[2].scope",
        "output[3].name",
        "output[3].to",
    }
    assert "did you mean listen?" in found["inlet.listn"]
    assert "did you mean portal?" in found["portals"]
    assert "without a scope nothing is published" in found["output[0].scope"]
    assert '"twice" is output[1] already' in found["output[2].name"]


@pytest.mark.parametrize(
    "listen", ["192.0.2.2", "sender.plant:5005", "239.1.1.1:5005", "192.0.2.2:0", "192.0.2.2:70000", ""]
)
def test_the_inlet_listens_on_a_number_that_needs_no_asking(tmp_path: Path, listen: str) -> None:
    """A name would be asked for, a multicast group is joined by speaking: both are refused."""
    assert set(mistakes(tmp_path, LEAST.replace("127.0.0.1:5005", listen))) == {"inlet.listen"}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ('{ vendor = "Acme Pumps" }', Scope(vendor="Acme Pumps")),
        ('{ asset = "pump-7" }', Scope(asset="pump-7")),
        ('"all"', Scope()),
    ],
)
def test_an_output_says_what_it_may_see(tmp_path: Path, scope: str, expected: Scope) -> None:
    """A vendor, an asset, or aloud: all."""
    more = f'[[output]]\nkind = "influx"\nname = "one"\nscope = {scope}\ntoken_file = "t"\nurl = "http://x"\n'
    (output,) = read(tmp_path, LEAST + more).outputs
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
    assert set(Inlet.model_fields) == {"listen", "buffer_mib"}
    assert "influx" in kinds()
    assert "historian" not in kinds()
