"""`checkvalve request` and `checkvalve grant`: at a terminal too a person decides, by the rules of the pages."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from glass_site import GlassSite
from granting_site import WHY
from sign_in_site import PASSWORD, WebReader

import checkvalve

RECEIVER = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys"
senders = ["high.pub"]
"""


class Terminal:
    """Types commands about a site whose pages are open beside."""

    def __init__(
        self, site: GlassSite, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.site, self.file, self._capsys, self._patch = site, folder / "receiver.toml", capsys, patch
        self.file.write_text(RECEIVER)
        self._typed: Counter[str] = Counter()

    def type(self, *words: str, who: str = "", password: str = PASSWORD, code: int = 0) -> str:
        """Type `checkvalve request list FILE ..` without the file, as somebody; gives all that was printed."""
        if who:
            self.site.clock.move(max(time.time_ns() - self.site.clock(), 0) / 1e9)
            self._typed[who] += 1
            code_of = self.site.code(f"p-{who}", self._typed[who] - 2)
            self._patch.setattr("sys.stdin", io.StringIO(f"{password}\n{code_of}\n"))
            words = (*words, "--as", f"j.{who}@plant.example", "--why", WHY)
        self._capsys.readouterr()
        assert checkvalve.main([*words[:2], str(self.file), *words[2:]]) == code
        told = self._capsys.readouterr()
        return told.out + told.err

    def told(self, *words: str) -> dict[str, Any]:
        """The same with --json."""
        found: dict[str, Any] = json.loads(self.type(*words, "--json"))
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GlassSite]:
    made = GlassSite(tmp_path / "state", time.time_ns() - 900 * 10**9)
    yield made
    made.close()


@pytest.fixture
def web(site: GlassSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


@pytest.fixture
def terminal(
    site: GlassSite, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    return Terminal(site, tmp_path, capsys, monkeypatch)


def test_a_sponsor_decides_and_revokes_at_a_terminal(site: GlassSite, web: WebReader, terminal: Terminal) -> None:
    """On record as theirs, with who was logged in beside; the pages follow."""
    acme = site.enter(web, "acme")
    site.request(acme)
    (asked,) = terminal.told("request", "list")["requests"]
    assert (asked["request"], asked["person"], asked["assets"]) == (site.newest, "p-acme", ["acme-pump"])
    assert site.newest in terminal.type("request", "list")
    assert "is given" in terminal.type("request", "approve", site.newest, who="sponsor")
    (entry,) = site.of("request.approved")
    assert str(entry.facts["typed_by"]).startswith("command:")
    assert entry.who == "p-sponsor"
    (given,) = terminal.told("grant", "list")["grants"]
    assert terminal.told("request", "list")["requests"] == []
    assert given["state"] == "in force"
    site.clock.move(0.3)
    assert acme.get("/asset/acme-pump").status == 200
    assert "revoked" in terminal.type("grant", "revoke", given["grant"], who="security")
    assert terminal.type("grant", "list").strip() == "none"
    assert "revoked" in terminal.type("grant", "list", "--all")
    site.clock.move(0.3)
    assert acme.get("/asset/acme-pump").status == 404


@pytest.mark.parametrize(
    ("who", "password", "says"),
    [
        ("sponsor", "not the password", "that does not prove"),
        ("approver", PASSWORD, "the yes that is needed is one of: sponsor"),
        ("nobody", PASSWORD, "that does not prove"),
    ],
)
def test_who_may_not_decide_decides_nothing(
    who: str, password: str, says: str, site: GlassSite, web: WebReader, terminal: Terminal
) -> None:
    """Neither by a wrong password nor by a right one of somebody else."""
    site.request(site.enter(web, "acme"))
    site.seeds.setdefault("p-nobody", site.seeds["p-sponsor"])
    assert says in terminal.type("request", "deny", site.newest, who=who, password=password, code=2)
    assert says in terminal.type("request", "approve", site.newest, who=who, password=password, code=2)
    assert site.of("request.approved") == site.of("request.denied") == []
