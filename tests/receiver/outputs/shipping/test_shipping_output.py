"""Laws of what is on its way: none lost, sent again as an answer asks, halved, held, set aside, live first, told."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from shipping_fake import FakeOutput, FakeServer, Key, keys

from protocol.errors import ConfigError
from receiver.outputs import aside
from receiver.outputs.aside import AsideWish
from receiver.outputs.base import OpenedBlock
from receiver.outputs.settings import OutputTable
from receiver.outputs.shipping import shipping_output as module
from receiver.outputs.shipping import stored_output
from receiver.outputs.shipping.dispatch import LIVE_IN_A_ROW, SEARCH_REQUESTS
from receiver.outputs.shipping.secret_courier import SecretCourier
from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer
from receiver.outputs.shipping.shipment import Shipment, gather
from receiver.outputs.testing.feed import T0_NS, samples


def blocks(first: int, count: int, *, healed: bool = False) -> list[OpenedBlock]:
    """Blocks of samples."""
    return [samples(number, healed=healed) for number in range(first, first + count)]


def wanted(given: list[OpenedBlock]) -> set[Key]:
    """What a server must hold of them."""
    return {key for _, one in gather(given, T0_NS) for key in keys(one)}


def sent(one: FakeOutput) -> bool:
    """Everything was acknowledged or set aside."""
    return not one.status()["behind_blocks"]


def test_what_is_acknowledged_for_good_leaves_the_store(tmp_path: Path) -> None:
    """Without `keep` nothing is held, and a new connection has nothing sent again."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server)
    for at in range(3):
        one.take(blocks(at * 5, 5), b"%d" % at)
        server.anew = True
        one.pumped(lambda: sent(one))
    assert set(server.held) == wanted(blocks(0, 15))
    assert set(server.held.values()) == {1}
    status = one.status()
    assert (status["held"], status["aside"], status["resent"]) == (0, 0, 0)
    assert status["taken"] == status["acknowledged"] == len(server.held)
    one.close()
    one.close()


@pytest.mark.parametrize("again", [False, True])
def test_what_may_be_lost_is_sent_again_over_a_new_connection(again: bool, tmp_path: Path) -> None:
    """A server that forgets at a kill has all of the last `keep` back, also where our own process began anew."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server, keep_s=60.0)
    one.take(blocks(0, 10), b"1")
    now = one.pumped(lambda: sent(one))
    assert one.status()["held"] == len(wanted(blocks(0, 10)))
    server.held.clear()  # killed
    server.anew = True
    if again:
        one.close()
        one = FakeOutput.beside(tmp_path, server, keep_s=60.0)
    one.take(blocks(10, 1), b"2")
    now = one.pumped(lambda: sent(one) and len(server.held) > 100, now)
    assert set(server.held) == wanted(blocks(0, 11))
    assert one.status()["resent"] >= len(wanted(blocks(0, 10)))
    one.step(now + 61)
    assert one.status()["held"] == 0
    one.close()


def test_a_connection_that_breaks_within_a_shipment_has_its_beginning_sent_again(tmp_path: Path) -> None:
    """What was taken over the connection before is not believed, though the rest of the shipment was not sent yet."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server, keep_s=60.0)
    one._dispatch.most = 20
    one.take(blocks(0, 20), b"1")

    def forget(shipment: Shipment) -> None:
        if len(server.sent) == 4:
            server.held.clear()
            server.anew = True

    server.judge = forget
    one.pumped(lambda: sent(one))
    assert set(server.held) == wanted(blocks(0, 20))
    one.close()


def test_a_server_that_is_away_is_tried_for_ever_and_told(tmp_path: Path) -> None:
    """The waits grow to a minute; the status has its words, the next step, and after a minute an alarm."""
    server = FakeServer()
    server.judge = lambda shipment: ServerAnswer(Ruling.AGAIN, "connection refused", "start it")
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 3), b"1")
    now = one.pumped(lambda: one.status()["trouble"])
    assert not one.status()["alarm"]
    one.pumped(lambda: len(server.sent) > 12, now)
    status = one.status()
    assert (status["state"], status["trouble"], status["next_step"]) == ("retrying", "connection refused", "start it")
    assert status["alarm"]
    assert status["behind_blocks"] == 3
    server.judge = lambda shipment: None
    one.pumped(lambda: sent(one), now + 10_000)
    assert (one.status()["alarm"], one.status()["trouble"]) == (False, "")
    one.close()


def test_a_server_that_is_slow_gets_less_at_once_until_it_answers(tmp_path: Path) -> None:
    """Halved at each timeout, and larger again once it is well."""
    server = FakeServer()
    server.judge = lambda one: ServerAnswer(Ruling.SLOW, "timeout") if len(one) > 15 else None
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 60), b"1")
    now = one.pumped(lambda: sent(one))
    assert set(server.held) == wanted(blocks(0, 60))
    assert len(server.sent) < 120
    server.judge = lambda one: None
    for at in range(60, 400):
        one.take(blocks(at, 1), b"2")
        now = one.pumped(lambda: sent(one), now)
    assert one._dispatch.most > 1000
    one.close()


def test_what_is_refused_is_found_and_set_aside_by_class(tmp_path: Path) -> None:
    """The rest arrives; what stands aside can be read from the store with the server's words."""
    server = FakeServer()
    bad = (b"stream-1", 7, "pump-7", 0)
    server.judge = lambda one: ServerAnswer(Ruling.REFUSED, "no such", refusal="42X") if bad in keys(one) else None
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 20), b"1")
    one.pumped(lambda: sent(one))
    assert set(server.held) == wanted(blocks(0, 20)) - {bad}
    status = one.status()
    assert (status["aside"], status["alarm"]) == (1, True)
    assert status["warnings"] == ["1 samples set aside, refused as 42X"]
    assert status["taken"] == status["acknowledged"] + 1
    one.close()
    again = FakeOutput.beside(tmp_path, server)
    assert again.status()["aside"] == 1
    again.close()


@pytest.mark.parametrize("everything", [False, True])
def test_what_was_refused_is_set_aside_once_however_often_the_rest_is_sent(everything: bool, tmp_path: Path) -> None:
    """What is held is what was taken: a new connection has nothing refused a second time."""
    server = FakeServer()
    bad = (b"stream-1", 7, "pump-7", 0)
    no = ServerAnswer(Ruling.REFUSED, "no such", refusal="42X")
    server.judge = lambda one: no if everything or bad in keys(one) else None
    one = FakeOutput.beside(tmp_path, server, keep_s=60.0)
    given = blocks(0, 20)
    one.take(given, b"1")
    now = one.pumped(lambda: sent(one))
    refused = wanted(given) if everything else {bad}
    server.held.clear()
    server.anew, server.judge = True, lambda one: no if bad in keys(one) else None
    one.take(blocks(20, 1), b"2")
    one.pumped(lambda: sent(one) and server.held, now)
    assert set(server.held) == wanted([*given, *blocks(20, 1)]) - refused
    assert set(server.held.values()) == {1}
    status = one.status()
    assert (status["aside"], status["held"]) == (len(refused), len(server.held))
    assert status["taken"] == status["acknowledged"] + len(refused)
    one.close()


@pytest.mark.parametrize("wish", list(AsideWish))
def test_what_was_set_aside_is_sent_again_or_dropped_as_a_person_wishes(wish: AsideWish, tmp_path: Path) -> None:
    """Read beside the process, by group, with the words; the wish is taken up by the next step, also after a start."""
    server = FakeServer()
    bad = (b"stream-1", 7, "pump-7", 0)
    server.judge = lambda one: ServerAnswer(Ruling.REFUSED, "no such", refusal="42X") if bad in keys(one) else None
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 20), b"1")
    now = one.pumped(lambda: sent(one))
    table = OutputTable.model_validate({"kind": "fake", "name": "fake", "scope": "all"})
    (group,) = FakeOutput.set_aside(table, tmp_path)
    assert (group.why, group.message, group.samples) == ("42X", "no such", 1)
    assert group.example.startswith("pump-7 ")
    server.judge = lambda one: None
    one.close()
    aside.ask(tmp_path, "fake", wish, group.number)
    one = FakeOutput.beside(tmp_path, server)
    one.pumped(lambda: not one.status()["aside"] and sent(one), now)
    assert set(server.held) == wanted(blocks(0, 20)) - ({bad} if wish is AsideWish.DROP else set())
    assert one.status()["acknowledged"] == len(server.held)
    assert not FakeOutput.set_aside(table, tmp_path)
    assert not aside.wish_file(tmp_path, "fake").exists()
    one.close()
    again = FakeOutput.beside(tmp_path, server)
    assert again.status()["acknowledged"] == len(server.held)
    again.close()


def test_what_a_person_wants_sent_again_holds_up_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the store has room for was set aside: what is new is still taken, and goes first; refused again it is
    set aside again, once."""
    server = FakeServer()
    server.judge = lambda one: ServerAnswer(Ruling.REFUSED, "nothing at all")
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 200), b"1")
    now = one.pumped(lambda: sent(one))
    monkeypatch.setattr(stored_output, "PENDING_BYTES", 1000)
    table = OutputTable.model_validate({"kind": "fake", "name": "fake", "scope": "all"})
    refused = one.status()["aside"]
    for verdict in (ServerAnswer(Ruling.REFUSED, "nothing at all"), None):
        aside.ask(tmp_path, "fake", AsideWish.RESEND, FakeOutput.set_aside(table, tmp_path)[-1].number)
        server.judge = lambda one: ServerAnswer(Ruling.AGAIN, "away")
        one.step(now)
        now = one.pumped(lambda: one.status()["trouble"] == "away", now)
        assert one.status()["aside"] == 0
        assert one.wants()
        server.judge = lambda one, verdict=verdict: verdict  # type: ignore[misc]
        now = one.pumped(lambda: sent(one) and not one.status()["trouble"], now + 100)
        assert one.status()["aside"] == (refused if verdict else 0)
    assert set(server.held) == wanted(blocks(0, 200))
    one.close()


def test_a_thousand_refused_ones_do_not_cost_thousands_of_requests(tmp_path: Path) -> None:
    """The search ends; what is refused from then on stands aside as it is, and what is live goes on meanwhile."""
    server = FakeServer()
    server.judge = lambda one: ServerAnswer(Ruling.REFUSED, "odd") if (one.rank % 2).any() else None
    one = FakeOutput.beside(tmp_path, server)
    given = blocks(0, 200, healed=True)
    one.take(given, b"1")
    one.pumped(lambda: sent(one))
    assert len(server.sent) < 6 * SEARCH_REQUESTS
    assert one.status()["aside"] + len(server.held) == len(wanted(given))
    one.close()


def test_a_server_that_refuses_everything_holds_at_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is set aside than has room; the rest waits, with an alarm, and arrives when the server is mended."""
    monkeypatch.setattr(module, "ASIDE_BYTES", 20_000)
    server = FakeServer()
    server.judge = lambda one: ServerAnswer(Ruling.REFUSED, "nothing at all")
    one = FakeOutput.beside(tmp_path, server)
    given = []
    now = 0.0
    for at in range(200):
        given += blocks(at * 20, 20)
        one.take(given[-20:], b"%d" % at)
    now = one.pumped(lambda: one.status()["state"] == "held")
    assert "no room to set more aside" in one.status()["trouble"]
    assert one.status()["behind_blocks"]
    before = one.status()["aside"]
    server.judge = lambda one: None
    one.pumped(lambda: sent(one), now + 100)
    assert before <= one.status()["aside"]
    assert one.status()["aside"] + len(server.held) == len(wanted(given))
    one.close()


def test_live_samples_go_before_late_ones_and_neither_starves(tmp_path: Path) -> None:
    """With both waiting, one request in five is the late lane's."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server)
    one._dispatch.most = 30
    one.take([*blocks(0, 100, healed=True), *blocks(500, 100)], b"1")
    one.pumped(lambda: len(server.sent) >= 3 * (LIVE_IN_A_ROW + 1))
    lanes = [bool(shipment.healed[0]) for shipment in server.sent[: 3 * (LIVE_IN_A_ROW + 1)]]
    assert lanes == [*([False] * LIVE_IN_A_ROW), True] * 3
    one.pumped(lambda: sent(one))
    assert set(server.held) == wanted([*blocks(0, 100), *blocks(500, 100)])
    one.close()


def test_a_server_that_does_not_answer_holds_up_nothing(tmp_path: Path) -> None:
    """Steps return at once, takes go on, and the status says for how long there was no answer; a stop waits briefly."""
    server = FakeServer()
    server.gate.clear()
    one = FakeOutput.beside(tmp_path, server, patience_s=0.001)
    began = time.monotonic()
    for at in range(90):
        one.take(blocks(at, 1), b"%d" % at)
        one.step(float(at))
    assert time.monotonic() - began < 15
    assert one.status()["trouble"].startswith("no answer for 8")
    assert one.status()["alarm"]
    server.gate.set()
    one.pumped(lambda: sent(one), 100.0)
    assert one.status()["trouble"] == ""
    assert set(server.held) == wanted(blocks(0, 90))
    one.close()


def test_an_error_of_a_courier_is_told_and_ends_nothing(tmp_path: Path) -> None:
    """What no courier should raise is told, tried again, and lost nowhere."""

    def broken(shipment: Shipment) -> ServerAnswer:
        raise KeyError("a bug")

    server = FakeServer()
    server.judge = broken
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 2), b"1")
    now = one.pumped(lambda: one.status()["trouble"])
    assert "KeyError" in one.status()["trouble"]
    server.judge = lambda shipment: None
    one.pumped(lambda: sent(one), now)
    one.close()


def test_a_new_secret_is_read_when_the_old_one_is_refused(tmp_path: Path) -> None:
    """Written into its file while the output is held, it is used with the next try; one that cannot be read is not."""
    server, secrets, used = FakeServer(), ["old"], []

    def read() -> str:
        if not secrets:
            raise ConfigError("it is being written")
        return secrets[-1]

    def made(secret: str) -> FakeServer:
        used.append(secret)
        return server

    server.judge = lambda shipment: None if used[-1] == "new" else ServerAnswer(Ruling.HOLD, "who are you")
    one = FakeOutput.beside(tmp_path, SecretCourier(read, made))
    one.take(blocks(0, 3), b"1")
    now = one.pumped(lambda: one.status()["state"] == "held")
    secrets.clear()
    now = one.pumped(lambda: len(server.sent) > 1, now)
    assert used == ["old"]
    secrets.append("new")
    one.pumped(lambda: sent(one), now)
    assert used == ["old", "new"]
    assert set(server.held) == wanted(blocks(0, 3))
    one.close()


def test_a_connection_with_a_secret_is_looked_after_as_one_without(tmp_path: Path) -> None:
    """A password in its file changes nothing of that, and a new one is used though nothing is to be sent."""
    used: list[str] = []

    class WatchedServer(FakeServer):
        watches = True

        def look_after(self) -> ServerAnswer:
            return ServerAnswer(Ruling.TAKEN if used[-1] == "new" else Ruling.HOLD, "who are you")

    def made(secret: str) -> FakeServer:
        used.append(secret)
        return WatchedServer()

    secrets = ["old"]
    one = FakeOutput.beside(tmp_path, SecretCourier(lambda: secrets[-1], made))
    now = one.pumped(lambda: one.status()["state"] == "held")
    secrets.append("new")
    one.pumped(lambda: not one.status()["trouble"], now)
    assert used == ["old", "new"]
    one.close()


def test_many_small_shipments_go_as_one(tmp_path: Path) -> None:
    """After an outage what was taken block by block is not sent block by block."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server)
    for at in range(150):
        one.take(blocks(at, 1), b"%d" % at)
    one.pumped(lambda: sent(one))
    assert len(server.sent) == 1
    assert server.held == Counter(wanted(blocks(0, 150)))
    one.close()


def test_a_store_at_its_bound_wants_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal waits then; once something was sent it is read on."""
    monkeypatch.setattr(stored_output, "PENDING_BYTES", 3000)
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server)
    for at in range(50):
        if one.wants():
            one.take(blocks(at, 1), b"%d" % at)
    assert not one.wants()
    assert int(one.place() or b"0") < 20
    one.pumped(one.wants)
    one.close()


def test_a_damaged_store_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    """At the start and while it runs: told, with no place, so that the journal is read again; nothing is doubled."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server)
    one.take(blocks(0, 5), b"5")
    one.pumped(lambda: sent(one))
    one.take(blocks(5, 5), b"10")
    with sqlite3.connect(tmp_path / "fake.db") as other:
        other.execute("UPDATE shipment SET body = x'00'")
    other.close()
    one.step(0.0)
    assert one.begun_again()
    assert one.place() is None
    assert "set aside" in str(one.status()["warnings"]) or "stands as" in str(one.status()["warnings"])
    one.take(blocks(0, 10), b"10")
    one.pumped(lambda: sent(one))
    assert set(server.held) == wanted(blocks(0, 10))
    one.close()
    (tmp_path / "fake.db").write_bytes(b"no database at all" * 100)
    again = FakeOutput.beside(tmp_path, server)
    assert again.begun_again()
    assert again.place() is None
    again.close()


def test_a_connection_that_means_something_is_looked_after_while_nothing_is_sent(tmp_path: Path) -> None:
    """Every second, not behind every step; what fails is told and tried again later; a new one brings what is held."""

    class WatchedServer(FakeServer):
        watches = True
        looks = 0
        well = ServerAnswer(Ruling.TAKEN)

        def look_after(self) -> ServerAnswer:
            self.looks += 1
            return self.well

    server = WatchedServer()
    one = FakeOutput.beside(tmp_path, server, keep_s=1000.0)
    for step in range(100):
        assert one.step(step / 10) <= 1.0
    assert server.looks == 10
    one.take([samples(1)], b"1")
    now = one.pumped(lambda: one.status()["held"], 10.0)
    held, looks = one.status()["held"], server.looks
    server.well = ServerAnswer(Ruling.AGAIN, "gone", "start it")
    now = one.pumped(lambda: one.status()["trouble"] == "gone", now)
    now = one.pumped(lambda: one.status()["alarm"], now)
    assert one.status()["next_step"] == "start it"
    assert server.looks - looks < 20, "each failure waits longer"
    server.well = ServerAnswer(Ruling.TAKEN, anew=True)
    now = one.pumped(lambda: one.status()["resent"], now)
    server.well = ServerAnswer(Ruling.TAKEN)
    one.pumped(lambda: one.status()["held"] == held and not one.status()["trouble"], now)
    assert set(server.held.values()) == {2}
    one.close()


def test_a_connection_that_means_nothing_is_left_alone(tmp_path: Path) -> None:
    """Where nobody else hears of it, nothing is asked of a server while nothing is sent."""
    server = FakeServer()
    one = FakeOutput.beside(tmp_path, server)
    with mock.patch.object(FakeServer, "look_after", side_effect=AssertionError):
        for step in range(100):
            one.step(float(step))
    assert not one.status()["trouble"]
    one.close()
