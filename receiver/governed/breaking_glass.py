"""Breaking the glass with the code of the sealed envelope: who may, whether it is the code, and then it is open.

The rules stand in `grants/break_glass.py`; here the code is compared, which no rule sees. A wrong one is an alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from receiver.governed.alerts.alert import raised
from receiver.governed.authority import Authority
from receiver.governed.grants.break_glass import Emergency, may_open, open_glass
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.register import Grants
from receiver.governed.people.register import People
from receiver.governed.sealed_code import SealedCodes
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry, TrailRecord


def broken(
    authority: Authority,
    codes: SealedCodes,
    emergency: Emergency,
    typed: str,
    *,
    custodian: str,
    reader: str,
    visible: Extent,
    key: str,
    origin: str = "",
) -> list[TrailRecord]:
    """Open the equipment for the reader.

    Args:
        authority: Its clock has been ticked.
        codes: Where the hashes lie.
        emergency: As it was filled in; its credential is that which lies ready, whatever stands there.
        typed: The code, as the custodian typed it.
        custodian: Key of who opens.
        reader: Key of who reads.
        visible: What the reader's employer may see at all.
        key: The new grant's.
        origin: Network address it came from.

    Raises:
        RuleRefusal: The rules do not allow it, or it is another code.
        TrailError: It cannot be written, and is not open.
    """
    person = authority.person(custodian)
    if person is None:
        raise RuleRefusal("only a custodian breaks the glass")
    may_open(person, authority.grants, authority.now)
    ready = authority.grants.credential
    if not codes.fits(ready, typed):
        told = f"{custodian} typed a code that is not the one of {ready}"
        more = {"person": custodian}
        entry = raised("wrong break-glass code", told, at_ns=authority.now.late_ns, origin=origin, more=more)
        authority.trail.note([entry])
        raise RuleRefusal("this is not the code of the credential that lies ready")
    taken = replace(emergency, credential=ready)

    def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
        opener, who = people.person(custodian, now), people.person(reader, now)
        if opener is None or who is None:
            raise RuleRefusal("the reader is not enrolled")
        made = open_glass(taken, opener, who, visible, grants, authority.policy, now, key=key)
        return [replace(one, origin=origin) for one in made]

    return authority.act(rule)
