"""The bad link is a seeded model: the same frames meet the same fate, and nothing but the listed fates exists."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ConfigError
from protocol.limits import WIRE_OVERHEAD
from simulator.link.model import REORDER_S, TRACE_WIDTH, Burst, Cut, FateTrace, FrameFate, LinkModel

SEED = 2026


def frames(count: int) -> list[bytes]:
    return [at.to_bytes(4, "big") for at in range(count)]


def trace(
    count: int = 20_000, *, gap_s: float = 0.0005, seed: int = SEED, **how: Any
) -> tuple[LinkModel, list[tuple[float, bytes]]]:
    """Every arrival of `count` frames sent `gap_s` apart, in the order the model gave them."""
    model = LinkModel(seed, **how)
    return model, [arrival for at, one in enumerate(frames(count)) for arrival in model.carry(at * gap_s, one)]


BAD: dict[str, Any] = {
    "loss": 0.05,
    "burst": Burst(0.02, 0.5),
    "duplicate": 0.02,
    "reorder": 0.01,
    "delay_s": 0.01,
    "jitter_s": 0.002,
    "cuts": (Cut(2.0, 2.5),),
}


def test_same_seed_same_fate() -> None:
    """Two links of one seed and one traffic are equal to the last arrival; another seed is another link."""
    assert trace(**BAD)[1] == trace(**BAD)[1] != trace(**BAD, seed=SEED + 1)[1]


def test_a_good_link_is_a_wire() -> None:
    """Without anything switched on every frame arrives once, at once, in order."""
    assert trace(1000)[1] == [(at * 0.0005, one) for at, one in enumerate(frames(1000))]


@pytest.mark.parametrize("loss", [0.001, 0.01, 0.05, 0.4])
def test_loss_is_what_was_asked_for(loss: float) -> None:
    """The share lost is within five standard deviations of the binomial's mean."""
    count = 40_000
    model, arrived = trace(count, loss=loss)
    allowed = 5 * math.sqrt(count * loss * (1 - loss))
    assert abs(model.counts.dropped - count * loss) < allowed, f"seed {SEED}"
    assert len(arrived) == count - model.counts.dropped


def test_lost_frames_are_independent() -> None:
    """Uniform loss has no bursts: after a lost frame the next is lost as often as any."""
    count, loss = 40_000, 0.1
    _, arrived = trace(count, loss=loss)
    here = {one for _, one in arrived}
    lost = [one not in here for one in frames(count)]
    after = [lost[at + 1] for at in range(count - 1) if lost[at]]
    assert abs(sum(after) - len(after) * loss) < 5 * math.sqrt(len(after) * loss * (1 - loss))


def test_the_same_frames_are_lost_whatever_else_is_on() -> None:
    """Doubling, delay and reordering change when and how often a frame comes, never whether."""
    plain = {one for _, one in trace(loss=0.05)[1]}
    assert {one for _, one in trace(loss=0.05, duplicate=0.3, reorder=0.2, delay_s=0.1, jitter_s=0.01)[1]} == plain


def test_nothing_is_invented_or_altered() -> None:
    """What arrives was sent, at most twice, never before it was sent."""
    sent = {one: at * 0.0005 for at, one in enumerate(frames(20_000))}
    _, arrived = trace(**BAD)
    assert all(one in sent and time_s >= sent[one] for time_s, one in arrived)
    assert max(Counter(one for _, one in arrived).values()) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.none() | st.builds(Burst, st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 1)),
    st.lists(st.builds(lambda start, length: Cut(start, start + length), st.floats(0, 1), st.floats(0, 1)), max_size=3),
)
def test_counts_add_up(
    seed: int, loss: float, duplicate: float, reorder: float, burst: Burst | None, cuts: list[Cut]
) -> None:
    """offered = carried + dropped + cut, and arrivals = carried + doubled, whatever the settings."""
    model, arrived = trace(
        500, gap_s=0.004, seed=seed, loss=loss, duplicate=duplicate, reorder=reorder, burst=burst, cuts=tuple(cuts)
    )
    counts = model.counts
    assert counts.offered == 500 == counts.carried + counts.dropped + counts.cut
    assert len(arrived) == counts.carried + counts.doubled
    assert len({one for _, one in arrived}) == counts.carried
    assert counts.reordered <= counts.carried


def test_bursts_have_the_length_and_the_distance_asked_for() -> None:
    """Over many bursts the mean lengths of bad and good times are those given; within, everything is lost."""
    burst, gap_s = Burst(0.05, 0.45), 0.001
    _, arrived = trace(400_000, gap_s=gap_s, burst=burst)
    here = {one for _, one in arrived}
    runs: list[list[Any]] = []
    for one in frames(400_000):
        lost = one not in here
        if not runs or runs[-1][0] != lost:
            runs.append([lost, 0])
        runs[-1][1] += 1
    bad = [length * gap_s for lost, length in runs if lost]
    good = [length * gap_s for lost, length in runs if not lost]
    assert len(bad) > 500
    # the mean of n exponential times has a standard deviation of mean / sqrt(n)
    assert sum(bad) / len(bad) == pytest.approx(burst.length_s, rel=5 / math.sqrt(len(bad)))
    assert sum(good) / len(good) == pytest.approx(burst.every_s, rel=5 / math.sqrt(len(good)))


def test_bursts_begin_without_traffic() -> None:
    """When the bad times are depends on the seed alone: a sparse and a dense traffic see the same ones."""
    burst = Burst(0.1, 0.4)
    dense = LinkModel(SEED, burst=burst)
    states = []
    for step in range(10_000):
        dense.carry(step * 0.01, b"")
        states.append(dense.bad)
    sparse = LinkModel(SEED, burst=burst, loss=0.3, duplicate=0.5)
    for step in range(0, 10_000, 37):
        sparse.carry(step * 0.01, b"")
        assert sparse.bad == states[step]
    assert True in states


def test_a_burst_may_lose_only_a_share() -> None:
    """Loss within bad times is a setting of its own."""
    model, _ = trace(100_000, gap_s=0.001, burst=Burst(0.5, 0.5, 0.4))
    assert model.counts.dropped / 100_000 == pytest.approx(0.2, abs=0.03)


def test_a_cut_loses_all_within_and_nothing_else() -> None:
    """The cable's own losses are counted apart from chance."""
    model, arrived = trace(10_000, gap_s=0.001, cuts=(Cut(2.0, 3.5), Cut(7.0, 8.0)))
    missing = sorted(set(frames(10_000)) - {one for _, one in arrived})
    assert [int.from_bytes(one, "big") for one in missing] == [*range(2000, 3500), *range(7000, 8000)]
    assert (model.counts.cut, model.counts.dropped) == (2500, 0)


def test_a_frame_held_back_is_overtaken() -> None:
    """Reordered frames arrive behind later ones, and the count says how many."""
    model, arrived = trace(reorder=0.02)
    assert model.counts.reordered == pytest.approx(400, abs=100)
    order = [one for _, one in sorted(arrived, key=lambda arrival: arrival[0])]
    overtaken = sum(order[at] < order[at - 1] for at in range(1, len(order)))
    assert 0 < overtaken <= model.counts.reordered
    late = [time_s - int.from_bytes(one, "big") * 0.0005 for time_s, one in arrived]
    assert sum(abs(delay - REORDER_S) < 1e-9 for delay in late) == model.counts.reordered


def test_delay_and_jitter_have_bounds() -> None:
    """Every frame takes the delay and at most the jitter more, and uses all of that range."""
    _, arrived = trace(delay_s=0.2, jitter_s=0.05)
    delays = [time_s - int.from_bytes(one, "big") * 0.0005 for time_s, one in arrived]
    assert 0.2 - 1e-9 <= min(delays) < 0.201
    assert 0.249 < max(delays) <= 0.25 + 1e-9


def test_a_truncated_frame_is_a_head_of_what_was_sent() -> None:
    """The share asked for loses its tail, at least a byte of it; every length comes, nothing else is changed."""
    sent = bytes(range(100))
    model = LinkModel(SEED, truncate=0.3)
    got = [model.carry(at * 0.001, sent)[0][1] for at in range(5000)]
    short = [one for one in got if one != sent]
    assert len(short) == model.counts.truncated == pytest.approx(1500, abs=160)
    assert {len(one) for one in short} == set(range(100))
    assert all(sent.startswith(one) for one in short)


def test_a_flipped_frame_differs_in_one_bit() -> None:
    """The share asked for has one bit turned over, any of them."""
    sent = bytes(20)
    model = LinkModel(SEED, flip=0.5)
    got = [int.from_bytes(model.carry(at * 0.001, sent)[0][1], "big") for at in range(4000)]
    turned = [one for one in got if one]
    assert all(one.bit_count() == 1 for one in turned)
    assert len(turned) == model.counts.flipped == pytest.approx(2000, abs=160)
    assert len(set(turned)) == 160


def test_a_rate_limit_spaces_frames_and_drops_what_its_buffer_cannot_hold() -> None:
    """A burst at once: as much as the buffer holds leaves at the rate, headers counted, the rest is dropped."""
    size = 1000 - WIRE_OVERHEAD
    model = LinkModel(1, rate_mbit=8.0, buffer_bytes=10_000)
    arrived = [model.carry(5.0, bytes(size)) for _ in range(50)]
    assert [round(one[0][0] - 5.0, 9) for one in arrived if one] == [at / 1000 for at in range(1, 11)]
    assert model.counts.choked == 40
    assert sum(bool(model.carry(5.0095, bytes(size))) for _ in range(20)) == 9


def test_a_paced_sender_loses_nothing_to_a_rate_limit() -> None:
    """At a little less than the rate the buffer never holds more than one frame."""
    size = 1000 - WIRE_OVERHEAD
    model = LinkModel(1, rate_mbit=8.0, buffer_bytes=2_000)
    waits = [model.carry(at * 0.00101, bytes(size))[0][0] - at * 0.00101 for at in range(20_000)]
    assert model.counts.choked == 0
    assert max(waits) < 0.0010001


def test_a_frame_longer_than_the_buffer_passes_an_idle_converter() -> None:
    """What is being sent needs no room to wait in."""
    model = LinkModel(1, rate_mbit=8.0, buffer_bytes=100)
    assert len(model.carry(0.0, bytes(1400))) == 1
    assert model.carry(0.0, bytes(1400)) == []


def test_fates_say_what_became_of_each_frame() -> None:
    """The letters of a run agree with its arrivals and its counts, one by one."""
    model = LinkModel(SEED, **BAD, truncate=0.01, flip=0.01, rate_mbit=50, buffer_bytes=3000)
    letters: Counter[str] = Counter()
    for at in range(20_000):
        arrivals = model.carry(at * 0.0005, at.to_bytes(4, "big") * 50)
        letters[model.fate] += 1
        assert len(arrivals) == (0 if model.fate in "xbcq" else 2 if model.fate == "d" else 1), at
    counts = model.counts
    assert letters["x"] + letters["b"] == counts.dropped
    assert (letters["c"], letters["q"], letters["d"]) == (counts.cut, counts.choked, counts.doubled)
    assert set(letters) >= set(FrameFate) - {"q"}


def test_a_printed_trace_replays_the_same_fates() -> None:
    """The letters of one run, given as the script of another without any chance, have the same fates."""
    model, trace_lines = LinkModel(SEED, **BAD), FateTrace()
    told = []
    for at in range(1000):
        model.carry(at * 0.0005, b"frame")
        told.append(trace_lines.add(at * 0.0005, model.fate))
    lines = [line for line in [*told, trace_lines.rest()] if line]
    assert [len(line.split()[1]) for line in lines] == [TRACE_WIDTH] * 15 + [40]
    assert [float(line.split()[0]) for line in lines] == [round(at * TRACE_WIDTH * 0.0005, 3) for at in range(16)]
    script = "".join(line.split()[1] for line in lines)
    again = LinkModel(1, script=script)
    seen = ""
    for at in range(1000):
        again.carry(at * 0.0005, b"frame")
        seen += again.fate
    assert seen.replace("x", "b") == script.replace("x", "b")
    assert trace_lines.rest() is None


def test_settings_are_read_from_text() -> None:
    """The forms in which a person types bursts and cuts."""
    assert Burst.parse("50ms/5s") == Burst(0.05, 5.0, 1.0)
    assert Burst.parse("1s/2m/80%") == Burst(1.0, 120.0, 0.8)
    assert Cut.parse("20s+10m") == Cut(20.0, 620.0)


@pytest.mark.parametrize("text", ["", "50ms", "50/5", "0ms/5s", "1s/2s/300%", "1s/2s/3%/4%"])
def test_an_unreadable_burst_is_refused(text: str) -> None:
    """A mistyped burst is the operator's mistake."""
    with pytest.raises(ConfigError):
        Burst.parse(text)


@pytest.mark.parametrize("text", ["", "20s", "20s+", "+10s", "a+b"])
def test_an_unreadable_cut_is_refused(text: str) -> None:
    """A mistyped cut is the operator's mistake."""
    with pytest.raises(ConfigError):
        Cut.parse(text)


@pytest.mark.parametrize(
    "how", [{"loss": 1.5}, {"duplicate": -0.1}, {"delay_s": -1.0}, {"jitter_s": float("nan")}, {"script": "..?"}]
)
def test_impossible_settings_are_refused(how: dict[str, Any]) -> None:
    """No link loses more than everything or delivers before it was sent."""
    with pytest.raises(ConfigError):
        LinkModel(1, **how)
