"""The code of the envelope opens once, for the custodian of the shift; every other try is refused, and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from access_cast import ACME, APPROVER, CUSTODIAN, DAY, HOUR, POLICY, PRESS, PUMP, T0, VISIBLE, period
from reading_entries import enrolled

from receiver.governed.authority import Authority
from receiver.governed.breaking_glass import broken
from receiver.governed.grants.break_glass import Emergency, prepare
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.rostering import roster
from receiver.governed.people.person import PersonRole
from receiver.governed.sealed_code import CODE_BYTES, SealedCodes, new_code
from receiver.governed.trail.trail import Trail

CODE, OTHER = new_code(bytes(CODE_BYTES)), new_code(b"\1" * CODE_BYTES)


class Site:
    """An authority, and the envelopes."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(Trail(folder / "trail.db"), POLICY, folder, wall_ns=T0, running_ns=0)
        self.codes = SealedCodes(folder, pytest.fail, wall_ns=T0)
        for one in (ACME, APPROVER, CUSTODIAN):
            self.authority.trail.note(enrolled(one))
        line = Duty(key="d-1", role=PersonRole.CUSTODIAN, person="custodian", assets=frozenset(),
                    period=period(T0 - DAY, T0 + DAY))  # fmt: skip
        self.authority.act(lambda people, grants, now: roster(line, CUSTODIAN, grants, "admin", now))
        self.seal("c-1", CODE)

    def seal(self, key: str, code: str) -> None:
        """Prepare a credential."""
        self.codes.keep(key, code)
        self.authority.act(lambda people, grants, now: prepare(key, "safe", grants, "command:root", now))

    def open(self, typed: str, who: str = "custodian", extent: Extent = PUMP, *, drill: bool = False) -> None:
        """Break the glass."""
        emergency = Emergency(
            extent=extent,
            length_s=3600.0,
            criteria=POLICY.criteria,
            why="the pump has tripped at night",
            credential="",
            drill=drill,
        )
        key = f"g-{len(self.kinds())}"
        broken(self.authority, self.codes, emergency, typed, custodian=who, reader="acme", visible=VISIBLE["Acme"],
               key=key, origin="192.0.2.7")  # fmt: skip

    def kinds(self) -> list[str]:
        """Of all entries."""
        return [one.entry.kind for one in self.authority.trail.records()]

    def reads(self) -> frozenset[str]:
        """What the vendor's specialist reads now."""
        return self.authority.granted("acme").scope.assets or frozenset()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.authority.trail.close()


@pytest.mark.parametrize("drill", [False, True])
def test_the_code_opens_once(site: Site, drill: bool) -> None:
    """The named equipment alone; the second use waits for review and for a new credential, a drill too."""
    site.open(CODE.lower(), drill=drill)
    assert site.reads() == {"pump-7"}
    (entry,) = [one.entry for one in site.authority.trail.records() if one.entry.kind == "break-glass.opened"]
    assert (entry.origin, entry.facts["credential"], entry.facts["drill"]) == ("192.0.2.7", "c-1", drill)
    assert CODE not in str(entry.facts)
    with pytest.raises(RuleRefusal, match="review of the last use"):
        site.open(CODE)
    site.authority.tick(T0 + 2 * HOUR, 2 * HOUR)
    assert site.reads() == frozenset()


def test_another_code_opens_nothing_and_is_an_alert(site: Site) -> None:
    """The one before, a guess, nothing; what was typed stands nowhere."""
    site.seal("c-2", OTHER)
    for typed in (CODE, "AAAAA-AAAAA", ""):
        with pytest.raises(RuleRefusal, match="not the code"):
            site.open(typed)
    assert site.kinds()[-3:] == ["alert.raised"] * 3
    assert site.reads() == frozenset()
    site.open(OTHER)
    assert site.reads() == {"pump-7"}


def test_who_may_not_is_told_so_before_any_code_is_compared(site: Site) -> None:
    """An approver, nobody; and no equipment that is not the reader's employer's."""
    for who in ("approver", "p-nobody"):
        with pytest.raises(RuleRefusal, match="only a custodian"):
            site.open(OTHER, who)
    with pytest.raises(RuleRefusal, match="name the equipment"):
        site.open(CODE, extent=PRESS)
    assert "alert.raised" not in site.kinds()
    assert site.reads() == frozenset()
