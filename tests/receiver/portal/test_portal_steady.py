"""The low side's clock is set forward and back: nothing old becomes fresh, and nothing fresh stays old."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from portal_plant import SECOND, Clock, Plant
from typer.testing import CliRunner

from protocol.content.catalog import Asset, Tag
from protocol.process.statusfile import write_status
from receiver.commands import cli
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.freshness import judge
from receiver.portal.link import Lamp
from receiver.portal.live import TELL_S, Live
from receiver.portal.steady import ERAS, UNKNOWN, Era, EraFile, Steady, read_eras

HOUR = 3600.0
ASSETS = (Asset(name="pump-7", site="north"),)
TAGS = (Tag(id=1, asset="pump-7", name="pressure"), Tag(id=2, asset="pump-7", name="flow", max_silence_s=60.0))


class Site:
    """The live part alone, looked at by hand: no server, and no time but the clock's."""

    def __init__(self, plant: Plant, clock: Clock, *, boot: str = "boot-1") -> None:
        app = create_app(
            plant.history, plant.state, Scope(), clock=clock, since_boot=clock.since_boot, boot=boot
        )  # fmt: skip
        self.app, self.plant, self.clock = app, plant, clock
        self.live: Live = app.state.live
        self._looks = 0

    async def stale(self) -> dict[str, str]:
        """Look, and say of each tag why it is stale; empty while it is fresh."""
        self._looks += 1
        await self.live.look(self._looks * TELL_S * 2)
        at = self.live.moment()
        return {
            live_tag.tag.name: str(self.live.picture.stale(live_tag, at) or "")
            for live_tag in self.live.picture.tags.values()
        }

    async def begun(self) -> None:
        """The first look, and the next reports of the processes, which come each second."""
        await self.stale()
        self.clock.move(1)
        self.plant.report()

    def lamp(self) -> Lamp:
        return self.live.link.lamp

    def say(self, *names: str) -> None:
        self.plant.say({("pump-7", name): 1.0 for name in names})
        self.plant.report()


@contextlib.asynccontextmanager
async def running(plant: Plant, clock: Clock, *, boot: str = "boot-1") -> AsyncIterator[Site]:
    """The pages from their start to their end."""
    site = Site(plant, clock, boot=boot)
    try:
        yield site
    finally:
        await site.live._keeper.close()


FRESH = {"pressure": "", "flow": ""}
OLD = {"pressure": "silent", "flow": "silent"}


@pytest.mark.parametrize("step_s", [-HOUR, -86_400.0, HOUR, -3.0, 3.0])
def test_no_setting_of_the_clock_makes_an_old_value_fresh_or_a_fresh_one_old(tmp_path: Path, step_s: float) -> None:
    """While the plant is silent; and the next renewal is fresh at once, by the clock as it is set then."""
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)

    async def scene() -> None:
        async with running(plant, clock) as site:
            site.say("pressure", "flow")
            assert await site.stale() == FRESH
            clock.step(step_s)
            plant.report()
            assert await site.stale() == FRESH
            clock.move(20)
            plant.report()
            assert await site.stale() == FRESH | {"pressure": "silent"}
            clock.step(step_s)
            plant.report()
            assert await site.stale() == FRESH | {"pressure": "silent"}
            clock.move(200)
            plant.report()
            assert await site.stale() == OLD
            site.say("pressure", "flow")
            assert await site.stale() == FRESH
            assert site.lamp() is Lamp.LIVE

    asyncio.run(scene())
    plant.close()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("away_s", [5.0, HOUR - 30])
def test_a_clock_set_back_while_the_pages_are_away_makes_nothing_fresh(
    tmp_path: Path, known: bool, away_s: float
) -> None:
    """The plant is silent, the clock goes back an hour, the pages start again; with and without a note of the clock.

    Without one nothing is known but that what lies in the future is of unknown age: what the clock shows as past is
    believed, which is the limit of what can be known.
    """
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)

    async def scene() -> None:
        async with running(plant, clock) as site:
            site.say("pressure", "flow")
            assert await site.stale() == FRESH
        clock.move(away_s)
        clock.step(-HOUR)
        clock.move(35)
        if not known:
            (plant.state / "portal-clock.json").unlink()
        async with running(plant, clock) as site:
            await site.begun()
            # Seen 40 s and an hour ago; by the wall clock an hour to come, and 5 s ago.
            flow = "" if known and away_s == 5.0 else "silent"
            believed = {} if known or away_s == 5.0 else {"flow": ""}
            assert await site.stale() == OLD | {"flow": flow} | believed
            clock.move(HOUR + 100)
            plant.report()
            assert await site.stale() == OLD
            site.say("pressure", "flow")
            assert await site.stale() == FRESH

    asyncio.run(scene())
    plant.close()


def test_what_was_renewed_before_the_clock_went_back_is_not_fresh_after_any_restart(tmp_path: Path) -> None:
    """The pages saw the step and ended; an hour later the old times look like now."""
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)

    async def scene() -> None:
        async with running(plant, clock) as site:
            site.say("pressure", "flow")
            await site.stale()
            clock.step(-HOUR)
            plant.report()
            await site.stale()
        clock.move(HOUR + 1)  # the wall clock shows the moment of the renewal again
        async with running(plant, clock) as site:
            await site.begun()
            assert await site.stale() == OLD
            site.say("flow")
            assert await site.stale() == OLD | {"flow": ""}

    asyncio.run(scene())
    plant.close()


def test_a_report_from_before_the_clock_went_back_is_no_sign_of_life(tmp_path: Path) -> None:
    """catch ended, then the clock went back: the link is not live, at no later moment; a new report is."""
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)

    async def scene() -> None:
        async with running(plant, clock) as site:
            site.say("pressure")
            await site.stale()
            assert site.lamp() is Lamp.LIVE
            clock.move(6)
            clock.step(-HOUR)
            for _ in range(30):
                await site.stale()
                assert site.lamp() is Lamp.NONE
                clock.move(130)
        async with running(plant, clock) as site:
            await site.stale()
            assert site.lamp() is Lamp.NONE
            plant.report()
            await site.stale()
            assert site.lamp() is Lamp.LIVE

    asyncio.run(scene())
    plant.close()


@pytest.mark.parametrize("seed", range(40))
def test_steady_time_never_makes_younger_whatever_the_clock_does(seed: int) -> None:
    """Steps, slews and restarts at random: a met moment keeps its age, one found after a start is never too young."""
    chance = random.Random(seed)
    clock = Clock()
    steady = Steady(clock, clock.since_boot)
    told: list[tuple[int, int]] = []
    for _ in range(200):
        clock.move(chance.uniform(0, 30))
        match chance.randrange(6):
            case 0:
                clock.step(chance.choice((-HOUR, HOUR, -90.0, 90.0, -1.0, 1e7, -1e7)))
            case 1:
                clock.step(chance.uniform(-0.01, 0.01))
            case 2:
                steady = Steady(clock, clock.since_boot, steady.eras)
        steady.tick()
        assert len(steady.eras) <= ERAS
        if len(steady.eras) == ERAS:
            break  # what is older is forgotten: then nothing is promised
        now = clock.since_boot()
        told.append((clock(), now))
        assert steady.moment(clock(), met=True) == steady.now_ns()
        for wall_ns, at in told:
            age_s = (steady.now_ns() - steady.moment(wall_ns, met=False)) / SECOND
            assert age_s >= (now - at) / SECOND - 2.5, f"seed {seed}"


def test_a_moment_still_to_come_is_of_unknown_age_and_stale() -> None:
    """Within two seconds it is the present: clocks of two processes are read one after the other."""
    clock = Clock()
    steady = Steady(clock, clock.since_boot)
    assert steady.moment(clock() + SECOND, met=True) == steady.now_ns()
    for met in (True, False):
        assert steady.moment(clock() + 3 * SECOND, met=met) == UNKNOWN
    assert judge(now_ns=clock(), seen_ns=UNKNOWN, after_s=30 * 86400.0, beat_age_s=0.1, down=False)
    assert judge(now_ns=clock(), seen_ns=clock() + 3 * SECOND, after_s=5.0, beat_age_s=0.1, down=False)
    assert not judge(now_ns=clock(), seen_ns=clock() + SECOND, after_s=5.0, beat_age_s=0.1, down=False)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"boot": "b"}', '{"boot": "b", "eras": 3}', '{"boot": "b", "eras": [[1e400, 0]]}', "[" * 9000],
)
def test_a_damaged_note_of_the_clock_is_set_aside_and_a_foreign_one_means_nothing(tmp_path: Path, content: str) -> None:
    """The pages start in any case."""
    path, said = tmp_path / "portal-clock.json", list[str]()
    path.write_text(content)
    assert read_eras(path, "b", said.append, wall_ns=0) == ()
    assert len(said) == 1
    eras = (Era(1, 2), Era(3, 4 * SECOND))
    EraFile(path, "b").keep(eras)
    assert read_eras(path, "b", said.append, wall_ns=0) == eras
    assert read_eras(path, "another", said.append, wall_ns=0) == ()
    assert len(said) == 1


@pytest.mark.parametrize(("age_s", "says"), [(0.3, "said 0.3 s ago"), (9.0, "not running?"), (-HOUR, "still to come")])
def test_status_says_that_the_clock_was_set_instead_of_an_age_below_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, says: str
) -> None:
    """On the command line."""
    now_ns = 1_763_884_800 * SECOND
    monkeypatch.setattr("time.time_ns", lambda: now_ns)
    monkeypatch.setattr("receiver.config.load", lambda file: SimpleNamespace(state=tmp_path))
    write_status(tmp_path, "catch", {"pid": 7}, time_ns=now_ns - round(age_s * SECOND))
    told = CliRunner().invoke(cli.app, ["status", "x"]).output
    assert says in told
    assert "said -" not in told


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("said", "code"),
    [({}, 0), ({"alarm": False, "alarms": []}, 0), ({"alarm": True}, 1), ({"alarms": ["3 samples are set aside"]}, 1)],
)
def test_status_exits_with_1_while_a_process_raises_an_alarm(
    said: dict[str, object], code: int, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a program that asks now and then; what is shown is the same."""
    monkeypatch.setattr("receiver.config.load", lambda file: SimpleNamespace(state=tmp_path))
    write_status(tmp_path, "catch", {"pid": 7}, time_ns=1)
    write_status(tmp_path, "plant-influx", {"pid": 8, **said}, time_ns=1)
    done = CliRunner().invoke(cli.app, ["status", *options, "x"])
    assert done.exit_code == code
    assert "plant-influx" in done.output
