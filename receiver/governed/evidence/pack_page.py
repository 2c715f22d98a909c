"""The pack as one HTML file: no script, nothing loaded, every text inert and escaped; prints on A4.

`pack.html` says what stands where. Whatever a template writes goes through `_shown`: texts of vendors, of the plant and
of people become one line that can only be read; markup in them is text.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup

from protocol.inert import inert
from receiver.governed.evidence.clause_table import spoken
from receiver.governed.evidence.evidence_pack import EvidencePack

LONGEST_SHOWN = 2_000
"""Characters of one text on the page; the JSON has all of it."""

ROWS_SHOWN = 2_000
"""Most rows of one table; the JSON has all of them."""

NAMED = 12
"""Most names in one cell."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(pack: EvidencePack, json_name: str, json_sha256: str) -> str:
    """The page.

    Args:
        pack: The month.
        json_name: Name of the file beside it that holds every look.
        json_sha256: Of that file, hexadecimal.
    """
    zone = ZoneInfo(pack.zone)

    def time(time_ns: int | None) -> str:
        """`2026-11-28 14:05:09` in the plant's time; what no calendar has as a number."""
        if time_ns is None:
            return ""
        try:
            return datetime.fromtimestamp(time_ns // 10**9, zone).strftime("%Y-%m-%d %H:%M:%S")
        except (ValueError, OverflowError, OSError):
            return f"{time_ns} ns"

    return _template().render(
        pack=pack,
        counts=pack.counts(),
        clauses=spoken(pack.counts()),
        time=time,
        names=names,
        json_name=json_name,
        json_sha256=json_sha256,
        policy=POLICY,
        rows=ROWS_SHOWN,
        style=Markup(Path(__file__).with_name("pack.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
    )


def names(held: set[str] | tuple[str, ...], most: int = NAMED) -> str:
    """The first of several, sorted, and how many more there are."""
    first = ", ".join(sorted(held)[:most])
    return first + (f" and {len(held) - most} more" if len(held) > most else "")


@cache
def _template() -> jinja2.Template:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return made.get_template("pack.html")


def _shown(held: object) -> object:
    """What a template writes: a text that may be foreign so that it can only be read."""
    return inert(held, LONGEST_SHOWN) if type(held) is str else held
