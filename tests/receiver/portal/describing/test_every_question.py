"""Every address is asked all sorts of questions, right and wrong, made from its own description (schemathesis).

Nobody signed in, a vendor with a grant and one without: no answer is a bug (500), each is of the shape that the
document says, nobody gets data without a right to it, and nobody gets a word of another vendor's.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import requests
from granting_site import WHY, GrantingSite
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from receiver.portal.describing.addresses import ADDRESSES
from receiver.portal.describing.i3x_shapes import I3X_SHAPES as SHAPES
from receiver.portal.describing.open_api import document
from receiver.portal.serving.guard import POLICY

if TYPE_CHECKING:
    from schemathesis import Case

EXAMPLES, I3X_EXAMPLES = 6, 2
"""Questions for each address, kind of question and reader; i3X has many addresses, and one reading of all of them. The
first that is right names what can be read there and nothing else: each address answers it."""
SOAK = 20
"""So many times as many in the long count."""

SEED = int(os.environ.get("CHECKVALVE_SEED", random.SystemRandom().randrange(2**32)))
OPEN = ("/healthz", "/i3x/v1/info")
LISTS = {f"/api/{one}": one for one in ("alarms", "assets", "events", "tags", "samples", "buckets")} | {
    "/api/latest": "values",
    "/api/search": "found",
}
"""Addresses that answer everybody, with what is theirs, and the name that it stands under."""
PLAIN = ("/api/", "/api/openapi.json", "/api/link")
"""Addresses that show no machine: who is signed in reads them without a grant."""
WAYS = {
    (path, way.upper()): [one["name"] for one in held.get("parameters", ())]
    for path, ways in document()["paths"].items()
    for way, held in ways.items()
}
"""Addresses with their methods, and what each takes."""
BODIES = {(one.path, one.method): set(SHAPES[one.body]["properties"]) for one in ADDRESSES if one.body}
"""Fields of a question that stands in a body."""
REFUSED = {(path, way) for path, way in WAYS if "200" not in document()["paths"][path][way.lower()]["responses"]}
MACHINES = ("acme-pump", "volta-press")
TAGS = ("acme-pump/acme-pressure", "volta-press/volta-force")
ELEMENTS = ["tag/acme-pump/acme-pressure", "asset/volta-press", "plant"]
GRANTED = {"series": 1, "asset": MACHINES[0], "tag": TAGS[0], "name": "acme-pressure"}
"""What the vendor with a grant may read."""
KNOWN: tuple[str, ...] = ("series", "asset", "tag", "name", "from and to", "width")
KNOWN += ("elementIds", "clientId and subscriptionId", "startTime and endTime")
"""What a question may say rightly; half of the questions say all of it, so that each address answers some."""
ENDLESS = "text/event-stream"


@dataclass(frozen=True)
class Asking:
    """The site's pages and who asks."""

    base: str
    cookies: dict[str, dict[str, str]]
    subscriptions: dict[str, str]
    """Of each, called `known` by its client."""


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Acme has a grant for its pump, Volta none; both are signed in."""
    site = GrantingSite(tmp_path_factory.mktemp("site"))
    with site.pages() as web:
        acme, sponsor, volta = (site.enter(web, who) for who in ("acme", "sponsor", "volta"))
        site.request(acme)
        sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        cookies = {"stranger": {}, "acme": acme.cookies, "volta": volta.cookies}
        address, held = f"{web.base}/i3x/v1/subscriptions", {"clientId": "known"}
        made = {
            who: requests.post(address, json=held, cookies=cookie, timeout=20).json().get("result", {})
            for who, cookie in cookies.items()
        }
        yield Asking(web.base, cookies, {who: one.get("subscriptionId", "none") for who, one in made.items()})
    site.close()


def nobody(path: str, answer: requests.Response, text: str) -> None:
    """Refused everywhere, whatever cookie or token was made up; well or not, and what i3X can do, is for everybody."""
    if path in OPEN:
        assert set(answer.json()) in ({"ok"}, {"success", "result"})
    else:
        assert answer.status_code == 401 or (path.startswith("/i3x/") and answer.status_code == 400)


def with_grant(path: str, answer: requests.Response, text: str) -> None:
    """Its own machine, and no word of the other's."""
    assert "volta" not in text.lower()
    assert "88.0" not in text


def without_grant(path: str, answer: requests.Response, text: str) -> None:
    """Lists are empty, and a single thing is not there."""
    assert not any(word in text.lower() for word in ("acme-pump", "acme-pressure", "volta-press", "volta-force"))
    assert "88.0" not in text
    if answer.status_code == 200 and path not in (*PLAIN, *OPEN, "/live"):
        assert path in LISTS or path.startswith("/i3x/")
        if path in LISTS and answer.headers["Content-Type"] == "application/json":
            assert answer.json()[LISTS[path]] == []


@pytest.mark.parametrize("times", [1, pytest.param(SOAK, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
@pytest.mark.parametrize(
    ("who", "law"),
    [("stranger", nobody), ("acme", with_grant), ("volta", without_grant)],
    ids=["a stranger", "a vendor with a grant", "a vendor without one"],
)
def test_no_question_brings_a_bug_or_what_is_not_theirs(
    asking: Asking,
    who: str,
    law: Callable[[str, requests.Response, str], None],
    times: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever is asked, by whomever: no 500, no 200 without a right, and the shape that the document says."""
    counts: Counter[tuple[tuple[str, str], int]] = Counter()
    print(f"CHECKVALVE_SEED={SEED}")  # noqa: T201  what asks the same questions again
    with requests.Session() as session:
        for way, parameters in WAYS.items():
            for right in (True, False) if parameters or (way in BODIES and who != "stranger") else (True,):
                _ask(session, asking, who, way, right, law, counts, times)
    statuses = Counter(status for _, status in counts.elements())
    said = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    with capsys.disabled():
        print(f"\n{who}: {counts.total()} questions, {said}", end=" ")  # noqa: T201
    answered = {way for way, status in counts if status == 200}
    assert answered == {"stranger": {(path, "GET") for path in OPEN}}.get(who, answered)
    assert who != "acme" or answered == set(WAYS) - {("/metrics", "GET")} - REFUSED  # the law was put to something


@cache
def _questions(path: str, method: str, *, right: bool) -> st.SearchStrategy[Case[Any]]:
    from schemathesis import GenerationMode, openapi  # seconds, which not every worker need spend

    operation = openapi.from_dict(document())[path][method]
    return operation.as_strategy(generation_mode=GenerationMode.POSITIVE if right else GenerationMode.NEGATIVE)


def _conforms(case: Case[Any], answer: requests.Response) -> None:
    from schemathesis.specs.openapi import checks

    held = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
    case.validate_response(answer, checks=held)


def _ask(
    session: requests.Session,
    asking: Asking,
    who: str,
    way: tuple[str, str],
    right: bool,
    law: Callable[[str, requests.Response, str], None],
    counts: Counter[tuple[tuple[str, str], int]],
    times: int,
) -> None:
    path, parameters = way[0], WAYS[way]
    body, plain = way in BODIES, right
    examples = 2 if not (parameters or body) else I3X_EXAMPLES if path.startswith("/i3x/") else EXAMPLES

    @seed(SEED)
    @settings(
        max_examples=examples * times,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=_questions(*way, right=right),
        there=st.fixed_dictionaries(
            {
                "series": st.integers(0, 3),
                "asset": st.sampled_from(MACHINES),
                "tag": st.sampled_from(TAGS),
                "name": st.sampled_from([name.partition("/")[2] for name in TAGS]),
            }
        ),
        known=st.just(set(KNOWN)) | st.sets(st.sampled_from(KNOWN)),
    )
    def all_sorts(case: Case[Any], there: dict[str, object], known: set[str]) -> None:
        nonlocal plain
        if plain:
            case.query, known, plain = {}, set(KNOWN), False
            there = dict(GRANTED)
        there |= {"from": 1763884000000, "to": 1763886000000, "width": "1h"}
        kept = [name for word in known for name in word.split(" and ") if name in parameters]
        case.query = dict(case.query or {}) | {name: there[name] for name in kept}
        if body and isinstance(case.body, dict):
            told_there: dict[str, Any] = {
                "elementIds": ELEMENTS,
                "clientId": "known",
                "subscriptionId": asking.subscriptions[who],
            }
            told_there |= {"startTime": "2025-11-23T00:00:00Z", "endTime": "2025-11-24T00:00:00Z"}
            names = [name for word in known for name in word.split(" and ") if name in told_there]
            case.body = case.body | {name: told_there[name] for name in names if name in BODIES[way]}
        if asking.cookies[who]:
            case.cookies = dict(asking.cookies[who])
            case.headers.clear()
        told = case.as_transport_kwargs(base_url=asking.base)
        with session.request(**told, stream=True, allow_redirects=False, timeout=20) as answer:
            counts[way, answer.status_code] += 1
            assert answer.status_code < 500 or (path, answer.status_code) == ("/healthz", 503) or way in REFUSED
            assert answer.headers["Content-Security-Policy"] == POLICY
            if answer.headers["Content-Type"] == ENDLESS:
                law(path, answer, answer.raw.read1(1 << 16).decode())
                return
            text = answer.text
            for name in ELEMENTS if body else ():  # what was asked for is told again
                text = text.replace(name, "")
            law(path, answer, text)
            _conforms(case, answer)

    all_sorts()
