"""Laws of messages on a real nats-server: killed under load, too long, refused, told what its stream can lose."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js import api
from nats_peer import NatsServer
from shipping_fake import keys

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.nats.nats_courier import covers, token
from receiver.outputs.nats.output import NatsOutput
from receiver.outputs.nats.settings import NatsTable
from receiver.outputs.shipping.shipment import gather
from receiver.outputs.testing.feed import T0_NS, block, samples

KILLS, SOAK_KILLS = 5, 50
SECRET = "s3cret-word"


def output(folder: Path, url: str, stream: str, **given: Any) -> NatsOutput:
    """An output of the real server, onto a stream."""
    section = {"kind": "nats", "name": "bus", "scope": "all", "url": url, "stream": stream, "subject": stream}
    return NatsOutput.build(NatsTable.model_validate({**section, **given}), folder, wait=time.sleep)


def stepped(one: NatsOutput, until: Callable[[], object], most_s: float = 40) -> None:
    """Step until something holds; waits of the output pass at once."""
    now, ends = one._now, time.monotonic() + most_s
    while not until():
        assert time.monotonic() < ends, one.status()
        now += max(one.step(now), 0.001)


def sent(one: NatsOutput) -> bool:
    """Everything was acknowledged or set aside."""
    return not one.status()["behind_blocks"]


def texts(number: int, lengths: list[int], asset: str = "a") -> OpenedBlock:
    """A block of texts so long."""
    tag = Tag(id=0, asset=asset, name="t", type="string")
    of = StreamDescription(key=b"stream-9", boot=7, site="s", assets={asset: Asset(name=asset)}, tags={0: tag})
    rows = [Row(0, T0_NS + at, "x" * length) for at, length in enumerate(lengths)]
    return block(number, BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0), of=of)


@pytest.mark.parametrize("kills", [KILLS, pytest.param(SOAK_KILLS, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_a_killed_server_costs_no_sample_and_doubles_none(kills: int, nats_server: NatsServer, tmp_path: Path) -> None:
    """SIGKILL under load, again and again: every sample is there, and no message twice: ids outlive the kill, for as
    long as the stream's window says, which is longer than what is held, as the README has it."""
    seed = random.randrange(2**32)
    chance, stream = random.Random(seed), f"KILLED_{kills}"
    nats_server.add(stream, subjects=f"{stream}.>", duplicate_window=1800)
    one, given, number = output(tmp_path, nats_server.url, stream), [], 0
    for _ in range(kills):
        killer = threading.Timer(chance.uniform(0.02, 0.2), nats_server.stop)
        killer.start()
        while killer.is_alive():
            given += (blocks := [samples(number + at) for at in range(20)])
            one.take(blocks, b"%d" % number)
            number += 20
            one.step(one._now + 0.01)
        killer.join()
        given.append(samples(number))
        one.take(given[-1:], b"%d" % number)
        number += 1
        stepped(one, lambda: one.status()["trouble"])
        assert one.status()["next_step"]
        nats_server.start()
        stepped(one, lambda: sent(one))
    assert one.status()["resent"], "nothing was sent again after a kill"
    one.close()
    wanted = {key for _, shipment in gather(given, T0_NS) for key in keys(shipment)}
    read = nats_server.read(stream)
    lines = [line for _, _, some in read for line in some]
    held = Counter((bytes.fromhex(x["stream"]), x["number"], x["asset"], x["rank"]) for x in lines)
    assert set(held) == wanted, f"seed {seed}"
    assert set(held.values()) == {1}, f"seed {seed}"


def test_a_message_is_as_long_as_the_server_takes_headers_with_it(nats_server: NatsServer, tmp_path: Path) -> None:
    """Long ones are parted by lines; a line that no message holds is set aside, and its neighbours arrive."""
    nats_server.add("LONG", subjects="LONG.>", max_msg_size=40_000)
    one = output(tmp_path, nats_server.url, "LONG")
    lengths = [100] * 300 + [39_000, 39_900, 45_000] + [100] * 300
    one.take([texts(0, lengths, "a" * 300)], b"1")
    stepped(one, lambda: sent(one))
    status = one.status()
    assert status["warnings"] == ["2 samples set aside, refused as too large"]
    got = Counter(len(line["value"]) for _, _, some in nats_server.read("LONG") for line in some)
    assert got[100] == 600
    assert got[39_000] == 1
    assert status["trouble"] == ""
    one.close()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"max_msgs": 10}, "drops its oldest"),
        ({"storage": api.StorageType.MEMORY}, "in memory"),
        ({"retention": api.RetentionPolicy.INTEREST}, "no consumer"),
        ({"max_msgs": 10_000, "discard": api.DiscardPolicy.NEW}, ""),
    ],
)
def test_what_a_stream_can_lose_is_told(
    settings: dict[str, Any], word: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    """A stream whose settings lose what it acknowledged is named in the status, for as long as it is so."""
    stream = f"TOLD_{abs(hash(word)) % 10**6}"
    nats_server.add(stream, subjects=f"{stream}.>", **settings)
    one = output(tmp_path, nats_server.url, stream)
    one.take([samples(0)], b"1")
    stepped(one, lambda: sent(one))
    warnings = one.status()["warnings"]
    assert [line for line in warnings if word in line] == warnings[:1] if word else not warnings
    one.close()


def test_a_full_stream_is_waited_for(nats_server: NatsServer, tmp_path: Path) -> None:
    """With discard = new it refuses what it has no room for: told, nothing is set aside, all arrives once there is."""
    nats_server.add("FULL", subjects="FULL.>", max_msgs=10, discard=api.DiscardPolicy.NEW)
    one = output(tmp_path, nats_server.url, "FULL")
    one.take([samples(number) for number in range(20)], b"1")
    stepped(one, lambda: one.status()["trouble"])
    assert "full" in one.status()["next_step"]
    nats_server.edit("FULL", max_msgs=1000)
    stepped(one, lambda: sent(one))
    assert one.status()["aside"] == 0
    one.close()


def test_a_stream_that_is_missing_or_takes_other_subjects_is_held(nats_server: NatsServer, tmp_path: Path) -> None:
    """Told with what to type; once it is there, all arrives."""
    one = output(tmp_path, nats_server.url, "LATER")
    one.take([samples(0)], b"1")
    stepped(one, lambda: one.status()["state"] == "held")
    assert "nats stream add LATER" in one.status()["next_step"]
    nats_server.add("LATER", subjects="other.>")
    stepped(one, lambda: "takes other.>" in one.status()["trouble"])
    nats_server.edit("LATER", subjects=["LATER.>"])
    stepped(one, lambda: sent(one))
    one.close()


def test_a_wrong_password_is_held_and_repeated_nowhere(tmp_path: Path) -> None:
    """The server's words and the next step, and no secret in the status."""
    server = NatsServer(tmp_path / "locked", "--user", "writer", "--pass", "another")
    try:
        (tmp_path / "password").write_text(SECRET)
        given = {"user": "writer", "password_file": str(tmp_path / "password")}
        one = output(tmp_path, server.url, "LOCKED", **given)
        one.take([samples(0)], b"1")
        stepped(one, lambda: one.status()["state"] == "held")
        assert "authorization" in one.status()["trouble"].lower()
        assert "password_file" in one.status()["next_step"]
        assert SECRET not in str(one.status())
        one.close()
    finally:
        server.stop()


def test_a_server_without_tls_is_told_no_password(tmp_path: Path) -> None:
    """Where TLS is asked for and the server (or who stands before it) offers none, we leave before CONNECT."""
    heard = b""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            nonlocal heard
            plain, _ = listener.accept()
            with plain:
                plain.settimeout(5)
                plain.sendall(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"headers":true}\r\n')
                while some := plain.recv(4096):
                    heard += some

        thread = threading.Thread(target=serve)
        thread.start()
        (tmp_path / "password").write_text(SECRET)
        url = f"nats://127.0.0.1:{listener.getsockname()[1]}"
        given = {"user": "writer", "password_file": str(tmp_path / "password"), "tls": "verified"}
        one = output(tmp_path, url, "PLAIN", **given)
        one.take([samples(0)], b"1")
        stepped(one, lambda: one.status()["state"] == "held")
        assert "TLS" in one.status()["trouble"]
        thread.join()
        one.close()
    assert heard == b""


def test_a_name_is_one_token_of_a_subject(nats_server: NatsServer, tmp_path: Path) -> None:
    """Dots, stars, spaces, control characters and letters of any script make no other subject, and no header."""
    odd = 'a.b *>\r\n "ü\0'
    nats_server.add("ODD", subjects="ODD.>")
    one = output(tmp_path, nats_server.url, "ODD")
    one.take([texts(0, [3], odd)], b"1")
    stepped(one, lambda: sent(one))
    ((subject, ident, lines),) = nats_server.read("ODD")
    assert subject == "ODD.s.a%2Eb%20%2A%3E%0D%0A%20%22%C3%BC%00"
    assert ident.isascii()
    assert lines[0]["asset"] == odd
    assert token("") == "-"
    one.close()


@pytest.mark.parametrize(
    ("taken", "fits"),
    [
        (">", True),
        ("plant.>", True),
        ("plant.*.*", True),
        ("plant.north.*", False),
        ("plant.*", False),
        ("plant.*.*.*", False),
        ("other.>", False),
        ("plant.*.*.>", False),
    ],
)
def test_a_stream_covers_what_it_takes(taken: str, fits: bool) -> None:
    """Against the wildcards of NATS."""
    assert covers(taken, "plant.*.*") is fits
