"""What is known of weaknesses in a bundle's libraries, as documents for programs: CSAF 2.0 (VEX) and CycloneDX 1.5.

    vex/checkvalve-vex-low-0_1_0.json   CSAF, its file named as CSAF 2.0, 5.1 asks
    vex/vex.cdx.json                    CycloneDX, beside the bill of materials whose parts it names

Both say the same of each row of `known.toml`: `fixed` where the bundle's library is new enough, `known_not_affected`
where the library is not in it or the row says why, `known_affected` with what to do where the row says so. An older
library without either stops the build. A weakness that is not in the table was not looked for: both documents say on
which day somebody last looked. No clock and no network: the same parts and table give the same bytes.
"""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

if TYPE_CHECKING:
    from bundle import Part

TABLE = Path(__file__).with_name("known.toml")
JUSTIFIED = {
    "component_not_present": "code_not_present",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "vulnerable_code_cannot_be_controlled_by_adversary": "requires_environment",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
"""Why a product is not concerned: CSAF's word (6.1.30 of its flags), and the nearest one of CycloneDX."""
STATES = {"fixed": "resolved", "known_not_affected": "not_affected", "known_affected": "exploitable"}
"""What a product is: CSAF's word and CycloneDX's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWeakness:
    """One row of the table."""

    id: str
    also: tuple[str, ...]
    part: str
    fixed_in: str
    title: str
    about: str
    source: str
    justification: str = ""
    """One of `JUSTIFIED`; empty: none is claimed."""
    why: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The whole table."""

    publisher: Mapping[str, str]
    revisions: tuple[Mapping[str, Any], ...]
    """Number, date and summary of each; the newest last."""
    rows: tuple[KnownWeakness, ...]

    @property
    def looked(self) -> date:
        """The day on which somebody last looked."""
        found = self.revisions[-1]["date"]
        assert isinstance(found, date)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is said of one weakness in one bundle."""

    row: KnownWeakness
    part: Part | None
    """The library as it is in the bundle; None: it is not."""
    status: str
    """One of `STATES`."""
    justification: str
    words: str
    """Why it is so, or what to do."""


class ConcernedError(Exception):
    """A library of the bundle has a known weakness and the table does not say what that means."""


def read_known(path: Path = TABLE) -> Known:
    """The table."""
    held = tomllib.loads(path.read_text(encoding="utf-8"))
    rows = tuple(KnownWeakness(**{**one, "also": tuple(one["also"])}) for one in held.get("known", []))
    return Known(publisher=held["publisher"], revisions=tuple(held["revision"]), rows=rows)


def statements(parts: Sequence[Part], known: Known) -> list[Statement]:
    """What is said of each row for a bundle of these parts.

    Raises:
        ConcernedError: a part is older than its mending, and the row says neither why that is harmless nor what to do.
    """
    held = {one.name: one for one in parts}
    return [_statement(row, held.get(row.part)) for row in known.rows]


def text(document: Mapping[str, Any]) -> str:
    """A document's file; keys in the order of the alphabet (CSAF 2.0, 6.2.13)."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def csaf(side: str, parts: Sequence[Part], known: Known) -> dict[str, Any]:
    """The CSAF 2.0 document, profile VEX."""
    own = next(one for one in parts if one.name == f"checkvalve-{side}")
    product = f"{own.name}-{own.version}"
    revisions = [
        {"number": str(one["number"]), "date": _day(one["date"]), "summary": one["summary"]} for one in known.revisions
    ]
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "title": f"Known weaknesses of the libraries in {own.name} {own.version}",
            "distribution": {"tlp": {"label": "WHITE"}},
            "notes": [{"category": "general", "title": "What is not here", "text": _bound(known)}],
            "publisher": {
                "category": "vendor",
                "name": known.publisher["name"],
                "namespace": known.publisher["namespace"],
                "contact_details": known.publisher["contact"],
            },
            "tracking": {
                "id": _tracking(side, own.version),
                "status": "final",
                "version": revisions[-1]["number"],
                "initial_release_date": revisions[0]["date"],
                "current_release_date": revisions[-1]["date"],
                "revision_history": revisions,
            },
        },
        "product_tree": {"branches": [_branch(own, product)]},
        "vulnerabilities": [_vulnerability(one, product, _day(known.looked)) for one in statements(parts, known)],
    }


def csaf_name(side: str, version: str) -> str:
    """The file's name, which follows from the document's number (CSAF 2.0, 5.1)."""
    return re.sub(r"[^+\-a-z0-9]+", "_", _tracking(side, version).lower()) + ".json"


def cyclonedx(parts: Sequence[Part], known: Known, bill: Mapping[str, Any]) -> dict[str, Any]:
    """The CycloneDX 1.5 document; its parts are those of a bill of materials.

    Args:
        parts: Of the bundle.
        known: The table.
        bill: The bundle's bill of materials, as `bundle.sbom` makes it.
    """
    serial = str(bill["serialNumber"]).removeprefix("urn:uuid:")
    own = bill["metadata"]["component"]["bom-ref"]
    said = statements(parts, known)
    content = "\n".join([serial, str(known.revisions[-1]["number"]), *(f"{one.row.id} {one.status}" for one in said)])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.UUID(serial), content)}",
        "version": 1,
        "metadata": {
            "timestamp": _day(known.looked),
            "properties": [{"name": "checkvalve:bound", "value": _bound(known)}],
        },
        "vulnerabilities": [_analysed(one, f"urn:cdx:{serial}/{bill['version']}#", own) for one in said],
    }


def _statement(row: KnownWeakness, part: Part | None) -> Statement:
    if part is None:
        words = f"{row.part} is not in this bundle."
        return Statement(
            row=row, part=None, status="known_not_affected", justification="component_not_present", words=words
        )
    if Version(part.version) >= Version(row.fixed_in):
        words = f"{part.name} {part.version} is in this bundle; {row.fixed_in} and newer are without it."
        return Statement(row=row, part=part, status="fixed", justification="", words=words)
    if row.justification in JUSTIFIED and row.why:
        return Statement(
            row=row, part=part, status="known_not_affected", justification=row.justification, words=row.why
        )
    if row.action:
        return Statement(row=row, part=part, status="known_affected", justification="", words=row.action)
    raise ConcernedError(
        f"{part.name} {part.version} has {row.id} ({row.title}). Next step: take {row.fixed_in} or newer"
        " (pyproject.toml), or say in deploy/known.toml why it is harmless here, or what to do"
    )


def _branch(own: Part, product: str) -> dict[str, Any]:
    hashes = [{"file_hashes": [{"algorithm": "sha256", "value": own.sha256}], "filename": own.file}]
    named = {
        "name": f"{own.name} {own.version}",
        "product_id": product,
        "product_identification_helper": {"hashes": hashes, "purl": f"pkg:pypi/{own.name}@{own.version}"},
    }
    version = {"category": "product_version", "name": own.version, "product": named}
    product_name = {"category": "product_name", "name": own.name, "branches": [version]}
    return {"category": "vendor", "name": "Checkvalve", "branches": [product_name]}


def _vulnerability(one: Statement, product: str, day: str) -> dict[str, Any]:
    row = one.row
    out: dict[str, Any] = {
        "cve": row.id,
        "title": row.title,
        "notes": [
            {"category": "description", "text": row.about},
            {"category": "details", "title": "In this bundle", "text": one.words},
        ],
        "product_status": {one.status: [product]},
        "references": [{"category": "external", "summary": f"{row.id}: {row.title}", "url": row.source}],
    }
    if row.also:
        out["ids"] = [{"system_name": "GitHub Security Advisory", "text": name} for name in row.also]
    if one.justification:
        out["flags"] = [{"label": one.justification, "product_ids": [product], "date": day}]
        out["threats"] = [{"category": "impact", "details": one.words, "product_ids": [product]}]
    if one.status == "known_affected":
        out["remediations"] = [{"category": "mitigation", "details": one.words, "product_ids": [product]}]
    return out


def _analysed(one: Statement, link: str, own: str) -> dict[str, Any]:
    row = one.row
    analysis: dict[str, Any] = {"state": STATES[one.status], "detail": one.words}
    if one.justification:
        analysis["justification"] = JUSTIFIED[one.justification]
    if one.status == "fixed":
        analysis["response"] = ["update"]
    if one.status == "known_affected":
        analysis["response"] = ["workaround_available"]
    of = f"pkg:pypi/{one.part.name}@{one.part.version}" if one.part is not None else own
    out: dict[str, Any] = {
        "id": row.id,
        "source": {"url": row.source},
        "description": f"{row.title}: {row.about}",
        "analysis": analysis,
        "affects": [{"ref": f"{link}{of}"}],
    }
    if row.also:
        out["references"] = [{"id": name, "source": {"url": row.source}} for name in row.also]
    return out


def _bound(known: Known) -> str:
    newest = known.revisions[-1]
    return (
        f"A weakness that is not named here was not looked for. Somebody last looked on {known.looked}:"
        f" {newest['summary']}. To ask again: pip-audit with the bundle's requirements.lock."
    )


def _tracking(side: str, version: str) -> str:
    return f"checkvalve-vex-{side}-{version}"


def _day(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
