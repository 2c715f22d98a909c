"""Laws of `checkvalve aside` and of `receive --check` on outputs: what is refused is seen, and mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from history_blocks import T0, batch, block, stream
from influx_peer import FakeInflux, Told, serving
from typer.testing import CliRunner

from protocol import keymaking
from protocol.content.sample import Row
from protocol.errors import ConfigError
from receiver import config as configuration
from receiver.commands.aside_list import asked, listed
from receiver.commands.cli import app
from receiver.outputs.aside import AsideWish, done, wish_file, wished
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.influx.output import InfluxOutput
from receiver.outputs.influx.settings import InfluxTable
from receiver.outputs.scope import Scope
from receiver.outputs.scope_check import strangers


@pytest.fixture
def low(tmp_path: Path) -> Path:
    """A receiver.toml with one output to nowhere."""
    keymaking.make("low", tmp_path / "keys/low")
    keymaking.make("high", tmp_path / "keys/high")
    file = tmp_path / "receiver.toml"
    file.write_text(
        '[inlet]\nlisten = "127.0.0.1:7000"\n[keys]\nown = "keys/low"\nsenders = ["keys/high.pub"]\n'
        '[[output]]\nkind = "influx"\nname = "plant"\nurl = "http://127.0.0.1:9"\nbucket = "b"\nscope = "all"\n'
    )
    (tmp_path / "state").mkdir()
    return file


def refused(state: Path) -> None:
    """The output of that name had a sample refused."""
    with serving(FakeInflux()) as fake:
        asked = {"kind": "influx", "name": "plant", "url": fake.url, "bucket": "b", "scope": "all"}
        one = InfluxOutput(state / "plant.db", InfluxTable.model_validate(asked))
        fake.judge = lambda lines: Told(400, "unable to parse") if b"site=" in lines else None
        one.take([block(stream(), 0, batch([Row(0, T0, 1.5)]))], b"p")
        for now in range(1000):
            if one.status()["aside"]:
                break
            one.step(float(now))
        one.close()


def test_what_was_refused_is_listed_and_a_wish_is_left(low: Path) -> None:
    """Why, how many, and one of them, as text and as JSON; the wish waits for the output's process."""
    state, runner = low.parent / "state", CliRunner()
    assert "nothing is set aside" in runner.invoke(app, ["aside", "list", str(low), "plant"]).output
    refused(state)
    told = runner.invoke(app, ["aside", "list", str(low), "plant"])
    assert told.exit_code == 0
    assert "1 samples in 1 groups" in told.output
    assert "unable to parse" in told.output
    assert "v=1.5" in told.output
    rows = json.loads(runner.invoke(app, ["aside", "list", str(low), "plant", "--json"]).output)["aside"]
    assert [row["samples"] for row in rows] == [1]
    assert runner.invoke(app, ["aside", "resend", str(low), "plant"]).exit_code == 0
    assert wished(wish_file(state, "plant"), wall_ns=T0) == (AsideWish.RESEND, rows[0]["number"])
    assert "drops them" in asked(configuration.load(low), "plant", AsideWish.DROP)
    assert wished(wish_file(state, "plant"), wall_ns=T0) == (AsideWish.DROP, rows[0]["number"])
    done(wish_file(state, "plant"))
    assert wished(wish_file(state, "plant"), wall_ns=T0) is None
    with pytest.raises(ConfigError, match="'vm'"):
        listed(configuration.load(low), "vm")


@pytest.mark.parametrize("held", ["[]", "{}", '{"wish": "burn", "upto": 1}', '{"wish": "drop", "upto": -1}', "\0"])
def test_a_damaged_wish_is_none(held: str, tmp_path: Path) -> None:
    """Nothing is sent or dropped for it, and it is looked at once."""
    path = wish_file(tmp_path, "plant")
    path.write_text(held)
    assert wished(path, wall_ns=T0) is None
    assert not path.exists()


def test_check_names_a_scope_that_nobody_has(low: Path) -> None:
    """Compared with what the sender described so far; where nothing has come, nothing is said."""
    low.write_text(low.read_text().replace('scope = "all"', 'scope = { vendor = "Nobody" }'))
    assert not [line for line in configuration.load(low, look=True).warnings if "Nobody" in line]
    historian = HistorianOutput(low.parent / "state" / "history", wait=lambda seconds: None)
    historian.take([block(stream(), 0, batch([Row(0, T0, 1.5)]))], b"p")
    historian.close()
    (line,) = [line for line in configuration.load(low, look=True).warnings if "Nobody" in line]
    assert 'no asset that came so far has the vendor "Nobody"' in line
    assert list(strangers(Scope(assets=frozenset({"pump"})), {"pump"}, set())) == []
    assert list(strangers(Scope(assets=frozenset({"pump"})), {"relay"}, set())) == [
        'no asset that came so far has the asset "pump"; the assets that came: relay'
    ]


def test_check_names_a_token_file_that_is_not_there(low: Path) -> None:
    """A mistake, with its key and the next step, before anything is started."""
    low.write_text(low.read_text() + 'token_file = "keys/influx.token"\n')
    with pytest.raises(ConfigError, match=r"output\[0\].*token_file.*influx.token"):
        configuration.load(low, look=True)
    (low.parent / "keys/influx.token").write_text("secret\n")
    configuration.load(low, look=True)
