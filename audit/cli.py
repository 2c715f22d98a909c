"""`checkvalve audit ..`: the auditor's commands, each handing its arguments to the module that does the work.

Imports stand inside the commands: `capture`, `journal`, `explain` and those of `audit/report/cli.py` run where there is
no POSIX system, on the auditor's own machine. Exit 0: nothing failed; 1: a check failed; 2: a mistake in the arguments.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audit.report import cli as papers
from audit.report.cli import AsJson
from protocol import terminal

if TYPE_CHECKING:
    from audit.check import AuditFindings

audits = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Evidence that nothing flows back, each check with what it does not prove.",
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(audits, name="audit")

Keep = Annotated[Path | None, typer.Option(help="Keep the findings in this folder, for `audit report`.")]
Every = Annotated[bool, typer.Option("--all", help="Show the evidence of what passed too.")]


def finish(findings: AuditFindings, *, as_json: bool, keep: Path | None = None, every: bool = False) -> None:
    """Print a run, keep it where asked, and end with its exit code: every command of the group does so."""
    finish_all([findings], as_json=as_json, keep=keep, every=every)


def finish_all(found: list[AuditFindings], *, as_json: bool, keep: Path | None, every: bool) -> None:
    """The same of several runs of one command; as JSON they are a list."""
    from audit import findings_folder
    from audit.report import show

    for one in found if keep is not None else ():
        assert keep is not None
        terminal.complain(f"kept {findings_folder.keep(one, keep)}")
    if as_json:
        documents = [one.plain() for one in found]
        terminal.data(documents[0] if len(documents) == 1 else documents, indent=1)
    else:
        for one in found:
            terminal.document(show.findings_text(one, every=every))
    raise typer.Exit(max(one.exit_code for one in found))


@audits.command()
def capture(
    files: Annotated[
        list[Path],
        typer.Argument(help="Captures of a passive tap on the link; of several the time is judged together."),
    ],
    high: Annotated[str | None, typer.Option(help="MAC address of the high side's interface.")] = None,
    low: Annotated[
        str | None, typer.Option(help="MAC address of the low side's interface: where the link's frames go.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="UDP port of the link.")] = None,
    interface: Annotated[
        str | None, typer.Option(help="Of a file with several interfaces the one that sees the high side's frames.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="The capture must cover the time from here: a day or a time, UTC.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="To here; a day means its end.")] = None,
    pause: Annotated[
        float, typer.Option(min=0.1, max=21600, help="Shortest pause between frames that is told [s].")
    ] = 10.0,
    control: Annotated[
        str | None, typer.Option(help="Mark of the positive control's frame, which must be seen: text or hex:..")
    ] = None,
    appliance: Annotated[
        str | None, typer.Option(help="MAC address of a diode appliance's own plant-side port.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who attests the appliance's frames.")] = "",
    keep: Keep = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """Every frame of a capture by its direction; offline, without root."""
    from audit.capture import capture as captures
    from audit.capture.coverage import read_moment
    from audit.capture.read_capture import CaptureQuestion

    question = CaptureQuestion(
        path=files[0],
        high=high,
        low=low,
        port=port,
        interface=interface,
        begin_ns=read_moment(begin, end=False) if begin else None,
        end_ns=read_moment(end, end=True) if end else None,
        pause_s=pause,
        control=captures.read_mark(control) if control else b"",
        appliance=appliance,
        by=by,
    )
    if len(files) == 1:
        finish(captures.run(question, now_ns=time.time_ns()), as_json=as_json, keep=keep, every=every)
    alone = replace(question, begin_ns=None, end_ns=None)
    found = [captures.run(replace(alone, path=path), now_ns=time.time_ns()) for path in files]
    together = captures.covered(found, question, now_ns=time.time_ns())
    finish_all([*found, together], as_json=as_json, keep=keep, every=every)


@audits.command()
def live(
    side: Annotated[Literal["high", "low"], typer.Option(help="Which end of the link this machine is.")],
    interface: Annotated[str, typer.Option(help="The diode's network interface.")],
    netns: Annotated[str | None, typer.Option(help="The network namespace that it is in.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="sender.toml or receiver.toml: for the process, its status and the keys.")
    ] = None,
    pid: Annotated[int | None, typer.Option(help="The process at the link, emit or catch.")] = None,
    peer_mac: Annotated[str | None, typer.Option(help="High: the receiver's recorded hardware address.")] = None,
    diode: Annotated[
        Literal["bare-fibre", "appliance"], typer.Option(help="An appliance's own frames are attested, not passed.")
    ] = "bare-fibre",
    appliance: Annotated[
        str | None, typer.Option(help="MAC address of a diode appliance's own plant-side port.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who attests the appliance's frames.")] = "",
    keep: Keep = None,
    carry: Annotated[
        bool | None,
        typer.Option(
            "--carry/--no-carry",
            help="High: the kept findings travel with the data; low: those that came are kept too."
            " Done where it can be, with --keep and --config.",
        ),
    ] = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """This machine's end of the link as it stands now; read-only, most of it without root."""
    from audit.capture.capture import read_mac
    from audit.machine import live_checks as lives
    from audit.machine.ground import Subject
    from protocol.errors import ConfigError

    if (diode == "appliance") is not (appliance is not None):
        raise ConfigError(
            "--diode appliance and --appliance MAC belong together", hint="name the plant-side port's MAC"
        )
    subject = Subject(
        side=side,
        interface=interface,
        peer_mac=read_mac(peer_mac) if peer_mac else None,
        appliance=read_mac(appliance) if appliance else None,
        by=by,
    )
    if carry and (keep is None or config is None):
        raise ConfigError("--carry needs --keep and --config")
    question = lives.MachineQuestion(subject=subject, namespace=netns, pid=pid, config=config)
    findings = lives.run(question, wall=time.time_ns)
    if keep is not None and config is not None and carry is not False:
        _carry(findings, side, keep, config, must=carry is True)
        keep = None if side == "high" else keep
    finish(findings, as_json=as_json, keep=keep, every=every)


def _carry(findings: AuditFindings, side: str, keep: Path, config: Path, *, must: bool) -> None:
    """High: keep the findings and leave them for poll. Low: keep what came. What hinders it is said."""
    from audit import carried, findings_folder
    from protocol.errors import ConfigError

    path = findings_folder.keep(findings, keep) if side == "high" else None
    try:
        if path is not None:
            terminal.complain(f"kept {path}")
            terminal.complain(f"left for poll: {carried.leave(path, config)}")
        else:
            for came in carried.collect(config, keep).new:
                terminal.complain(f"came with the data: {came}")
    except ConfigError as error:
        if must:
            raise
        terminal.complain(f"not carried: {error}; {error.hint}")


@audits.command()
def collect(
    config: Annotated[Path, typer.Argument(help="receiver.toml, on the low side.")],
    keep: Annotated[Path, typer.Option(help="Keep what came in this folder, beside this side's own findings.")],
) -> None:
    """Low side: take the high side's findings out of the journal, where they came with the data."""
    from audit import carried

    done = carried.collect(config, keep)
    for path in done.new:
        terminal.say(f"kept {path}")
    terminal.complain(f"{len(done.new)} new, {done.known} known, {done.arrived.incomplete} incomplete")
    for reason, count in done.arrived.unopened.items():
        terminal.complain(f"{count} FILE blocks could not be read: {reason}")


@audits.command()
def provoke(
    interface: Annotated[str, typer.Option(help="The tester's interface, in the high side's place.")],
    address: Annotated[str, typer.Option(help="The IPv4 address to send from.")],
    to: Annotated[str, typer.Option(help="The machine that must not answer, ADDRESS:PORT.")],
    peer_mac: Annotated[str, typer.Option(help="Its hardware address.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait; a lone fragment is answered after 30.")] = 35.0,
    control: Annotated[
        str | None, typer.Option(help="Mark of a frame that you put on this side during the run: text or hex:..")
    ] = None,
    low: Annotated[
        bool, typer.Option("--from-low", help="This is the low side: try to send, as its root could.")
    ] = False,
    keep: Keep = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """Send the twelve frames that ask for an answer, and count the answers; root, on a tester's machine."""
    from ipaddress import IPv4Address

    from audit.capture.capture import read_mac, read_mark
    from audit.provoke import provoke as provokes
    from protocol import text
    from protocol.errors import ConfigError

    try:
        (peer, port), own = text.address(to), str(IPv4Address(address))
    except ValueError as error:
        raise ConfigError(f"--to, --address: {error}", hint="such as --to 192.0.2.2:5005 --address 192.0.2.1") from None
    question = provokes.ProvokeQuestion(
        interface=interface,
        address=own,
        peer=peer,
        peer_mac=read_mac(peer_mac),
        port=port,
        wait_s=wait,
        control=read_mark(control) if control else b"",
        from_low=low,
    )
    finish(provokes.run(question, wall=time.time_ns), as_json=as_json, keep=keep, every=every)


@audits.command()
def journal(
    high: Annotated[Path, typer.Argument(help="The high side's spool (state/spool), or a copy of it.")],
    low: Annotated[Path, typer.Argument(help="The low side's journal (state/journal), or a copy; copy it first.")],
    key: Annotated[list[Path], typer.Option(help="The high side's public keys, high.pub. May be repeated.")],
    site: Annotated[str | None, typer.Option(help="The site that every stream must be of.")] = None,
    keep: Keep = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """Two disks compared block by block: lost, injected, altered; with public keys alone."""
    from audit.disks import compare as journals

    findings = journals.run(high, low, key, site=site, now_ns=time.time_ns())
    finish(findings, as_json=as_json, keep=keep, every=every)


@audits.command()
def code(
    config: Annotated[
        list[Path] | None, typer.Option(help="sender.toml or receiver.toml, for the running process. May be repeated.")
    ] = None,
    emit: Annotated[int | None, typer.Option(help="Number of the emit process.")] = None,
    catch: Annotated[int | None, typer.Option(help="Number of the catch process.")] = None,
    libraries: Annotated[bool, typer.Option("--libraries", help="Hash the installed libraries' files too.")] = False,
    keep: Keep = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """The two ends' source, the installed files, and what the running processes have loaded."""
    from audit.source import code as codes

    pids = [(name, pid) for name, pid in (("emit", emit), ("catch", catch)) if pid is not None]
    states = [file.absolute().parent / "state" for file in config or []]
    question = codes.SourceQuestion(root=codes.here(), states=states, pids=pids, libraries=libraries)
    finish(codes.run(question, wall=time.time_ns), as_json=as_json, keep=keep, every=every)


@audits.command()
def selftest(
    capture: Annotated[Path | None, typer.Option(help="A capture of the link: plant in a copy of it too.")] = None,
    high: Annotated[str | None, typer.Option(help="MAC address of the high side in that capture.")] = None,
    keep: Keep = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """Give the kit what it must find: a reverse frame, an injected block, an altered leaf, a removed filter."""
    from tempfile import TemporaryDirectory

    from audit import selftest as selftests

    with TemporaryDirectory(prefix="checkvalve-selftest-") as folder:
        findings = selftests.run(Path(folder), own=capture, high=high, wall=time.time_ns)
    finish(findings, as_json=as_json, keep=keep, every=every)


@audits.command()
def explain(
    ident: Annotated[str | None, typer.Argument(help="A check's id, such as CAP-1; `rules`; none: all checks.")] = None,
) -> None:
    """What a check claims, how it looks, which clauses and rules it speaks to, and what it does not prove."""
    from audit.report import show

    terminal.document(show.explained(ident))


@audits.command()
def questions() -> None:
    """Print the form that people fill in: the hardware, and named changes."""
    from audit import questions as asked

    terminal.document(asked.blank())


papers.add_to(audits)
