"""`checkvalve linktest`: which steps, and the emitter that sends them.

    rates     full frames at rising rates: what the link carries
    sizes     shorter frames at the set rate: whether frames a second are its limit
    bursts    longer bursts at the set rate: how deep the shallowest buffer on the way is

The running emitter sends them beside its data; where none runs, this process is the emitter until the test is over.
Nothing comes back: the low side counts, prints the table and says what to write into sender.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from protocol import terminal
from protocol.errors import ConfigError
from protocol.limits import WIRE_OVERHEAD
from protocol.wire.frame import PROBE_LEAST, SHARD_OVERHEAD, width_for
from protocol.written import counted
from sender.commands import errand
from sender.emit.pace import BURST_MOST, Pace
from sender.emit.probing import FRAMES_MOST, SECONDS_MOST, STEPS_MOST, ProbeStep
from sender.settings import LinkConfig

RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 900.0, 2000.0, 5000.0, 9000.0)
"""Rates that are tried from a quarter of the set one on [Mbit/s]."""
SIZES = (128, 512)
"""IP packets that are tried at the set rate beside the full ones [bytes]."""
BURSTS = (4096, 16_384, 65_536)
"""Bursts that are tried at the set rate beside the default one [bytes]."""
IP_UDP = 28
"""IPv4 and UDP headers [bytes]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asked for."""

    rates: tuple[float, ...] = ()
    """[Mbit/s]; empty: RATES up to `up_to`."""
    up_to: float = 100.0
    """[Mbit/s]."""
    sizes: tuple[float, ...] = ()
    """IP packets [bytes]; empty: SIZES."""
    bursts: tuple[float, ...] = ()
    """[bytes]; empty: BURSTS."""
    seconds: float = 2.0
    """How long a step lasts [s]."""


def numbers(text: str, option: str) -> tuple[float, ...]:
    """`5,20` -> (5.0, 20.0).

    Raises:
        ConfigError: it is something else.
    """
    try:
        out = tuple(float(one) for one in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no list of numbers", hint=f"write {option} 5,20,80") from None
    if any(not 0 < one < 1e6 for one in out):
        raise ConfigError(f"{option} {text!r}: each must be above 0 and below a million")
    return out


def plan(wanted: Wanted, *, rate_mbit: float, mtu: int) -> list[ProbeStep]:
    """The steps, in order.

    Args:
        wanted: What a person asked for.
        rate_mbit: Of sender.toml [Mbit/s].
        mtu: Of sender.toml [bytes].

    Raises:
        ConfigError: a size that does not fit, too many steps, too long.
    """
    full = width_for(mtu) + SHARD_OVERHEAD
    rates = wanted.rates or tuple(sorted({one for one in RATES if rate_mbit / 4 <= one <= wanted.up_to} | {rate_mbit}))
    out = [_step(rate, full, None, wanted.seconds) for rate in rates]
    for size in wanted.sizes or SIZES:
        length = int(size) - IP_UDP
        if not PROBE_LEAST <= length <= full:
            least, most = PROBE_LEAST + IP_UDP, full + IP_UDP
            raise ConfigError(f"--sizes {size:g} is not {least} to {most} bytes, the mtu of sender.toml")
        out.append(_step(rate_mbit, length, None, wanted.seconds))
    default = _step(rate_mbit, full, None, 1.0).burst
    bursts = [int(one) for one in wanted.bursts] or [one for one in BURSTS if one > default]
    out += [_step(rate_mbit, full, burst, wanted.seconds) for burst in bursts]
    takes = sum(one.seconds for one in out)
    if len(out) > STEPS_MOST or takes > SECONDS_MOST:
        raise ConfigError(
            f"{len(out)} steps of {takes:.0f} s in all are too many: at most {STEPS_MOST} and {SECONDS_MOST:.0f} s",
            hint="fewer --rates, or --seconds 1",
        )
    return out


def run(config: LinkConfig, wanted: Wanted, *, as_json: bool, say: Callable[[str], None]) -> None:
    """Do it, printing lines or one JSON object.

    Raises:
        ConfigError: a wish that cannot be, or an emitter that refused.
    """
    steps = plan(wanted, rate_mbit=config.outlet.rate_mbit, mtu=config.outlet.mtu)
    alone = not errand.running(config.state)
    if not as_json:
        fastest = max(one.rate_kbit for one in steps) / 1000
        say(f"{counted(len(steps), 'step')} up to {fastest:g} Mbit/s, about {sum(one.seconds for one in steps):.0f} s")
        if not config.outlet.repeat:
            say("warning: sender.toml has no repeat, so data that a too fast step loses need a gap code")
        if alone:
            say("no emitter runs here: this is one until the test is over")
    name = errand.leave(config.state, "linktest", {"steps": [asdict(one) for one in steps]})
    result = _alone(config, name) if alone else errand.follow(config.state, name, _words)
    if as_json:
        terminal.data({"alone": alone, "steps": [asdict(one) for one in steps], **result})
        return
    say(f"sent {sum(result['sent'])} frames; on the low side: checkvalve linktest RECEIVER.toml")


def _alone(config: LinkConfig, name: str) -> dict[str, Any]:
    """Be the emitter until it is done."""
    from oneway.gate import enter
    from oneway.preflight import Policy
    from oneway.recipe import Side
    from sender.emit import process as emit_process

    try:
        found = enter(Side.HIGH, config.outlet.to[0], Policy.REFUSE)
        emit_process.run(config, found=found.plain(), until=name)
    finally:
        told = errand.result(config.state, name)
        if told is None:
            errand.withdraw(config.state, name)
    if told is None:
        raise ConfigError("stopped before the end of the test; what had left is counted on the low side")
    if told.get("state") != "done":
        raise ConfigError(f"the test was refused: {told.get('text')}")
    return told


def _step(rate_mbit: float, length: int, burst: int | None, seconds: float) -> ProbeStep:
    """One step; its burst is what the emitter would use at that rate, where none is named."""
    wire = length + WIRE_OVERHEAD
    if burst is None:
        burst = Pace(rate_mbit * 125_000, largest_frame=wire).burst
    frames = round(rate_mbit * 125_000 * seconds / wire)
    return ProbeStep(
        rate_kbit=max(1, round(rate_mbit * 1000)),
        frames=max(10, min(frames, FRAMES_MOST)),
        length=length,
        burst=max(wire, min(burst, BURST_MOST)),
    )


def _words(mine: Mapping[str, Any]) -> str:
    return f"step {mine['step']} of {mine['steps']}" if "step" in mine else "waiting for the emitter"
