"""The document of the addresses: whole, of the standard's form, the same for every reader, and readable as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from sign_in_site import SignInSite, WebReader
from starlette.routing import Route

from receiver.outputs.scope import Scope
from receiver.portal.app import create_app
from receiver.portal.describing.addresses import ADDRESSES
from receiver.portal.describing.open_api import document, ranged
from receiver.portal.describing.program_address import QueryParameter
from receiver.portal.error_answers import PROGRAMS
from receiver.portal.serving.guard import POLICY


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebReader]:
    """What anyone reads."""
    site = SignInSite(tmp_path_factory.mktemp("site"))
    with site.pages(open_to=Scope()) as made:
        yield made
    site.close()


def test_the_document_names_every_address_of_programs_and_no_other(tmp_path: Path) -> None:
    """An address that is added to the pages without being told here fails this."""
    site = SignInSite(tmp_path)
    app = create_app(tmp_path / "history", tmp_path, Scope(), clock=site.clock, office=site.office)
    routes = {one.path for one in app.routes if isinstance(one, Route) and one.path.startswith(PROGRAMS)}
    site.close()
    assert routes == set(document()["paths"])
    assert {one.path for one in ADDRESSES} == routes


def test_the_document_is_of_the_standards_form() -> None:
    """OpenAPI 3.1, held against its own schema; each example of a range is inside it."""
    OpenAPIV31SpecValidator(json.loads(json.dumps(document()))).validate()
    names = [way["operationId"] for one in document()["paths"].values() for way in one.values()]
    assert len(set(names)) == len(names)


def test_the_document_is_served_as_it_is(web: WebReader) -> None:
    """Byte for byte what the table makes, and nothing of the plant in it."""
    answer = web.get("/api/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.text) == document()


def test_the_page_tells_each_address_under_the_strict_policy(web: WebReader) -> None:
    """No script, no style of its own, nothing from elsewhere; each address, parameter and range is on it."""
    answer = web.get("/api/")
    assert (answer.status, answer.headers["Content-Security-Policy"]) == (200, POLICY)
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "//" not in answer.text.replace("/*", "")
    for one in ADDRESSES:
        assert f"{one.method} {one.path}<" in answer.text
        for parameter in one.parameters:
            assert f"?{parameter.name}=" in answer.text
            assert ranged(parameter) in answer.text
    assert web.get("/api").location.endswith("/api/")


def test_a_range_is_said_in_words() -> None:
    """What a parameter may be, as a person reads it."""
    said = {p.name: ranged(p) for one in ADDRESSES if one.path == "/api/trend" for p in one.parameters}
    assert said["from"] == "number or date and time"
    assert said["buckets"] == "whole number, 1 to 4000, left out: 1000"
    assert ranged(QueryParameter(name="x", says="", schema={"type": "string"})) == "text"


def test_a_stranger_is_not_told_the_addresses(tmp_path: Path) -> None:
    """Where nothing is open to anyone, the description is for who is signed in."""
    site = SignInSite(tmp_path)
    with site.pages() as web:
        assert [web.get(path).status for path in ("/api/", "/api/openapi.json", "/api/nowhere")] == [401] * 3
    site.close()
