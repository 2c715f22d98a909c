"""What a `linktest` says: loss a step, where, and the lines to put into sender.toml. Pure.

rate_mbit    the highest rate up to which every step of full frames lost no more than what the link always loses
loss_target  twice what was lost up to there, at least 1 %
burst        the longest burst that cost nothing, where a longer one did
spread_ms    twice the longest outage, where that is more than the default
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protocol.limits import WIRE_OVERHEAD
from receiver.status.catch import LinkTestStep

CLEAN = 0.001
"""Loss that is none [part]: a step of a thousand frames cannot tell less."""
TARGETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Values of `loss_target` that are proposed."""
BURST_MOST, BURST_PER_KBIT = 65_536, 0.125
"""The default burst: 1 ms of the rate, at most 64 KiB [bytes, bytes a kb/s]."""
SPREAD_MS = 50.0
"""Default of `spread_ms` [ms]."""


def lines(steps: Sequence[LinkTestStep]) -> Iterator[str]:
    """The table, and what follows from it.

    Args:
        steps: Of one test.
    """
    if not steps:
        yield "no linktest was received yet: run `checkvalve linktest SENDER.toml` on the high side"
        return
    yield f"linktest of session {steps[0].session:08x}:"
    yield "  Mb/s    frame    burst     sent     came     loss    wire  kernel  writer  longest outage"
    for one in steps:
        yield _row(one)
    first, last = steps[0].first, steps[0].last
    absent = sorted(set(range(first, last + 1)) - {one.step for one in steps})
    if absent:
        yield f"  of {len(absent)} more steps nothing came: " + ", ".join(str(number - first + 1) for number in absent)
    yield from _notes(steps)
    yield from advice(steps)


def advice(steps: Sequence[LinkTestStep]) -> list[str]:
    """The lines for `[outlet]` of sender.toml."""
    full = _rates(steps)
    good = _clean(full)
    if not good:
        lost = f"{_loss(full[0]):.1%}" if full else "everything"
        return [
            f"even the slowest step lost {lost}: look for the cause, or test slower (--rates) before setting a rate"
        ]
    best = good[-1]
    out = ["for sender.toml:", "  [outlet]", f"  rate_mbit = {best.rate / 1000:g}"]
    if best is full[-1]:
        out[-1] += "          # the fastest step was clean: there may be more (--up-to)"
    loss = sum(one.of - one.received for one in good) / sum(one.of for one in good)
    out.append(f'  loss_target = "{next((one for one in TARGETS if one >= 2 * loss), TARGETS[-1]):.0%}"')
    out += _burst(steps, best.rate)
    outage_ms = max(_outage_ms(one) for one in good)
    if 2 * outage_ms > SPREAD_MS:
        out.append(f"  spread_ms = {2 * outage_ms:.0f}")
    return out


def _rates(steps: Sequence[LinkTestStep]) -> list[LinkTestStep]:
    """The series that changes the rate alone: the longest frames, the first step of each rate, slowest first."""
    longest = max(one.length for one in steps)
    found: dict[int, LinkTestStep] = {}
    for one in steps:
        if one.length == longest:
            found.setdefault(one.rate, one)
    return [found[rate] for rate in sorted(found)]


def _clean(full: Sequence[LinkTestStep]) -> list[LinkTestStep]:
    """From the slowest one on, as long as no more is lost than at the slowest, chance allowed for."""
    out: list[LinkTestStep] = []
    for one in full:
        lost, expected = one.of - one.received, _loss(full[0]) * one.of
        if lost > max(CLEAN * one.of, expected + 3 * (expected + 1) ** 0.5) or 2 * lost >= one.of:
            break
        out.append(one)
    return out


def _burst(steps: Sequence[LinkTestStep], rate: int) -> list[str]:
    """From the steps of one rate and length that differ in their burst; the rate is the advised one [kb/s]."""
    groups: dict[tuple[int, int], list[LinkTestStep]] = {}
    for one in steps:
        groups.setdefault((one.rate, one.length), []).append(one)
    most = max(map(len, groups.values()))
    widest = sorted(next(one for one in groups.values() if len(one) == most), key=lambda one: one.burst)
    good = _clean(widest)
    default = min(BURST_MOST, rate * BURST_PER_KBIT)
    if len(widest) < 2 or not good or len(good) == len(widest) or good[-1].burst >= default:
        return []
    return [f'  burst = "{good[-1].burst}B"']


def _notes(steps: Sequence[LinkTestStep]) -> Iterator[str]:
    if any(one.lost_kernel for one in steps):
        yield "  the kernel here dropped some, and counts up to 64 frames that it had merged as one: `sent` less `came`"
        yield "  is all that was lost, `kernel` the least that was lost here, `wire` the most that was on the way."
        yield "  sysctl -w net.core.rmem_max=67108864, or a faster machine; then test again"
    full = _rates(steps)
    longest = {one.rate: one for one in full}
    for one in steps:
        beside = longest.get(one.rate)
        if beside is not None and one.length < beside.length and len(_clean([beside, one])) < 2:
            each_s = one.rate * 125 / (one.length + WIRE_OVERHEAD)
            yield f"  frames of {one.length} bytes are lost more than long ones: {each_s:,.0f} a second are too many"
    if any(one.lost_writer for one in steps):
        yield "  the disk here was too slow for the data that came meanwhile: `checkvalve status RECEIVER.toml`"


def _row(one: LinkTestStep) -> str:
    wire, kernel = (f"<={one.lost_wire}", f">={one.lost_kernel}") if one.lost_kernel else (str(one.lost_wire), "0")
    counts = f"{wire:>8}{kernel:>8}{one.lost_writer:>8}"
    sizes = f"{one.rate / 1000:>6g}{one.length:>9}{one.burst:>9}{one.of:>9}{one.received:>9}"
    return f"{sizes}{_loss(one):>9.2%}{counts}{_outage_ms(one):>13.1f} ms"


def _outage_ms(one: LinkTestStep) -> float:
    """The longest run of lost frames as time at the step's rate."""
    return float(one.run * (one.length + WIRE_OVERHEAD) * 8 / max(1, one.rate))


def _loss(one: LinkTestStep) -> float:
    return 1.0 - float(one.received) / float(one.of)
