"""`receiver.toml`: read, checked whole, and handed on as one frozen value.

    [inlet]      where datagrams are listened for; no address of the sender is anywhere in the file
    [keys]       own folder, and the public keys that are believed
    [retention]  how long the journal and the history are kept
    [portal]     where the pages are served, and to whom (portal_settings.py)
    [[output]]   destinations besides the history, each with its scope
    [[report]]   reports of assets that are made by themselves (report_settings.py)

Tags, units, assets and vendors are not in here: they travel in band. What an output asks for besides its kind, name and
scope is its own to know: each is read by the model of the output that is installed under its kind. Every mistake is
gathered before anything is raised, each as one line, `inlet.listen: what is wrong; next step`. Paths are relative to
the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.errors import ConfigError
from protocol.settings.beyond import look_at_disk, look_at_keys
from protocol.settings.findings import Findings, read_table, read_tables, under, unknown
from protocol.settings.toml_file import read
from receiver.catch_file import catch_part
from receiver.portal_settings import OidcTable, PortalTable
from receiver.report_settings import ReportTable
from receiver.settings import CatchConfig, InletTable, KeysTable, RetentionTable

if TYPE_CHECKING:
    from receiver.outputs.settings import OutputTable

TABLES = ("inlet", "keys", "retention", "portal", "output", "report")
"""Tables of the file."""

HOMES = (
    dict.fromkeys(("kind", "name", "scope", "begin"), "[[output]]")
    | dict.fromkeys(RetentionTable.model_fields, "[retention]")
    | dict.fromkeys(KeysTable.model_fields, "[keys]")
    | {key: "[inlet]" for key in InletTable.model_fields if key != "listen"}
    | {key: "[portal]" for key in PortalTable.model_fields if key not in ("listen", "key")}
    | dict.fromkeys(OidcTable.model_fields, "[portal.oidc]")
    | dict.fromkeys(("asset", "every", "at", "folder", "keep"), "[[report]]")
)
"""Key -> where it belongs; `listen` has two places."""

ANYWHERE = "0.0.0.0"  # noqa: S104  it is what is warned about

HISTORIAN = "historian"
"""Kind and name of the output that is always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverConfig(CatchConfig):
    """The whole file, right; its paths are absolute."""

    portal: PortalTable
    outputs: tuple[OutputTable, ...]
    """Each by its own model."""
    reports: tuple[ReportTable, ...]
    """What is made by itself."""
    warnings: tuple[str, ...]
    """What may be meant but looks wrong, one line each."""

    @property
    def journal(self) -> Path:
        """The segment store that `catch` writes and `publish` reads."""
        return self.state / "journal"


def load(path: Path, *, look: bool = False) -> ReceiverConfig:
    """Read and check `receiver.toml`.

    Args:
        path: The file; other paths in it are relative to its folder.
        look: At the key files and the disk too, as `--check` does; who only reads a status may not read keys.

    Raises:
        ConfigError: with every mistake of the file, one a line.
    """
    path = path.absolute()
    tables, data = read(path, hint="checkvalve init low DIR makes one to begin with")
    found = Findings(homes=HOMES)
    for key in sorted(tables.keys() - set(TABLES)):
        home = HOMES.get(key)
        found.wrong(key, f"belongs to {home}; move it there" if home else unknown(key, TABLES, "table"))
    catch = catch_part(path, tables, found)
    portal = read_table(PortalTable, tables.get("portal", {}), "portal", found).beside(path.parent)
    outputs = [one.beside(path.parent) for one in _outputs(tables.get("output", []), found)]
    report_tables = [one.beside(path.parent) for one in _reports(tables.get("report", []), found)]
    if look:
        look_at_keys("low", "senders", catch.keys.own, catch.keys.senders, found)
        look_at_disk(path.parent, "retention.max_gb", catch.retention.max_gb, found)
        _look_at_outputs(path.parent / "state" / "history", outputs, found)
    if catch.retention.history < catch.retention.journal:
        found.odd(
            "retention.history", "shorter than the journal, which holds what the history is made of; keep it longer"
        )
    _look_at_addresses(catch.inlet, portal, found)
    for key, text in portal.weaknesses():
        found.odd(under("portal", key), text)
    found.settle(path, f"checkvalve receive {path} --check", data)
    for key, one in (
        ("keys", catch.keys),
        ("portal", portal),
        *((under("output", at), one) for at, one in enumerate(outputs)),
    ):
        for missing in (file for file in one.files() if not file.exists()):
            found.odd(key, f"{missing} is not there yet; make it, or carry it over, before this is started")
    return ReceiverConfig(
        path=path,
        inlet=catch.inlet,
        keys=catch.keys,
        retention=catch.retention,
        portal=portal,
        outputs=tuple(outputs),
        reports=tuple(report_tables),
        warnings=tuple(found.warnings),
    )


def _look_at_addresses(inlet: InletTable, portal: PortalTable, found: Findings) -> None:
    """Whether the link and the pages are each on the network that is theirs alone."""
    link, pages = inlet.listen[0], portal.listen[0]
    if link == ANYWHERE:
        text = "takes datagrams from every network of this machine; write its address on the diode's interface"
        found.odd("inlet.listen", text)
    if pages == ANYWHERE:
        text = "serves the pages on every network of this machine; write the address that people use"
        found.odd("portal.listen", text)
    elif pages == link and not ip_address(pages).is_loopback:
        text = f"{pages} is the link's own address, which no reply leaves by; write the address that people use"
        found.odd("portal.listen", text)


def _look_at_outputs(history: Path, outputs: Sequence[OutputTable], found: Findings) -> None:
    """What their settings name: files of secrets, and whom they are for."""
    if not outputs:
        return
    from receiver.outputs.scope_check import known, strangers

    assets, vendors = known(history)
    taken: dict[str, int] = {}
    for at, one in enumerate(outputs):
        if (alone := one.alone()) is not None:
            first = taken.setdefault(alone[1], at)
            if first != at:
                found.wrong(under("output", at, alone[0]), f"{alone[1]} is output[{first}]'s already; name another")
        for key, text in one.look():
            found.wrong(under("output", at, key), text)
        for text in strangers(one.scope, assets, vendors):
            found.odd(under("output", at, "scope"), text)


def _reports(given: object, found: Findings) -> Iterator[ReportTable]:
    taken: dict[str, str] = {}
    for path, one in read_tables(given, "report", found):
        table = read_table(ReportTable, one, path, found)
        first = taken.setdefault(table.key, path)
        if first != path:
            found.wrong(path, f"writes the same files as {first}; name another folder")
        yield table


def _outputs(given: object, found: Findings) -> Iterator[OutputTable]:
    names: dict[str, str] = {}
    for path, one in read_tables(given, "output", found):
        name = one.get("name")
        if isinstance(name, str) and name in names:
            found.wrong(under(path, "name"), f'"{name}" is {names[name]} already; choose another name')
        elif isinstance(name, str):
            names[name] = path
        yield _output(one, path, found)


def _output(given: dict[str, Any], path: str, found: Findings) -> OutputTable:
    """One output by its own model; by what all have in common where nobody knows its kind."""
    from receiver.outputs import registry  # with numpy and more, which nobody needs who has no output
    from receiver.outputs.settings import OutputTable

    name = given.get("name")
    told = [name] if isinstance(name, str) else []
    kind = given.get("kind")
    if kind == HISTORIAN:
        found.wrong(under(path, "kind"), "the history is fed without being asked; take this output out", *told)
    elif isinstance(kind, str) and kind:
        try:
            return read_table(registry.load(kind).table, given, path, found, *told)
        except ConfigError as error:
            found.wrong(under(path, "kind"), f"{error}; {error.hint}", *told)
    common = {key: value for key, value in given.items() if key in OutputTable.model_fields}
    return read_table(OutputTable, common, path, found, *told)
