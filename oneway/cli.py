"""`checkvalve setup high|low`: print the recipe of this machine's end of the link, do it, or look whether it is done.

Every option can also come from the environment, CHECKVALVE_INTERFACE and so on, so that a systemd unit keeps one file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from oneway.preflight import Level
from oneway.recipe import BROADCAST_MAC, BUFFER_BYTES, Ground, Side, script, steps
from protocol import terminal, text
from protocol.errors import ConfigError
from protocol.settings.toml_file import read as read_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLE = "192.0.2.2:5005"
"""The link's address as the documents write it."""


def _option(name: str, help_text: str) -> Any:
    return typer.Option(f"--{name}", envvar=f"CHECKVALVE_{name.upper().replace('-', '_')}", help=help_text)


@app.command()
def setup(
    side: Annotated[Side, typer.Argument(help="Which end of the link this machine is.")],
    config: Annotated[
        Path | None, _option("config", "sender.toml or receiver.toml: the link's address and port.")
    ] = None,
    interface: Annotated[str, _option("interface", "The diode's network interface.")] = "",
    address: Annotated[str, _option("address", "High: this machine's IPv4 address on it.")] = "",
    to: Annotated[str, _option("to", "High: the receiver's ADDRESS:PORT, where no --config says it.")] = "",
    listen: Annotated[str, _option("listen", "Low: this machine's ADDRESS:PORT, where no --config says it.")] = "",
    peer_mac: Annotated[
        str, _option("peer-mac", "High: the receiver's hardware address; `broadcast` for two receivers.")
    ] = "",
    appliance_mac: Annotated[
        str, _option("appliance-mac", "High: a diode appliance's own plant-side port, counted apart.")
    ] = "",
    sender: Annotated[str, _option("sender", "Low: let only this source address in.")] = "",
    netns: Annotated[str, _option("netns", "Move the interface into this network namespace (recommended).")] = "",
    mtu: Annotated[int | None, _option("mtu", "Largest packet of the interface; unchanged without it.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it (root), then look at the result.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only look; exit 2 where something is wrong.")] = False,
    host: Annotated[
        str, typer.Option("--host", help="With --verify: the link's address, where nothing else says it.")
    ] = "",
) -> None:
    """The one-way recipe for this machine: interface, neighbour, firewall hook, sysctl. Prints it; --apply does it."""
    if verify and host:
        raise typer.Exit(_look(side, host))
    given = _given(side, config, to if side == Side.HIGH else listen)
    ground = Ground(
        side=side,
        interface=_needed(interface, "--interface"),
        address=_needed(address, "--address") if side == Side.HIGH else given[0],
        port=given[1],
        peer=given[0] if side == Side.HIGH else sender or None,
        peer_mac=(BROADCAST_MAC if peer_mac == "broadcast" else peer_mac.lower()) or None,
        appliance_mac=appliance_mac.lower() or None,
        namespace=netns or None,
        mtu=mtu,
        buffer_bytes=given[2],
    )
    from oneway import apply as doing

    plan = steps(ground)
    if verify:
        raise typer.Exit(doing.verify(ground))
    if not apply:
        terminal.document(script(plan))
        return
    doing.refuse_stacked(ground)
    doing.apply(plan, terminal.say)
    raise typer.Exit(doing.verify(ground))


def _look(side: Side, host: str) -> int:
    """Print what is wrong here; 0, or 2 with a fault, or where the firewall could not be seen though root looks."""
    from oneway.gate import findings

    here = findings(side, host)
    for one in here:
        terminal.say(f"{one.level.value}: {one.text}")
        if one.fix:
            terminal.say(f"  {one.fix}")
    if not here:
        terminal.say(f"the {side} side's interface is as the recipe makes it")
    bad = any(one.level == Level.FAULT or (one.level == Level.UNREAD and os.geteuid() == 0) for one in here)
    return 2 if bad else 0


def _given(side: Side, config: Path | None, option: str) -> tuple[str, int, int]:
    """The link's address, port and receive buffer [bytes] from the option, else from the configuration."""
    name, key = ("outlet", "to") if side == Side.HIGH else ("inlet", "listen")
    table: dict[str, Any] = {}
    given = ""
    if config is not None:
        try:
            table = read_settings(config).tables[name]
            given = str(table[key])
        except (KeyError, TypeError) as error:
            hint = f'write [{name}] {key} = "{EXAMPLE}"'
            raise ConfigError(f"{config}: {name}.{key} cannot be read: {error}", hint=hint) from None
    given = option or given
    if not given:
        raise ConfigError(f"--{key} is missing", hint=f"--{key} {EXAMPLE}, or --config FILE")
    buffer = table.get("buffer_mib")
    try:
        host, port = text.address(given)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}", hint=f"such as {EXAMPLE}") from None
    return host, port, (buffer << 20) if isinstance(buffer, int) else BUFFER_BYTES


def _needed(value: str, option: str) -> str:
    if not value:
        raise ConfigError(f"{option} is missing", hint="`checkvalve setup --help`; ip link show lists interfaces")
    return value
