"""`checkvalve audit report`, `diff` and `incident`: what is made of findings, or written without any.

They need no POSIX system. `audit/cli.py` takes them into its group; imports stand inside of the commands, as there.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from protocol import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.report.report import AuditReport

AsJson = Annotated[bool, typer.Option("--json", help="One findings document for programs.")]


def add_to(audits: typer.Typer) -> None:
    """Take the commands into the group."""
    for command in (report, diff, incident):
        audits.command()(command)


def report(
    findings: Annotated[list[Path], typer.Argument(help="Findings (`--keep`), or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.json and junit.xml.")] = Path(
        "audit-report"
    ),
    answers: Annotated[
        Path | None, typer.Option(help="What people answered: `checkvalve audit questions` prints the form.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day, UTC: 2026-11-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, UTC.")] = None,
    only: Annotated[
        Literal["high", "low"] | None, typer.Option(help="A report of one side: the other's days are not asked for.")
    ] = None,
    title: Annotated[str, typer.Option(help="Its heading.")] = "One-way link: audit report",
    as_json: AsJson = False,
) -> None:
    """One report of many runs: HTML, JSON, JUnit; every day, every change, every missing day."""
    from audit import findings_folder
    from audit import questions as asked
    from audit.check import stamp
    from audit.report import report as reports
    from audit.report.machine_facts import facts

    if out.resolve() in [path.resolve() for path in findings]:
        from protocol.errors import ConfigError

        raise ConfigError(
            f"--out {out} is a folder of findings", hint="the report is none: give it a folder of its own"
        )
    made = reports.make(
        reports.load(findings),
        asked.read(answers),
        made=stamp(time.time_ns()),
        facts=facts(),
        first=_day("--from", first),
        last=_day("--to", last),
        sides=reports.SIDES if only is None else (only,),
        title=title,
        not_read=findings_folder.not_read(findings),
    )
    paths = _write(_texts(made), out)
    if as_json:
        terminal.data(made.plain(), indent=1)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in made.counts.items() if count)
        terminal.say(f"{made.first} to {made.last}: {counts}; {len(made.not_run)} not run")
        for path in paths:
            terminal.say(path)
    raise typer.Exit(made.exit_code)


def diff(
    old: Annotated[Path, typer.Argument(help="Findings, or a folder of them (the newest of each command).")],
    new: Annotated[Path, typer.Argument(help="The same, later.")],
    as_json: AsJson = False,
) -> None:
    """What changed between two runs; exit 1 where something is worse."""
    from audit.report import differ

    findings = differ.diff(old, new)
    if as_json:
        terminal.data(findings.plain(), indent=1)
    else:
        terminal.document(findings.text())
    raise typer.Exit(findings.exit_code)


def incident(
    aware: Annotated[
        str, typer.Option(help="When the maker became aware: a time with its zone (2026-11-28T20:15Z), or now.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the timeline and the three forms.")] = Path("incident"),
    severe: Annotated[
        bool, typer.Option("--severe", help="A severe incident; otherwise a weakness that is exploited.")
    ] = False,
    fixed: Annotated[str | None, typer.Option(help="When a fix was there: the final report runs from it.")] = None,
    product: Annotated[str | None, typer.Option(help="Name and version; without it what is installed here.")] = None,
    contact: Annotated[str, typer.Option(help="Who answers questions: name, mail, telephone.")] = "",
    sbom: Annotated[Path | None, typer.Option(help="The bundle's sbom.cdx.json; without it the installed one.")] = None,
) -> None:
    """For the maker: the reports of the Cyber Resilience Act, article 14, as forms, and when each is due."""
    from audit.report import incident as incidents
    from audit.report.machine_facts import facts

    now = datetime.fromtimestamp(time.time(), UTC)
    what = incidents.Incident(
        severe=severe,
        aware=incidents.read_time("--aware", aware, now),
        fixed=incidents.read_time("--fixed", fixed, now) if fixed else None,
    )
    installed = Path(sys.prefix) / "share" / "sbom.cdx.json"
    bill = sbom or (installed if installed.exists() else None)
    here = facts()
    tool, _, files = str(here["tool"]).partition(", ")
    known = incidents.IncidentFacts(
        product=product or tool,
        files=files if product in (None, tool) else f"of another version than here ({tool})",
        bill=incidents.bill_of_materials(bill) if bill else "none is installed here; it lies in the release's bundle",
        contact=contact,
        made=f"{now:%Y-%m-%d %H:%MZ} by {here['by']} on {here['host']}",
    )
    texts = incidents.forms(what, known)
    if any((out / name).exists() for name in texts):
        from protocol.errors import ConfigError

        raise ConfigError(
            f"{out} holds the forms of an incident", hint="read 0-timeline.md there, or name a new folder"
        )
    for path in _write(texts, out):
        terminal.say(path)
    for line in incidents.timeline(incidents.deadlines(what), now):
        terminal.say(line)


def _day(name: str, text: str | None) -> date | None:
    from protocol.errors import ConfigError

    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{name} {text}: no day", hint="such as 2026-11-01") from None


def _texts(made: AuditReport) -> dict[str, str]:
    from audit.report import junit, page

    return {"report.html": page.html(made), "report.json": made.text(), "junit.xml": junit.xml(made)}


def _write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    from protocol.errors import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).unlink(missing_ok=True)  # made anew: a link that lies there is not followed
            with (folder / name).open("x", encoding="utf-8", errors="replace") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", hint="choose another folder for --out") from None
    return [folder / name for name in texts]
