"""The pages of docs/life/ are true: each is followed on a running site, from start to end, and no sample is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented import FOLLOWED
from life import LIFE, ROOT, Site, site
from plant import command, until

from protocol.process.statusfile import read_status


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Site]:
    """A site of which everything runs."""
    with site(tmp_path) as made:
        yield made


def grows(running: Site, by: int = 10) -> None:
    """Wait until so many samples more are in the history."""
    before = running.made.published()
    until(lambda: running.made.published() >= before + by, "nothing more was published")


def test_every_page_is_on_the_index_and_has_blocks_to_run() -> None:
    """One line a page."""
    index = (LIFE / "README.md").read_text()
    pages = {path.name for path in LIFE.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" in index} == pages
    for name in sorted(FOLLOWED):
        text = (ROOT / name).read_text()
        assert text.count("\n```sh\n# ") == text.count("\n```") / 2, f"{name}: a block that names no machine is not run"


@pytest.mark.timeout(200)
def test_keys_are_replaced_without_a_sample_lost(running: Site) -> None:
    """All of keys.md, both sides: what was sealed for and signed with the old ones is there, once. Where changes are
    applied, so are these: nothing warns of another one."""
    sender = running.made.folder / "high/sender.toml"
    running.run("high", f"checkvalve apply {sender} --why 'as it was built' --yes")
    for heading in ("The high side's keys", "The low side's keys"):
        running.section("keys.md", heading)
        grows(running)
    count = running.all_published_once("low/keys/low-2")
    assert not list((running.made.folder / "high/keys/high").glob("*.key"))
    for words in (f"status {sender}", f"send {sender} --check 2>&1"):
        assert "checkvalve apply" not in running.run("high", f"checkvalve {words}")
    (running.made.folder / "low/keys/low-2/open-before.key").unlink()
    newest = len(running.samples(running.made.state("high") / "spool", "low/keys/low-2"))
    assert 0 < newest < count, "what was sealed before is not sealed for the new key"


@pytest.mark.timeout(200)
def test_a_key_in_the_safe_opens_what_was_sealed_for_a_lost_one(running: Site) -> None:
    """All of escrow.md: open.key and the history are lost; what came since the safe had a key is there, once."""
    running.section("escrow.md", "Put one in the safe")
    grows(running)
    running.systemctl("low", "stop", "checkvalve-publish")
    folder = running.made.folder
    (folder / "low/keys/low/open.key").rename(folder / "lost.key")
    shutil.rmtree(folder / "low/state/history")
    (folder / "low/state/history").mkdir()
    running.section("escrow.md", "When open.key is lost")
    assert not (folder / "low/keys/low-2/recovery.key").exists()
    both = shutil.copytree(folder / "low/keys/low-2", folder / "both")
    shutil.copy2(folder / "safe/recovery/recovery.key", both)
    with_safe = running.samples(running.made.state("low") / "journal", "both")
    without = running.samples(running.made.state("low") / "journal", "low/keys/low-2")
    assert len(with_safe) >= len(without) + 10
    running.all_published_once("both", besides=with_safe)


@pytest.mark.timeout(300)
def test_what_was_backed_up_is_restored_and_the_rest_comes_by_a_code(running: Site) -> None:
    """All of backup.md and restore.md, while all runs; after both restores every sample is there, once."""
    grows(running)
    for machine in ("high", "low"):
        (running.made.folder / f"{machine}-etc/link.env").write_text("CHECKVALVE_INTERFACE=dd0\n")
    running.follow("backup.md")
    grows(running, 30)
    running.section("restore.md", "The drill, once a year")
    restore, gaps, replay, *_ = running.page("restore.md")
    running.run(*restore)
    code = until_code(running)
    assert code in running.run(*gaps)
    running.run(*replay, {r"CV1-\.\.\.\.": code})
    assert (running.made.folder / "low/link.env").read_text() == "CHECKVALVE_INTERFACE=dd0\n"
    running.section("restore.md", "The high side")
    old = running.samples(running.made.folder / "high.before/state/spool")
    running.systemctl("high", "start", "checkvalve-high.target")
    grows(running)
    running.all_published_once(besides=old)


def until_code(running: Site) -> str:
    """The first code that `gaps` names."""
    found: list[str] = []

    def look() -> bool:
        words = command("gaps", str(running.made.folder / "low/receiver.toml"), "--json")
        told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        found[:] = [one["code"] if isinstance(one, dict) else one for one in told["codes"]]
        return bool(found)

    until(look, "no code is named")
    return found[0]


@pytest.mark.timeout(200)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_told_and_all_goes_on_by_itself(tmp_path: Path) -> None:
    """All of full-disks.md, on two disks of 24 MB that a ballast fills: said on both sides, and nothing is lost."""
    mounted = []
    try:
        for machine in ("high", "low"):
            state = tmp_path / machine / "state"
            state.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(state)], check=True)
            mounted.append(state)
        with site(tmp_path) as running:
            high, low = mounted
            fill(low / "ballast")
            until(lambda: told(running, "low", "historian"), "the historian did not say it")
            until(lambda: told(running, "low", "catch"), "catch did not say it")
            fill(high / "ballast")
            until(lambda: told(running, "high", "poll"), "poll did not say it")
            blocks = running.page("full-disks.md")
            for machine, block in blocks[:2]:
                assert "disk is full" in running.run(machine, block)
            for machine, block in blocks[2:]:
                running.run(machine, block)
            until(lambda: not told(running, "high", "poll"), "poll does not go on")
            until(lambda: not told(running, "low", "historian"), "the historian does not go on")
            grows(running)
            running.all_published_once()
            blocks_now = (read_status(running.made.state("low"), "catch") or {})["blocks"]
            assert (blocks_now["missing"], blocks_now["expired"]) == (0, 0)
    finally:
        for state in mounted:
            subprocess.run(["umount", "-l", str(state)], check=True)


def fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def told(running: Site, machine: str, name: str) -> bool:
    """Whether a process warns of a full disk."""
    status = read_status(running.made.state(machine), name) or {}
    return "full" in json.dumps([*status.get("warnings", ()), *status.get("alarms", ()), status.get("trouble", "")])


@pytest.mark.timeout(300)
def test_machines_are_replaced_from_nothing(running: Site) -> None:
    """All of replaced.md: a new card, the low side and then the high side with new keys; data flow after each."""
    folder = running.made.folder
    (folder / "high-etc/link.env").write_text("CHECKVALVE_PEER_MAC=\n")
    on_loopback = (folder / "high/sender.toml").read_text()
    link = on_loopback.split('to = "')[1].split('"')[0]
    (folder / "diode.toml").write_text(on_loopback.replace(link, "192.0.2.2:5005"))
    here = {"enp3s0": "lo", r"--config /var/lib/checkvalve/sender\.toml": f"--config {folder}/diode.toml"}
    running.section("replaced.md", "A new card on the low side", here)
    assert "02:00:5e:10:00:07" in (folder / "high-etc/link.env").read_text()
    shutil.copy(folder / "high/keys/high.pub", folder / "stick/high.pub")
    more = {r"192\.0\.2\.2:5005": link, "/root/": f"{folder}/made-"}
    running.section("replaced.md", "The low side, from nothing", more)
    until(lambda: running.made.published() > 0, "nothing came with the new keys")
    blocks = running.page("replaced.md")
    last = blocks[-3:]
    running.run(*last[0], more)
    made = folder / "high/sender.toml"
    made.write_text(made.read_text() + on_loopback[on_loopback.index("[[asset]]") :])
    for machine, block in last[1:]:
        running.run(machine, block, more)
    before = running.made.published()
    until(lambda: running.made.published() > before, "nothing came from the new high side")
