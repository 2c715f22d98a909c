"""Commands of people: `person enrol|list|show|change|link|suspend|resume|end|confirm`, `service issue|list|renew|end`.

As in `cli.py`, a command only reads its arguments, calls what does the work, and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocol import terminal

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
person = typer.Typer(no_args_is_help=True, help="Who may sign in to the pages.")
service = typer.Typer(no_args_is_help=True, help="Systems that read the pages without a person at them.")
app.add_typer(person, name="person")
app.add_typer(service, name="service")

File = Annotated[Path, typer.Argument(help="The low side's configuration, receiver.toml.", readable=False)]
Who = Annotated[str, typer.Argument(help="Key or login of the person.")]
Key = Annotated[str, typer.Argument(help="Key of the service, s-..")]
Why = Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
Text = str | None


@person.command()
def enrol(
    file: File,
    login: Annotated[str, typer.Option(help="An address of their own: j.doe@acme.example.")],
    name: Annotated[str, typer.Option(help="As on a badge.")],
    role: Annotated[list[str], typer.Option(help="What they may do: reader, approver, sponsor, .. Repeatable.")],
    until: Annotated[str, typer.Option(help="Last day of the enrolment, 2027-06-30.")],
    checked_by: Annotated[str, typer.Option(help="Who checked the identity.")],
    checked_how: Annotated[str, typer.Option(help="How: passport on site, call back to the contract's contact.")],
    employer: Annotated[str, typer.Option(help="Vendor's name as assets carry it; left out: the site's own.")] = "",
    contract: Annotated[str, typer.Option(help="The contract that this stands on.")] = "",
    contact: Annotated[str, typer.Option(help="The contract's named contact, who vouches.")] = "",
    sponsor: Annotated[str, typer.Option(help="Key or login of the sponsor.")] = "",
    as_json: AsJson = False,
) -> None:
    """Enrol a person and print their one-time link."""
    from receiver.commands import people_work as work

    made = work.enrol(
        file,
        login=login,
        name=name,
        roles=role,
        until=until,
        checked_by=checked_by,
        checked_how=checked_how,
        employer=employer,
        contract=contract,
        contact=contact,
        sponsor=sponsor,
    )
    _linked(made, as_json=as_json)


@person.command("list")
def list_people(
    file: File,
    everybody: Annotated[bool, typer.Option("--all", help="Also whose enrolment has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Who is enrolled, and what is due about people."""
    from receiver.commands import people_work as work

    told = work.listed(file, everybody=everybody)
    if as_json:
        terminal.data(told)
        return
    for line in work.list_lines(told):
        terminal.say(line)


@person.command("show")
def show_person(file: File, who: Who, as_json: AsJson = False) -> None:
    """All that is known of one person, and their open sessions."""
    from receiver.commands import people_work as work

    told = work.shown(file, who)
    if as_json:
        terminal.data(told)
        return
    for line in work.show_lines(told):
        terminal.say(line)


@person.command()
def change(
    file: File,
    who: Who,
    login: Annotated[Text, typer.Option(help="Another login.")] = None,
    name: Annotated[Text, typer.Option(help="Another name.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="All roles from now on. Repeatable.")] = None,
    until: Annotated[Text, typer.Option(help="Another last day.")] = None,
    contract: Annotated[Text, typer.Option(help="Another contract.")] = None,
    contact: Annotated[Text, typer.Option(help="Another contact.")] = None,
    sponsor: Annotated[Text, typer.Option(help="Another sponsor: key or login.")] = None,
) -> None:
    """Change an enrolment: what is named, and nothing else."""
    from receiver.commands import people_work as work

    given = {"login": login, "name": name, "contract": contract, "contact": contact}
    terminal.say(work.change(file, who, given, roles=role, until=until, sponsor=sponsor))


@person.command()
def link(
    file: File,
    who: Who,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Phone or password are lost: all they could sign in with goes first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Issue a one-time link, good for 72 h; links before it are void."""
    from receiver.commands import people_work as work

    _linked(work.link(file, who, recovery=recovery), as_json=as_json)


@person.command()
def suspend(file: File, who: Who, why: Why) -> None:
    """Let nothing be read for now; open sessions end at once."""
    from receiver.commands import people_work as work

    terminal.say(work.suspend(file, who, why))


@person.command()
def resume(file: File, who: Who, why: Why) -> None:
    """Undo a suspension."""
    from receiver.commands import people_work as work

    terminal.say(work.resume(file, who, why))


@person.command("end")
def end_person(
    file: File,
    who: Who,
    why: Why,
    left: Annotated[
        Text, typer.Option(help="When the person left the employer: a day, or a time with its zone.")
    ] = None,
    reported: Annotated[Text, typer.Option(help="When the employer said so; left out: now.")] = None,
) -> None:
    """End an enrolment for ever; open sessions end at once."""
    from receiver.commands import people_work as work

    terminal.say(work.end(file, who, why, left=left, reported=reported))


@person.command()
def confirm(
    file: File,
    employer: Annotated[str, typer.Argument(help="Whose people, as assets carry the vendor's name.")],
    by: Annotated[str, typer.Option(help="The contract's contact who confirmed them.")],
    who: Annotated[list[str] | None, typer.Option(help="Only these, by key or login. Repeatable.")] = None,
) -> None:
    """Note that an employer confirmed its people; who is not confirmed stays due."""
    from receiver.commands import people_work as work

    terminal.say(work.confirm(file, employer, by, who or []))


@service.command()
def issue(
    file: File,
    name: Annotated[str, typer.Option(help="Which system it is.")],
    owner: Annotated[str, typer.Option(help="Key or login of the person who answers for it.")],
    source: Annotated[list[str], typer.Option(help="Network it comes from, 10.1.2.3/32. Repeatable.")],
    until: Annotated[str, typer.Option(help="Last day, 2027-06-30.")],
    as_json: AsJson = False,
) -> None:
    """Issue a token to one system, and show it once. What it reads is granted to `service:KEY`."""
    from receiver.commands import service_work as work

    _token(work.issue(file, name=name, owner=owner, sources=source, until=until), as_json=as_json)


@service.command("list")
def list_services(file: File, as_json: AsJson = False) -> None:
    """Every service, its owner, its sources and its end."""
    from receiver.commands import service_work as work

    told = work.listed(file)
    if as_json:
        terminal.data({"services": told})
        return
    for line in work.lines(told):
        terminal.say(line)


@service.command()
def renew(file: File, key: Key, as_json: AsJson = False) -> None:
    """Another token; the one before is void."""
    from receiver.commands import service_work as work

    _token(work.renew(file, key), as_json=as_json)


@service.command("end")
def end_service(file: File, key: Key, why: Why) -> None:
    """Take the token away for ever."""
    from receiver.commands import service_work as work

    terminal.say(work.end(file, key, why))


def _linked(made: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        terminal.data(made)
        return
    terminal.say(f"{made['person']}: {made['login']} sets up here, once, within 72 h; hand it over yourself:")
    terminal.say(made["link"])


def _token(made: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        terminal.data(made)
        return
    terminal.say(f"{made['service']}: shown this once; sent as `Authorization: Bearer ..`")
    terminal.say(made["token"])
