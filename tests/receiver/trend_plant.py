"""A turbine of eight tags with two hours of history, for the tests of the trend page: and what may go wrong with them.

    pressure, flow       bar and m3/h: flow follows pressure; five minutes of all lost on the link, 200 s came later
    bearing a, b         Cel, one unit: one axis; a is bad for a minute and a half
    speed                r/min, with a normal band
    mode                 states, sent on change
    running              on or off
    note                 a text
and a name that would be markup, at another asset.
"""

from __future__ import annotations

import math
from pathlib import Path

from portal_plant import SECOND, Clock, Plant, batch

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, Row
from receiver.outputs.base import EventBody

EVIL = '<img src=x onerror="document.title=1">'
TURBINE = "turbine-1"
ASSETS = (
    Asset(name=TURBINE, site="north-plant", vendors=("Acme",)),
    Asset(name=EVIL, site="north-plant", vendors=("Volta",)),
)
TAGS = (
    Tag(id=1, asset=TURBINE, name="oil/pressure", type="float32", unit="bar", low=0, high=16, normal_high=7.5),
    Tag(id=2, asset=TURBINE, name="oil/flow", type="float32", unit="m3/h", low=0, high=200),
    Tag(id=3, asset=TURBINE, name="bearing a", type="float32", unit="Cel", low=0, high=120, normal_high=70),
    Tag(id=4, asset=TURBINE, name="bearing b", type="float32", unit="Cel", low=0, high=120, normal_high=70),
    Tag(id=5, asset=TURBINE, name="speed", type="float64", unit="r/min", low=0, high=3600, normal_low=2900),
    Tag(id=6, asset=TURBINE, name="mode", type="uint16", states=("off", "start", "run"), max_silence_s=600.0),
    Tag(id=7, asset=TURBINE, name="running", type="bool", max_silence_s=600.0),
    Tag(id=8, asset=TURBINE, name="note", type="string"),
    Tag(id=9, asset=EVIL, name="<b>50%/x</b>", type="float64", unit="<u>"),
)
NAMES = [f"{TURBINE}/{tag.name}" for tag in TAGS if tag.asset == TURBINE]
STEP_S = 4


def trend_plant(folder: Path, clock: Clock) -> Plant:
    """Two hours up to now; the middle of the last hour lost, an alarm and a trip in it."""
    plant = Plant(folder, ASSETS, TAGS, clock=clock)
    end = clock()

    def rows(first_s: int, last_s: int) -> list[Row]:
        found = []
        for second in range(first_s, last_s, -STEP_S):
            at, phase = end - second * SECOND, second / 500
            pressure = 6 + math.sin(phase) + second % 28 / 40
            values = (pressure, 20 * pressure + second % 12, 55 + 8 * math.sin(phase / 2), 52 + 7 * math.sin(phase / 2))
            bad = 1110 < second < 1200
            found += [Row(ident, at, value) for ident, value in enumerate(values, 1) if ident != 3 or not bad]
            found.append(Row(5, at, 3000.0 - (150 if 600 < second < 900 else 0)))
        return found

    plant.send([Row(9, end - 7000 * SECOND, 1.5), Row(6, end - 7100 * SECOND, 0), Row(7, end - 7100 * SECOND, False)])
    plant.send(rows(7200, 2100))
    plant.lose(4)
    plant.send(rows(1800, 1600))
    plant.take(batch(rows(1600, 1400)), healed=True)
    plant.send(rows(1400, 0))
    plant.send([Row(6, end - 1700 * SECOND, 1), Row(6, end - 800 * SECOND, 2), Row(7, end - 790 * SECOND, True)])
    plant.send([Row(3, end - (1200 - one) * SECOND, None, Quality.BAD_SENSOR_FAILURE) for one in range(2, 92, 4)])
    plant.send([Row(8, end - 60 * SECOND, "HIGH"), Row(9, end - 2 * SECOND, 2.5)])
    for second, severity, state in ((900, 500, "active"), (600, 900, "active"), (300, 900, "cleared")):
        plant.take(
            EventBody(
                asset=TURBINE,
                source="speed",
                time_ns=end - second * SECOND,
                severity=severity,
                code="S-1",
                text=f"speed low {EVIL}",
                state=state,
                sequence=second,
            )
        )
    plant.say({(TURBINE, "oil/pressure"): 6.5})
    plant.condition(TURBINE, "up")
    clock.move(1.5)
    plant.report()
    return plant
