"""The plant of two vendors with a custodian on duty and a sealed code that lies ready."""

from __future__ import annotations

from pathlib import Path

from granting_site import GrantingSite, S
from sign_in_site import WebReader

from receiver.governed.grants import break_glass
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.policy import CRITERIA
from receiver.governed.grants.request import Period
from receiver.governed.grants.rostering import roster
from receiver.governed.people.person import PersonRole
from receiver.governed.sealed_code import CODE_BYTES, SealedCodes, new_code

HAPPENED = "acme-pump tripped and the approver is on a plane"


class GlassSite(GrantingSite):
    """Two custodians, one a shift: `custodian` now, `relief` after eight hours."""

    def __init__(self, folder: Path, now_ns: int | None = None) -> None:
        super().__init__(folder, now_ns)
        begin_ns = self.clock() - S
        for who in ("custodian", "relief"):
            key = self.ready(
                f"p-{who}",
                login=f"j.{who}@plant.example",
                name=f"Jo {who}",
                roles=frozenset({PersonRole.CUSTODIAN}),
            )
            authority = self.office.desk.authority
            self.office.desk.now()
            person = authority.person(key)
            assert person is not None
            period = Period(from_ns=begin_ns, until_ns=begin_ns + 8 * 3600 * S)
            begin_ns = period.until_ns
            line = Duty(key=f"d-{who}", role=PersonRole.CUSTODIAN, person=key, assets=frozenset(), period=period)
            authority.act(lambda people, grants, now, p=person, d=line: roster(d, p, grants, "command:root", now))
        self.prepared = 0
        self.sealed = self.prepare()

    def prepare(self) -> str:
        """Another code, as the command makes one."""
        self.prepared += 1
        key, code = f"c-{self.prepared}", new_code(bytes([self.prepared] * CODE_BYTES))
        authority = self.office.desk.authority
        SealedCodes(self.folder, print, wall_ns=self.clock()).keep(key, code, beside=authority.grants.credential)
        authority.act(
            lambda people, grants, now: break_glass.prepare(
                key, "safe of the control room", grants, "command:root", now
            )
        )
        return code

    def fields(self, **given: str) -> dict[str, str]:
        """The form of an opening for the vendor Acme; None leaves a field out."""
        told = {"reader": "p-acme", "asset:acme-pump": "on", "length_h": "2", "why": HAPPENED, "code": self.sealed}
        told |= {f"criterion:{at}": "on" for at in range(len(CRITERIA))}
        return {name: held for name, held in (told | given).items() if held != "-"}

    def open(self, custodian: WebReader, **given: str) -> tuple[int, str]:
        """Break the glass; status and page."""
        answer = custodian.send("/access/glass?reader=p-acme", "/access/glass", **self.fields(**given))
        return answer.status, answer.text
