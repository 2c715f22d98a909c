"""The demo's people, made on real pages by real commands: everybody can be tried, and no more is said than must be."""

from __future__ import annotations

import contextlib
import io
import time
import tomllib
from pathlib import Path

import pytest
from portal_plant import Plant
from sign_in_site import SignInSite, WebReader

import checkvalve
from protocol.content.catalog import Asset, Tag
from protocol.errors import ConfigError
from receiver.governed.grants.grant import GrantState
from receiver.governed.grants.request import RequestState
from simulator.demo_people import FILE, PEOPLE, DemoPeople
from simulator.page_visitor import PageVisitor

VENDORS = {"pump-7": "Acme Pumps", "turbine-1": "Borealis Turbines"}


class Commands(DemoPeople):
    """Runs its commands here instead of in processes of their own."""

    def _command(self, *words: str) -> str:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = checkvalve.main([*words])
        if code:
            raise ConfigError(err.getvalue())
        return out.getvalue()


def test_the_demos_people_can_be_tried_at_once(tmp_path: Path) -> None:
    """Each signs in with what was written down; a vendor reads, the other waits, all who decide are on duty."""
    low = tmp_path / "low"
    low.mkdir()
    (low / "receiver.toml").write_text((Path(__file__).parents[2] / "examples/receiver.toml").read_text())
    site = SignInSite(low / "state", time.time_ns())
    assets = tuple(Asset(name=name, site="north", vendors=(vendor,)) for name, vendor in VENDORS.items())
    tags = tuple(Tag(id=at, asset=name, name="speed", unit="rpm", type="float64") for at, name in enumerate(VENDORS))
    plant = Plant(low / "state", assets, tags, clock=site.clock)
    plant.say({(name, "speed"): 1.0 for name in VENDORS})
    plant.report()
    said: list[str] = []
    try:
        with site.pages() as web:
            people = Commands(tmp_path, web.base + "/", said.append)
            people.start()
            people.finish()
            assert len(people.list) == len(PEOPLE), said
            assert said[1:] == []
            assert not (tmp_path / FILE).exists()
            shown = people.tend(time.time())
            assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
            told = {one["login"]: one for one in tomllib.loads((tmp_path / FILE).read_text())["person"]}
            for one in people.list:
                held = told[one.login]
                code = one.code(site.clock() / 1e9)
                assert held["password"] == one.password
                assert any(one.login in line and one.password in line for line in shown)
                reader = WebReader(web.base)
                fields = {"login": one.login, "password": one.password, "code": code}
                assert reader.send("/sign-in", "/sign-in", **fields).status == 303, one.login
                seen = {name for name in VENDORS if reader.get(f"/asset/{name}").status == 200}
                assert seen == ({"pump-7"} if one.employer == "Acme Pumps" else set())
                if one.role == "approver":
                    assert "Approve" in reader.get("/access").text
            grants = site.office.desk.authority.grants
            now = site.office.desk.now()
            assert [one.state(now) for one in grants.grants.values()] == [GrantState.IN_FORCE]
            assert [one.state for one in grants.requests.values()] == [RequestState.GRANTED, RequestState.OPEN]
            assert {one.role.value for one in grants.duties.values() if one.on(now)} == {
                "approver",
                "engineer",
                "custodian",
            }
            assert grants.credential
            again = Commands(tmp_path, web.base + "/", said.append)
            again.start()
            again.finish()
            assert [one.key for one in again.list] == [one.key for one in people.list]
            assert again.sealed == people.sealed != ""
    finally:
        site.close()
        plant.close()


def test_a_demo_whose_people_cannot_be_made_goes_on(tmp_path: Path) -> None:
    """It says so, with what the command or the page said."""
    said: list[str] = []
    people = DemoPeople(tmp_path, "http://127.0.0.1:9/", said.append)
    people.start()
    people.finish()
    people.close()
    assert people.list == ()
    assert people.tend(0.0) == []
    _, line = said
    assert line.startswith("the demo's people are not there: checkvalve person enrol")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9"):
        PageVisitor("http://127.0.0.1:9/").get("/")
