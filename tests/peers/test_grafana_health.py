"""The dashboard of the pipeline's own health, asked of a real server that was given what `/metrics` says.

The figures are put into the server as the pages' own text, once every ten seconds of two minutes, so a metric that is
renamed or a label that goes is a panel that shows nothing here.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from grafana_plant import BUCKET_S, LENGTH_S, START_S
from grafana_stores import GRAFANA, MISSING, RATE_S, VictoriaStore

from receiver.portal.metrics import metric_list as names
from receiver.portal.metrics.open_metrics import HealthFigure, Metric, exposition

Curve = Callable[[int], Mapping[str, float]]
"""Second of the two minutes to value, by the words that tell the curves of a query apart."""


def _alone(value: Callable[[int], float]) -> Curve:
    return lambda second: {"": value(second)}


TOLD: Mapping[Metric, Curve] = {
    names.PROCESS_UP: lambda second: {"catch": float(second < 60), "publish": 1},
    names.BEAT_AGE: _alone(lambda second: 0.5 + max(0, second - 60)),
    names.LOSS: _alone(lambda second: second / 1000),
    names.WHOLE: _alone(lambda second: 10 * second),
    names.REPAIRED: _alone(lambda second: 2 * second),
    names.HEALED: _alone(lambda second: second / 10),
    names.EXPIRED: _alone(lambda second: 0 if second < 100 else 6),
    names.MISSING: _alone(lambda second: 3 if 30 <= second < 60 else 0),
    names.BEHIND: lambda second: {"history": 0.5, "plant-rows": float(second)},
    names.TAKEN: lambda second: {"history": 20 * second, "plant-rows": 0},
    names.ASIDE: lambda second: {"history": 0, "plant-rows": float(second // 30)},
    names.ALARM: lambda second: {"history": 0, "plant-rows": float(second > 60)},
    names.DISK_FREE: lambda second: {"state": 100 - second / 2, "history": 50},
    names.DISK_SIZE: lambda second: {"state": 100, "history": 200},
    names.JOURNAL: _alone(lambda second: 1000 + second),
    names.HISTORY: _alone(lambda second: 2000 + second),
    names.SPOOL: _alone(lambda second: 3000),
    names.SPOOL_WAITING: _alone(lambda second: 30),
    names.CLOCK: _alone(lambda second: -0.25),
}
"""What the pages say."""


def _rate(metric: Metric) -> Curve:
    def rate(second: int) -> Mapping[str, float]:
        before = TOLD[metric](second - RATE_S)
        return {word: (value - before[word]) / RATE_S for word, value in TOLD[metric](second).items()}

    return rate


def _free(second: int) -> Mapping[str, float]:
    free, size = TOLD[names.DISK_FREE](second), TOLD[names.DISK_SIZE](second)
    return {folder: free[folder] / size[folder] for folder in free}


WANTED: Mapping[str, Curve] = {
    "processes up": TOLD[names.PROCESS_UP],
    "alarms alarm": TOLD[names.ALARM],
    "beat beat": TOLD[names.BEAT_AGE],
    "loss loss": TOLD[names.LOSS],
    "blocks whole": _rate(names.WHOLE),
    "blocks repaired": _rate(names.REPAIRED),
    "blocks healed": _rate(names.HEALED),
    "blocks lost": _rate(names.EXPIRED),
    "missing missing": TOLD[names.MISSING],
    "behind A": TOLD[names.BEHIND],
    "taken A": _rate(names.TAKEN),
    "aside aside": TOLD[names.ASIDE],
    "free A": _free,
    "stored journal": TOLD[names.JOURNAL],
    "stored history": TOLD[names.HISTORY],
    "stored spool": TOLD[names.SPOOL],
    "stored waiting": TOLD[names.SPOOL_WAITING],
    "clock offset": TOLD[names.CLOCK],
}
"""By panel and query."""


class MonitorStore(VictoriaStore):
    """VictoriaMetrics, given the text of `/metrics` with a time."""

    stem = "monitor"

    def fill(self) -> None:
        for second in range(0, LENGTH_S + 1, BUCKET_S):
            text = exposition(names.METRICS, _figures(second))
            asked = urllib.parse.urlencode({"timestamp": (START_S + second) * 1000})
            url = f"{self.server.url}/api/v1/import/prometheus?{asked}"
            with urllib.request.urlopen(url, data=text.encode(), timeout=20) as answer:
                assert answer.status == 204


def _figures(second: int) -> Iterator[HealthFigure]:
    for metric, curve in TOLD.items():
        for word, value in curve(second).items():
            yield HealthFigure(metric, value, dict.fromkeys(metric.labels, word))


@pytest.mark.skipif(bool(MISSING["victoria-metrics"]), reason=MISSING["victoria-metrics"] or "it is there")
def test_every_panel_shows_what_the_endpoint_says(tmp_path: Path) -> None:
    """Each query's curves, by name, at each step once a rate has its whole window."""
    told = json.loads((GRAFANA / "dashboards/monitor/health.json").read_text())
    store = MonitorStore(tmp_path / "server")
    asked = set()
    try:
        for panel, name in zip(told["panels"], PANELS, strict=True):
            for target in panel["targets"]:
                asked.add(f"{name} {target['refId']}")
                _shown(store, target, WANTED[f"{name} {target['refId']}"])
    finally:
        store.close()
    assert asked == WANTED.keys()


PANELS = list(dict.fromkeys(one.split()[0] for one in WANTED))
"""In their order on the dashboard."""


def _shown(store: MonitorStore, target: Mapping[str, Any], wanted: Curve) -> None:
    have = {(row["legend"], row["time"] - START_S): row["value"] for row in store.rows(target, {})}
    seconds = range(RATE_S + BUCKET_S, LENGTH_S + 1, BUCKET_S)
    legends = {word or target["refId"] for word in wanted(LENGTH_S)}
    assert {legend for legend, _ in have} == legends
    for second in seconds:
        for word, value in wanted(second).items():
            assert have[word or target["refId"], second] == pytest.approx(value, rel=1e-9), (target["expr"], second)
