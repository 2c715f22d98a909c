"""A plant of two vendors, with everybody who asks, decides and reviews signed in: a browser of few lines each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from portal_plant import Plant
from sign_in_site import PASSWORD, SignInSite, WebReader

from protocol.content.catalog import Asset, Tag
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.request import Period
from receiver.governed.grants.rostering import roster
from receiver.governed.people.person import PersonRole

S = 10**9
ASSETS = (
    Asset(name="acme-pump", site="north-plant", vendors=("Acme",)),
    Asset(name="volta-press", site="north-plant", vendors=("Volta",)),
)
TAGS = (
    Tag(id=0, asset="acme-pump", name="acme-pressure", unit="bar", type="float64"),
    Tag(id=1, asset="volta-press", name="volta-force", unit="kN", type="float64"),
)
REASON = "bearing temperature climbs since Monday"
WHY = "agreed with the shift by phone"


class GrantingSite(SignInSite):
    """Everybody is enrolled and set up; approver and engineer are on duty."""

    def __init__(self, folder: Path, now_ns: int | None = None) -> None:
        super().__init__(folder, now_ns)
        self.plant = Plant(folder, ASSETS, TAGS, clock=self.clock)
        self.plant.say({("acme-pump", "acme-pressure"): 6.5, ("volta-press", "volta-force"): 88.0})
        self.plant.report()
        self.people: dict[str, str] = {}
        for who, role in (
            ("sponsor", PersonRole.SPONSOR),
            ("approver", PersonRole.APPROVER),
            ("engineer", PersonRole.ENGINEER),
            ("security", PersonRole.SECURITY),
            ("auditor", PersonRole.AUDITOR),
        ):
            self.people[who] = self.ready(
                f"p-{who}", login=f"j.{who}@plant.example", name=f"Jo {who}", roles=frozenset({role})
            )
        for vendor in ("acme", "volta"):
            self.people[vendor] = self.ready(
                f"p-{vendor}",
                login=f"v.{vendor}@{vendor}.example",
                name=f"Vic of {vendor}",
                employer=vendor.capitalize(),
                roles=frozenset({PersonRole.READER}),
                contract="C-1",
                contact="A. Contact",
                sponsor="p-sponsor",
            )
        authority = self.office.desk.authority
        self.office.desk.now()
        for who in ("approver", "engineer"):
            person = authority.person(f"p-{who}")
            assert person is not None
            (role,) = person.roles
            period = Period(from_ns=self.clock() - S, until_ns=self.clock() + 90 * 86400 * S)
            line = Duty(key=f"d-{who}", role=role, person=person.key, assets=frozenset(), period=period)
            authority.act(lambda people, grants, now, p=person, d=line: roster(d, p, grants, "command:root", now))

    def enter(self, web: WebReader, who: str) -> WebReader:
        """Sign in as somebody, in a browser of their own."""
        made = WebReader(web.base)
        self.clock.move(30)
        held = self.office.desk.people.get(f"p-{who}")
        assert held is not None
        fields = {"login": held.draft.login, "password": PASSWORD, "code": self.code(f"p-{who}")}
        assert made.send("/sign-in", "/sign-in", **fields).status == 303
        return made

    def at(self, hours: float) -> str:
        """A time as a form has it."""
        return datetime.fromtimestamp(self.clock() / S + hours * 3600, UTC).strftime("%Y-%m-%dT%H:%M")

    def request(self, reader: WebReader, asset: str = "acme-pump", **given: str) -> None:
        """A standing request of four hours, or what is given."""
        fields = {"preset": "standing", "until": self.at(4), "reason": REASON, "purpose": "diagnosis"} | given
        answer = reader.send("/access", "/access/ask", **fields, **{f"asset:{asset}": "on"})
        assert answer.status == 303, answer.text

    @property
    def newest(self) -> str:
        """Key of the request that was made last."""
        return list(self.office.desk.authority.grants.requests)[-1]

    def close(self) -> None:
        super().close()
        self.plant.close()
