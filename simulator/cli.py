"""`checkvalve simulate` and `checkvalve relay`: the plant and the bad link from the command line.

Both run until SIGINT or SIGTERM, then end with 0; a mistake of the operator's ends with 2 and says the next step.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from protocol import terminal, text
from protocol.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A plant in a box.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Given = ParamSpec("Given")


def operators(command: Callable[Given, None]) -> Callable[Given, None]:
    """A command whose ConfigError becomes a message and exit 2."""

    @wraps(command)
    def run(*given: Given.args, **named: Given.kwargs) -> None:
        try:
            command(*given, **named)
        except ConfigError as error:
            terminal.refusal(str(error), error.hint)
            raise typer.Exit(2) from None

    return run


@app.command("simulate")
@operators
def simulate_command(
    scene: Annotated[
        str, typer.Argument(help="A scene's file, or the name of one that is shipped: small, large, awkward.")
    ] = "small",
    seed: Annotated[int, typer.Option(help="Same seed, same values at the same time.")] = 1,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    ports_file: Annotated[Path | None, typer.Option(help="Written as JSON when all devices listen.")] = None,
    sender_toml: Annotated[
        Path | None, typer.Option(help="Written: sender.toml for this scene's devices, with keys beside it.")
    ] = None,
    status: Annotated[Path | None, typer.Option(help="Rewritten as JSON every second.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help='What a device does wrong: "pump-7: late 0.5s at holding:0-9 x3".')
    ] = None,
    control: Annotated[
        int | None, typer.Option(help="Port for lines: fault ASSET TEXT, heal ASSET, trip ASSET.")
    ] = None,
    netns: Annotated[
        bool, typer.Option("--netns", help="In a lab of network namespaces, with a diode that is really one-way.")
    ] = False,
) -> None:
    """The simulated PLCs of a scene, until stopped; a taken port moves up and the real one is printed."""
    from simulator.main import simulate
    from simulator.scene.file import load

    loaded = load(scene)
    if netns:
        if sender_toml is not None:
            raise ConfigError("--sender-toml is for devices on this machine", hint="--netns prints what to start")
        from simulator.link import netlab

        words = [scene, "--seed", str(seed)]
        for one in fault or []:
            words += ["--fault", one]
        for option, value in (("--ports-file", ports_file), ("--status", status), ("--control", control)):
            words += [option, str(value)] if value is not None else []
        raise typer.Exit(netlab.run(words, terminal.say))

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await simulate(
            loaded,
            seed=seed,
            host=host,
            stop=stop,
            say=terminal.say,
            ports_file=ports_file,
            sender_toml=sender_toml,
            status_file=status,
            control_port=control,
            faults=fault,
        )

    asyncio.run(run())


@app.command("relay")
@operators
def relay_command(
    listen: Annotated[str, typer.Option(help="Where the high side sends to.")] = "127.0.0.1:15005",
    to: Annotated[str, typer.Option(help="The low side.")] = "127.0.0.1:15006",
    loss: Annotated[str, typer.Option(help="Share of frames lost.")] = "0%",
    burst: Annotated[str | None, typer.Option(help="Bursts: mean length/mean distance[/loss], 50ms/5s.")] = None,
    cut: Annotated[list[str] | None, typer.Option(help="Cable out: start+length, 20s+10s; may be repeated.")] = None,
    duplicate: Annotated[str, typer.Option(help="Share of frames that arrive twice.")] = "0%",
    reorder: Annotated[str, typer.Option(help="Share of frames that are overtaken.")] = "0%",
    truncate: Annotated[str, typer.Option(help="Share of frames that lose their tail.")] = "0%",
    flip: Annotated[str, typer.Option(help="Share of frames in which one bit is turned over.")] = "0%",
    delay: Annotated[str, typer.Option(help="Every frame's delay.")] = "0ms",
    jitter: Annotated[str, typer.Option(help="Most that is added to it.")] = "0ms",
    rate_mbit: Annotated[float, typer.Option(min=0, help="Most that gets through, headers counted; 0: no limit.")] = 0,
    buffer: Annotated[str, typer.Option(help="What may wait for it; more is dropped.")] = "64KiB",
    seed: Annotated[int, typer.Option(help="Same seed, same fate of the same frames.")] = 1,
    status: Annotated[Path | None, typer.Option(help="Rewritten as JSON every second.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print what became of each frame, 64 on a line.")] = False,
) -> None:
    """A bad one-way link for UDP: carries from `listen` to `to`, loses on purpose, carries nothing back."""
    from simulator.link.model import Burst, Cut, LinkModel
    from simulator.link.relay import Relay

    model = LinkModel(
        seed,
        loss=_read(text.share, loss, "--loss"),
        burst=Burst.parse(burst) if burst else None,
        duplicate=_read(text.share, duplicate, "--duplicate"),
        reorder=_read(text.share, reorder, "--reorder"),
        truncate=_read(text.share, truncate, "--truncate"),
        flip=_read(text.share, flip, "--flip"),
        delay_s=_read(text.seconds, delay, "--delay"),
        jitter_s=_read(text.seconds, jitter, "--jitter"),
        rate_mbit=rate_mbit,
        buffer_bytes=_read(text.size, buffer, "--buffer"),
        cuts=tuple(Cut.parse(one) for one in cut or []),
    )
    where, onwards = _read(text.address, listen, "--listen"), _read(text.address, to, "--to")
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: stopped.append(got))
    relay = Relay(model, where, onwards, time.monotonic, terminal.say if trace else None)
    host, port = relay.listening
    terminal.say(
        f"relay {host}:{port} -> {to}, {', '.join(f'{key} {value}' for key, value in model.settings().items())}"
    )
    try:
        relay.run(lambda: bool(stopped), status)
        counts = relay.report()
    finally:
        relay.close()
    terminal.say(
        "relay ended: " + ", ".join(f"{key} {value}" for key, value in counts.items() if isinstance(value, int))
    )


def _read(reader: Callable[[str], Any], given: str, option: str) -> Any:
    try:
        return reader(given)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error


if __name__ == "__main__":
    app()
