"""What `checkvalve asset-report` does: an asset's report for a range, as one file that needs nothing beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from receiver.commands.export import of_owner
from receiver.commands.history import folder_of
from receiver.commands.people_work import typist
from receiver.config import ReceiverConfig
from receiver.export.atomic_file import AtomicFile
from receiver.export.moment import moment, zone
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope
from receiver.portal.asset_report.report_gathering import NoSuchAsset, ReportQuestion, gather
from receiver.portal.asset_report.report_writing import ReportWriter, Signature, ready
from receiver.portal.asset_report.scheduled_reports import beat_age
from receiver.portal.plant_picture import ViewTime


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedReport:
    """As it was typed."""

    asset: str
    tags: Sequence[str]
    """Names; none: all."""
    from_text: str
    to_text: str
    zone: str | None
    """Of times that name none, and of those in the report; left out: the plant's."""
    vendor: str | None
    """Only what this vendor may see."""
    out: Path
    replace: bool


def make(config: ReceiverConfig, wanted: WantedReport) -> dict[str, Any]:
    """Make the file.

    Returns:
        Its name, its size, and what it tells in numbers.

    Raises:
        ConfigError: what was typed cannot be meant, or nothing of that name is there.
        StoreError: the history cannot be read, or the disk is full.
    """
    if wanted.out.suffix != ".html":
        raise ConfigError(f"{wanted.out.name} is no .html", hint="a report is a page: --out NAME.html")
    where, now_ns = zone(wanted.zone or config.portal.zone or "UTC"), time.time_ns()
    from_ns = moment("--from", wanted.from_text, where, lambda: now_ns)
    to_ns = moment("--to", wanted.to_text, where, lambda: now_ns)
    if from_ns >= to_ns:
        raise ConfigError("--from is not before --to", hint="--to is the first moment that is not in the report")
    scope = Scope() if wanted.vendor is None else Scope(vendors=frozenset({wanted.vendor}))
    seen = "everything" if scope.whole else f"what {scope.text} may see"
    signed = Signature(by=f"{typist()}, by command on the low side", at_ns=now_ns, scope=seen)
    asked = ReportQuestion(asset=wanted.asset, tags=tuple(wanted.tags), from_ns=from_ns, to_ns=to_ns)
    folder = folder_of(config)
    ready()
    with AtomicFile(wanted.out, replace=wanted.replace) as made:

        def work() -> dict[str, Any]:
            door = Door(folder, scope)
            try:
                report = gather(
                    door, asked, ViewTime(now_ns, now_ns, beat_age(config.state, now_ns)), whole=scope.whole
                )
            except NoSuchAsset:
                known = ", ".join(one.asset.name for one in door.assets()[:8]) or "none"
                what = " with these tags" if wanted.tags else ""
                raise ConfigError(
                    f"no asset here is called {wanted.asset!r}{what}", hint=f"there are: {known}"
                ) from None
            finally:
                door.close()
            made.file.write(ReportWriter(zone=where).file(report, signed))
            made.file.flush()
            return {"tags": len(report.tags), "events": len(report.rows), "gaps": len(report.gaps)}

        told = of_owner(folder, work)
        size = made.commit()
    return {"file": str(wanted.out), "bytes": size, **told}
