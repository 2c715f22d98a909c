"""Replies that may still come: counted in virtual time, with no line and no device."""

from __future__ import annotations

import pytest

from collectors.modbus.late import KNOWN_S, LATE_S, LISTEN_S, Late
from collectors.modbus.replies import Question, checksum, mbap, rtu

ONE = bytes([3, 2, 0, 1])


def question(at: int, count: int = 1, unit: int = 1) -> Question:
    """A read of holding registers."""
    return Question(unit=unit, pdu=bytes([3, 0, at, 0, count]), size=2 * count, reply_unit=unit)


@pytest.mark.parametrize(("timeout", "said", "until"), [(3.0, 0.0, 3 + LATE_S), (9.0, 0.0, 18.0), (1.0, 0.2, 1.2)])
def test_what_was_not_answered_holds_back_others_of_its_shape(timeout: float, said: float, until: float) -> None:
    """Until it has had time enough; not the same request, not another length, not another unit."""
    late = Late()
    late.owe(question(10), 100.0, timeout, said)
    assert late.wait(question(30), 100.0 + timeout) == pytest.approx(until - timeout)
    assert late.wait(question(30), 100.0 + until) == 0
    for other in (question(10), question(30, count=2), question(30, unit=2)):
        assert late.wait(other, 100.0 + timeout) == 0


def test_a_reply_that_was_owed_is_nobodys() -> None:
    """It pays once; then others may be asked, and a second one is too many."""
    late = Late()
    late.owe(question(10), 0.0, 1.0, 0.0)
    assert late.pays(1, ONE, None, 2.0)
    assert late.wait(question(30), 2.0) == 0
    assert not late.pays(1, ONE, None, 2.0)
    assert not late.pays(2, ONE, None, 2.0)


def test_the_same_request_asked_again_takes_either_reply() -> None:
    """One of the two is still owed afterwards."""
    late = Late()
    late.owe(question(10), 0.0, 1.0, 0.0)
    assert not late.pays(1, ONE, question(10), 1.1)
    late.answered(question(10), 0.1, 1.0, 1.0, refused=False)
    assert late.wait(question(30), 1.1) > 0
    assert late.pays(1, ONE, None, 1.2)
    assert late.wait(question(30), 1.2) == 0


def test_a_reply_later_than_was_thought_is_waited_for_from_then_on() -> None:
    """As long as it is known for what it is."""
    late = Late()
    late.owe(question(10), 0.0, 1.0, 0.0)
    assert not late.pays(1, ONE, None, KNOWN_S / 2), "it is one too many now"
    late.owe(question(10), 100.0, 1.0, 0.0)
    assert late.wait(question(30), 101.0) == pytest.approx(1.5 * KNOWN_S / 2 - 1.0)


def test_replies_of_one_shape_are_listened_after_and_others_prove_the_order() -> None:
    """An exception has no shape of its own and proves nothing."""
    late = Late()

    def answered(one: Question, *, refused: bool = False) -> float:
        late.answered(one, 0.1, 0.0, 1.0, refused=refused)
        return late.listen(1)

    assert answered(question(10)) == 0
    assert answered(question(10)) == 0
    assert answered(question(30)) == pytest.approx(max(LISTEN_S, 0.2))
    assert answered(question(40, count=2)) == 0
    assert answered(question(50), refused=True) > 0
    assert answered(question(60, count=3)) > 0
    assert answered(question(70, count=1)) == 0


def test_frames_are_found_in_what_comes() -> None:
    """In order, with what is left; a wrong checksum is no frame, and a frame inside the data of another is none."""
    whole = bytes([1]) + ONE
    frame = whole + checksum(whole).to_bytes(2, "little")
    outer = bytes([1, 3, 8]) + frame + b"\0"
    outer += checksum(outer).to_bytes(2, "little")
    assert [one.pdu for one in rtu(b"\0" + frame + b"\xff" + frame)[0]] == [ONE, ONE]
    assert rtu(frame[:-1] + b"\0")[0] == []
    assert [len(one.pdu) for one in rtu(outer)[0]] == [10]
    asked = Question(unit=1, pdu=b"\3\0\0\0\4", size=8, reply_unit=1)
    assert rtu(outer[:-1], asked)[0] == []
    tcp = b"\0\7\0\0\0\5\1" + ONE
    frames, rest = mbap(tcp + tcp + tcp[:5])
    assert [(one.number, one.unit, one.pdu) for one in frames] == [(7, 1, ONE)] * 2
    assert rest == tcp[:5]
    assert mbap(tcp + b"\0\1\0\2garbage") == (frames[:1], b"")
