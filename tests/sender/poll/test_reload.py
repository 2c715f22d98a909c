"""A changed configuration taken while devices are read: what has not changed is not touched, and the rest is told."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from polling import EPOCH_NS, Fake, Memory, asset_toml, loaded, run_virtual, scripted, sender_toml, steady

import checkvalve
from collectors.base import Collector, Event, Scan
from protocol import keymaking
from protocol.content.sample import Columns
from protocol.errors import ConfigError
from protocol.process.statusfile import read_status
from sender.poll import reload
from sender.poll.config import SenderConfig
from sender.poll.difference import fixed, of_asset
from sender.poll.poller import Poller

A, B, C = (f'name = "{name}", at = "{at}", type = "float64"' for at, name in enumerate("abc"))
Kinds = dict[str, type[Collector]]


def reloading(
    config: SenderConfig, steps: Callable[[Poller, Memory], Coroutine[Any, Any, None]], *, begun: float = 10.5
) -> Memory:
    """Poll for some time, do something, and end; every task of the poller ends with it."""
    kept: list[Memory] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sink = Memory(loop)
        kept.append(sink)
        poller = Poller(
            config, sink, clock=lambda: EPOCH_NS + round(loop.time() * 1e9), monotonic=loop.time, random=Random(7)
        )
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(begun)
        await steps(poller, sink)
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})
        sink.status = poller.status()

    run_virtual(main())
    return kept[0]


def configuration(sink: Memory) -> list[str]:
    """What was told in band of the configuration."""
    return [text for _, who, what, text in sink.states if (who, what) == ("", "configuration")]


def test_a_reload_changes_one_device_and_leaves_the_others_alone(tmp_path: Path) -> None:
    """The other goes on with the same collector, at the same moments, without a slot missed or doubled."""
    pump, fan = scripted(), scripted()
    kinds: Kinds = {"pump": pump, "fan": fan}
    fan_toml = asset_toml("fan", A, every="1s")
    before = loaded(tmp_path, sender_toml(asset_toml("pump", A, B) + fan_toml), kinds)

    async def steps(poller: Poller, sink: Memory) -> None:
        changed = loaded(tmp_path, sender_toml(asset_toml("pump", A, C, every="2s") + fan_toml), kinds)
        lines = await poller.reload(changed)
        assert lines == ['pump changed: tags c added; tags b taken out; scan[0].every "1s" -> "2s"']
        await asyncio.sleep(10)

    sink = reloading(before, steps)
    assert [len(pump.made), len(fan.made)] == [2, 1]
    assert [made.closed for made in pump.made] == [1, 1]
    times = [at for at, _ in fan.made[0].read_at]
    assert len(times) in (20, 21)
    assert np.allclose(np.diff(times), 1.0)
    assert np.allclose(np.diff([at for at, _ in pump.made[1].read_at]), 2.0)
    assert sink.said("fan") == ["up"]


def test_what_is_the_same_in_a_changed_device_keeps_its_id_and_its_counts(tmp_path: Path) -> None:
    """Another address is another id; events go on in their numbers."""

    async def eventful(fake: Fake, scan: Scan) -> Columns:
        return await steady(fake, scan)

    class Telling(scripted(eventful)):  # type: ignore[misc]
        """One event a read."""

        def events(self) -> list[Event]:
            return [Event(source="x", time_ns=1, severity=1, code="", text="", state="active")]

    kinds: Kinds = {"pump": Telling}
    before = loaded(tmp_path, sender_toml(asset_toml("pump", A, B)), kinds)

    async def steps(poller: Poller, sink: Memory) -> None:
        counted = poller.status()["pump"]["read"]
        moved = B.replace('at = "1"', 'at = "7"')
        await poller.reload(loaded(tmp_path, sender_toml(asset_toml("pump", A, moved)), kinds))
        assert poller.status()["pump"]["read"] == counted
        await asyncio.sleep(5)

    sink = reloading(before, steps)
    assert [(tag.name, tag.address) for tag in sink.tags.values()] == [("a", "0"), ("b", "1"), ("b", "7")]
    assert sink.status["pump"]["read"] == sink.read["pump"]
    assert sink.said("pump") == ["up", "up"]


def test_devices_come_and_go(tmp_path: Path) -> None:
    """One that is taken out is told as down; one that is new is described and read; even from none to one."""
    kinds: Kinds = {"pump": scripted(), "fan": scripted()}
    both = sender_toml(asset_toml("pump", A) + asset_toml("fan", A))
    before = loaded(tmp_path, sender_toml(""), kinds)

    async def steps(poller: Poller, sink: Memory) -> None:
        assert await poller.reload(loaded(tmp_path, both, kinds)) == [
            "pump added: 1 tag by pump",
            "fan added: 1 tag by fan",
        ]
        await asyncio.sleep(5)
        assert await poller.reload(loaded(tmp_path, sender_toml(asset_toml("fan", A)), kinds)) == ["pump taken out"]
        await asyncio.sleep(5)

    sink = reloading(before, steps)
    assert sink.said("pump") == ["up", "down"]
    assert len(sink.rows("pump")) in (5, 6)
    assert len(sink.rows("fan")) in (10, 11)
    assert configuration(sink)[-1] == "pump taken out"
    assert [text.split(", ", 1)[1] for text in configuration(sink) if text.startswith("sha256")] == [
        "0 assets, 0 tags",
        "2 assets, 2 tags",
        "1 asset, 1 tag",
    ]


def test_a_device_that_will_not_close_delays_nobody_else(tmp_path: Path) -> None:
    """It is given up after some seconds; the others keep their slots meanwhile."""

    class Clinging(scripted()):  # type: ignore[misc]
        """Its close never ends."""

        async def close(self) -> None:
            await asyncio.sleep(1e6)

    kinds: Kinds = {"pump": Clinging, "fan": (fan := scripted())}
    before = loaded(tmp_path, sender_toml(asset_toml("pump", A) + asset_toml("fan", A)), kinds)

    async def steps(poller: Poller, sink: Memory) -> None:
        kinds["pump"] = scripted()
        text = sender_toml(asset_toml("pump", B) + asset_toml("fan", A))
        begun = asyncio.get_running_loop().time()
        assert await poller.reload(loaded(tmp_path, text, kinds)) == ["pump changed: tags b added; tags a taken out"]
        assert asyncio.get_running_loop().time() - begun < 15
        await asyncio.sleep(5)

    sink = reloading(before, steps)
    times = [at for at, _ in fan.made[0].read_at]
    assert np.allclose(np.diff(times), 1.0)
    assert [name for _, name, _ in sink.rows("pump")][-1] == "b"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('site = "north"', 'site = "south"'),
        ('to = "127.0.0.1:5005"', 'to = "127.0.0.1:5006"'),
        ('own = "keys/high"', 'own = "keys/other"'),
    ],
)
def test_what_needs_a_restart_is_refused_and_nothing_is_changed(tmp_path: Path, old: str, new: str) -> None:
    """Not even the devices that could have been."""
    kinds: Kinds = {"pump": scripted()}
    text = sender_toml(asset_toml("pump", A))
    before = loaded(tmp_path, text, kinds)

    async def steps(poller: Poller, sink: Memory) -> None:
        changed = loaded(tmp_path, text.replace(old, new).replace(A, B), kinds)
        with pytest.raises(ConfigError, match="cannot change while it runs"):
            await poller.reload(changed)
        await asyncio.sleep(3)

    sink = reloading(before, steps)
    assert len(configuration(sink)) == 1
    assert {tag.name for tag in sink.tags.values()} == {"a"}
    assert sink.said("pump") == ["up"]


def test_nothing_changed_is_nothing_done(tmp_path: Path) -> None:
    """Comments and blanks are no change."""
    kinds: Kinds = {"pump": (pump := scripted())}
    text = sender_toml(asset_toml("pump", A))
    before = loaded(tmp_path, text, kinds)

    async def steps(poller: Poller, sink: Memory) -> None:
        assert await poller.reload(loaded(tmp_path, "# a word\n" + text, kinds)) == []
        await asyncio.sleep(3)

    reloading(before, steps)
    assert len(pump.made) == 1


BASE: dict[str, Any] = {
    "name": "pump",
    "collector": "opcua",
    "url": "opc.tcp://10.1.2.3:4840",
    "opcua": {"user": "viewer", "password_file": "/etc/secret", "queue": 10, "security": "None"},
    "scan": [{"every": "1s", "tags": [{"name": "a", "at": "ns=2;s=a", "unit": "bar"}, {"name": "b", "at": "i=1"}]}],
}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"url": "opc.tcp://10.9.9.9:4840"}, "url hidden"),
        ({"opcua": {**BASE["opcua"], "password_file": "/etc/other"}}, "opcua.password_file hidden"),
        ({"opcua": {**BASE["opcua"], "user": "admin"}}, "opcua.user hidden"),
        ({"opcua": {**BASE["opcua"], "queue": 50}}, "opcua.queue 10 -> 50"),
        ({"opcua": {**BASE["opcua"], "trust_any": True}}, "opcua.trust_any (none) -> true"),
        ({"vendor": ["Acme", "Beta"]}, "vendor (none) -> Acme, Beta"),
        ({"never_read": ["ns=2;s=SIS.*"]}, "never_read hidden"),
        ({"class": "safety"}, 'class (none) -> "safety"'),
        ({"scan": [{"every": "1s", "tags": [{"name": "a", "at": "ns=2;s=a", "unit": "kPa"}]}]}, "tags b taken out; "),
    ],
)
def test_a_difference_hides_what_the_other_side_need_not_know(changed: dict[str, Any], line: str) -> None:
    """Addresses, names and files are told as changed, no more; numbers and what the catalog carries are shown."""
    said = of_asset("pump", BASE, {**BASE, **changed})
    assert said.startswith(f"pump changed: {line}")
    for secret in ("10.1.2.3", "10.9.9.9", "secret", "other", "viewer", "admin", "SIS"):
        assert secret not in said


def test_a_tag_is_compared_by_its_name_wherever_it_stands() -> None:
    """Moved to another scan, it is the same tag."""
    scans = [
        {"every": "1s", "tags": [{"name": "a", "at": "ns=2;s=a", "unit": "kPa"}]},
        {"every": "5s", "tags": [{"name": "b", "at": "i=1"}]},
    ]
    said = of_asset("pump", BASE, {**BASE, "scan": scans})
    assert said == ('pump changed: scan[1].every (none) -> "5s"; tags.a.unit "bar" -> "kPa"; tags.b.scan 0 -> 1')
    assert of_asset("pump", BASE, BASE) == ""
    assert fixed({"site": "a", "spool": {}}, {"site": "b", "spool": {}}) == ["site"]


def test_a_reload_needs_somebody_who_runs(tmp_path: Path) -> None:
    """And is withdrawn where nobody answers."""
    with pytest.raises(ConfigError, match="no poll is running"):
        reload.ask_and_wait(tmp_path, "aa", print)
    told = {"process": "poll", "time_ns": time.time_ns()}
    (tmp_path / "status-poll.json").write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="has not answered") as caught:
        reload.ask_and_wait(tmp_path, "aa", print, wait_s=0.0)
    assert "withdrawn" in caught.value.hint
    assert reload.asked(tmp_path) is None


def test_an_answer_to_another_file_is_no_answer(tmp_path: Path) -> None:
    """What was left of an older reload is not believed."""
    reload.answer(tmp_path, "bb", lines=["x"])
    assert reload.result(tmp_path, "aa") is None
    found = reload.result(tmp_path, "bb")
    assert found is not None
    assert found.lines == ("x",)


def test_a_running_sender_takes_a_changed_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line, with the real process; a mistake, or a change of the link, changes nothing."""
    keymaking.make("high", tmp_path / "keys/high")
    keymaking.make("low", tmp_path / "keys/low")
    file = tmp_path / "sender.toml"

    def text(*names: str, to: str = "127.0.0.1:5005", unit: int = 1) -> str:
        tag = 'name = "a", at = "holding:0", type = "int16"'
        head = f'site = "n"\n[outlet]\nto = "{to}"\n[keys]\nown = "keys/high"\nreceivers = ["keys/low.pub"]\n'
        one = "".join(asset_toml(name, tag, collector="modbus") + f"[asset.modbus]\nunit = {unit}\n" for name in names)
        return head + one.replace('"fake:1"', '"tcp://127.0.0.1:9"')

    def assets() -> set[str]:
        told = read_status(tmp_path / "state", "poll") or {}
        return set(told.get("assets", {}))

    def wait_for(names: set[str]) -> None:
        deadline = time.monotonic() + 60
        while assets() != names:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)

    def send() -> tuple[int, str, str]:
        code = checkvalve.main(["send", str(file), "--reload"])
        return (code, *capsys.readouterr())

    file.write_text(text("pump"))
    command = [sys.executable, "-m", "checkvalve", "send", str(file), "--only", "poll"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for({"pump"})
        file.write_text(text("pump", "fan"))
        code, out, _ = send()
        assert (code, out.splitlines()[-1]) == (0, "fan added: 1 tag by modbus")
        wait_for({"pump", "fan"})
        file.write_text(text("pump", "fan", unit=2))
        assert "pump changed: modbus.unit 1 -> 2" in send()[1]
        file.write_text(text("pump", to="127.0.0.1:6006"))
        code, _, err = send()
        assert (code, "outlet cannot change while it runs" in err) == (2, True)
        file.write_text(text("pump").replace("holding:0", "holding:x"))
        assert send()[0] == 2
        wait_for({"pump", "fan"})
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
