"""What is known of weaknesses in a bundle is said for programs, in two standards, and no more than is known."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import bundle
import vex

ROOT = Path(__file__).parent.parent.parent
ROW = vex.KnownWeakness(
    id="CVE-2026-54283", also=("GHSA-82w8-qh3p-5jfq",), part="starlette", fixed_in="1.3.1", title="a title",
    about="what it is", source="https://example.org/advisory",
)  # fmt: skip
HARMLESS = replace(ROW, justification="vulnerable_code_not_in_execute_path", why="no page reads a form")
CONCERNED = replace(ROW, action="keep the portal on loopback")


NOT_OURS = frozenset({"6.2.3", "6.2.11"})
"""Recommended, and not done: a score that nobody here measured, and an address at which we publish nothing."""


def part(name: str, version: str) -> bundle.Part:
    """A wheel of the bundle."""
    return bundle.Part(
        file=f"{name}-{version}-py3-none-any.whl", name=name, version=version, licence="MIT", sha256="a" * 64,
        requires=(), texts=(),
    )  # fmt: skip


def parts(starlette: str | None = "1.10.0") -> list[bundle.Part]:
    """The low side's own wheel, and one library or none."""
    return [part("checkvalve-low", "0.1.0"), *([part("starlette", starlette)] if starlette else [])]


def table(*rows: vex.KnownWeakness) -> vex.Known:
    """A table of these rows."""
    revision = {"number": 1, "date": date(2026, 11, 28), "summary": "the first"}
    return vex.Known(publisher=vex.read_known().publisher, revisions=(revision,), rows=rows)


def csaf_report(document: Any, **wanted: str) -> Any:
    """What CSAF's own tests say; they take seconds to load, which no worker pays that does not ask them."""
    from csaf.csaf import v20

    return v20.validate(document, **wanted)


def cyclonedx_error(document: Any) -> Any:
    """What breaks CycloneDX's schema, or None; loaded where it is asked, as above."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(document))


CASES = {
    "new enough": (ROW, "1.10.0", "fixed", "resolved", None),
    "the first that is mended": (ROW, "1.3.1", "fixed", "resolved", None),
    "not in the bundle": (ROW, None, "known_not_affected", "not_affected", "code_not_present"),
    "harmless, and why": (HARMLESS, "1.2.0", "known_not_affected", "not_affected", "code_not_reachable"),
    "concerned, and what to do": (CONCERNED, "1.2.0", "known_affected", "exploitable", None),
}


@pytest.mark.parametrize("name", CASES)
def test_both_documents_say_the_same_and_keep_their_standards(name: str) -> None:
    """CSAF 2.0 with its own tests, mandatory and recommended; CycloneDX 1.5 by its schema; so does the bill."""
    row, starlette, status, state, why = CASES[name]
    held = parts(starlette)
    known = table(row)
    bill = bundle.sbom("low", held)
    advisory, analysed = vex.csaf("low", held, known), vex.cyclonedx(held, known, bill)
    (told,), (other,) = advisory["vulnerabilities"], analysed["vulnerabilities"]
    assert told["product_status"] == {status: ["checkvalve-low-0.1.0"]}
    assert (other["analysis"]["state"], other["analysis"].get("justification")) == (state, why)
    assert told["notes"][1]["text"] == other["analysis"]["detail"]
    assert [flag["label"] for flag in told.get("flags", [])] == (
        [row.justification or "component_not_present"] if why else []
    )
    report = csaf_report(json.loads(vex.text(advisory)), preset="extended")
    assert [(one.id, one.errors) for one in report.results if not one.passed and one.id not in NOT_OURS] == []
    assert len(report.results) > 40
    for document in (bill, analysed):
        assert cyclonedx_error(document) is None


def test_every_named_part_is_one_of_the_bill() -> None:
    """A link of the one document leads into the other."""
    held = parts()
    bill = bundle.sbom("low", held)
    (one,) = vex.cyclonedx(held, table(ROW), bill)["vulnerabilities"]
    link, _, ref = one["affects"][0]["ref"].partition("#")
    assert link == f"urn:cdx:{bill['serialNumber'].removeprefix('urn:uuid:')}/1"
    assert ref in {component["bom-ref"] for component in bill["components"]}


@pytest.mark.parametrize(
    "row",
    [ROW, replace(ROW, justification="vulnerable_code_not_present"), replace(ROW, why="we think so"),
     replace(HARMLESS, justification="it looks well")],
    ids=["nothing said", "no reason", "no word for it", "a word that is none"],
)  # fmt: skip
def test_a_bundle_with_a_weakness_that_nobody_spoke_to_is_not_built(row: vex.KnownWeakness) -> None:
    """The message names library, weakness and the next step."""
    with pytest.raises(vex.ConcernedError, match=r"starlette 1\.2\.0 has CVE-2026-54283 .* Next step: take 1\.3\.1"):
        vex.statements(parts("1.2.0"), table(row))


def test_the_same_parts_and_table_give_the_same_bytes() -> None:
    """No clock in it; another state is another document."""
    held, known = parts(), table(ROW)
    assert vex.text(vex.csaf("low", held, known)) == vex.text(vex.csaf("low", parts(), table(ROW)))
    bill = bundle.sbom("low", held)
    first, second = (vex.cyclonedx(held, known, bill) for _ in range(2))
    assert first == second
    none = vex.cyclonedx(held, table(), bill)
    assert none["serialNumber"] != first["serialNumber"]


def test_the_file_bears_the_name_that_its_number_gives() -> None:
    """CSAF 2.0, 5.1: lower case, each other sign an underscore."""
    assert vex.csaf_name("low", "0.1.0") == "checkvalve-vex-low-0_1_0.json"
    assert vex.csaf("low", parts(), table(ROW))["document"]["tracking"]["id"] == "checkvalve-vex-low-0.1.0"


def _bounds() -> dict[str, SpecifierSet]:
    asked: Sequence[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [one.split(">")[0].split("<")[0].split("=")[0].strip() for one in asked]
    return {name: SpecifierSet(one.removeprefix(name)) for name, one in zip(names, asked, strict=True)}


def test_the_table_is_whole_and_our_bounds_refuse_what_it_names() -> None:
    """Each row once, with a source; no library of ours can be installed in a version that has the weakness."""
    known = vex.read_known()
    assert len({one.id for one in known.rows}) == len(known.rows)
    assert [one["number"] for one in known.revisions] == list(range(1, len(known.revisions) + 1))
    assert [one["date"] for one in known.revisions] == sorted(one["date"] for one in known.revisions)
    bounds = _bounds()
    for one in known.rows:
        assert one.source.startswith("https://")
        assert one.justification in ("", *vex.JUSTIFIED)
        least = min(Version(each.version) for each in bounds[one.part] if each.operator == ">=")
        assert least >= Version(one.fixed_in), f"{one.id}: raise {one.part} to {one.fixed_in} in pyproject.toml"


def test_what_is_not_named_is_said_not_to_have_been_looked_for() -> None:
    """Both documents tell the day, and how to ask again."""
    held, known = parts(), vex.read_known()
    texts: list[Any] = [vex.csaf("low", held, known)["document"]["notes"][0]["text"]]
    texts.append(vex.cyclonedx(held, known, bundle.sbom("low", held))["metadata"]["properties"][0]["value"])
    for text in texts:
        assert "was not looked for" in text
        assert str(known.looked) in text
        assert "pip-audit" in text


def test_the_validator_finds_what_is_wrong() -> None:
    """The tests above can fail: a product that is nowhere named, and a state that no standard has."""
    advisory = vex.csaf("low", parts(), table(ROW))
    advisory["vulnerabilities"][0]["product_status"] = {"fixed": ["another"]}
    assert not csaf_report(advisory).overall_valid
    analysed = vex.cyclonedx(parts(), table(ROW), bundle.sbom("low", parts()))
    analysed["vulnerabilities"][0]["analysis"]["state"] = "well"
    assert cyclonedx_error(analysed) is not None
