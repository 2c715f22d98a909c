"""The demo's security is told as a site's is: by the way that its access.toml names, and people see it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.governed.alerts.notices import Notice
from receiver.governed.alerts.senders import sender
from receiver.governed.grants import policy_file
from simulator.demo_security import FILE, DemoSecurity


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def security(tmp_path: Path, said: list[str]) -> Iterator[DemoSecurity]:
    (tmp_path / "low").mkdir()
    made = DemoSecurity(tmp_path, said.append)
    made.start()
    yield made
    made.close()


def test_broken_glass_is_said_on_the_screen_of_the_demo(
    security: DemoSecurity, tmp_path: Path, said: list[str]
) -> None:
    """Through the file, the webhook and its answer; what it holds stays text, and a line stays a line."""
    policy = policy_file.load(tmp_path / "low")
    (way,) = policy.tell
    assert list(policy_file.weaknesses(policy)) == []
    notice = Notice(
        number=7, kind="break-glass.opened", at_ns=1, emergency=True, title="opened\nby \x1b[31mCleo", lines=()
    )
    assert sender(way, "low-1")(notice).startswith("204 ")
    assert said == ["security was told AT ONCE: opened\\nby \\x1b[31mCleo"]
    assert (tmp_path / FILE).read_text().endswith(f"{said[0]}\n")
    assert (tmp_path / FILE).read_text().count("\n") == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"\xff", b"[" * 10_000, b'{"title": 1}'],
    ids=["nothing", "{}", "[]", "bytes", "deep", "1"],
)
def test_what_is_no_notice_is_refused_and_not_said(body: bytes, security: DemoSecurity, said: list[str]) -> None:
    """Whoever is on this machine may send anything."""
    port = int(security.policy.rpartition("127.0.0.1:")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as line:
        line.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert b" 400 " in line.recv(100)
    assert said == []
