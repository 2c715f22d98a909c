"""OpenMetrics 1.0 as text: a family a metric, its type, unit and help first, then its values (pure).

    # TYPE checkvalve_link_received_frames counter
    # UNIT checkvalve_link_received_frames frames
    # HELP checkvalve_link_received_frames Frames of the sender that came.
    checkvalve_link_received_frames_total 9950
    # EOF

Prometheus 2.5 and later read it. The names follow its conventions: base units, the unit last, `_total` for what only
rises. A value that is not known has no line: a made-up 0 would be believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
UNITS = ("seconds", "bytes", "frames", "blocks", "samples", "ratio", "segments")
"""What the last word of a name may be that is a unit."""
LABEL = 200
"""Longest value of a label [characters]."""


class MetricType(StrEnum):
    """What a monitor may do with the values."""

    GAUGE = "gauge"
    """Goes up and down."""
    COUNTER = "counter"
    """Only rises, but for a fall to what it begins with anew."""
    INFO = "info"
    """Is always 1; its labels say something."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family."""

    name: str
    """As it stands in a query: with `_total` or `_info`."""
    type: MetricType
    help: str
    """One sentence without its full stop."""
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name before `_total` and `_info`."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def unit(self) -> str:
        """The unit that the name ends with; empty where it has none."""
        word = self.family.rpartition("_")[2]
        return word if word in UNITS else ""


@dataclass(frozen=True, slots=True)
class HealthFigure:
    """One value of a metric."""

    metric: Metric
    value: float
    labels: Mapping[str, str]


def exposition(metrics: Iterable[Metric], values: Iterable[HealthFigure]) -> str:
    """The whole text.

    Args:
        metrics: In the order in which they stand; one without a value is left out.
        values: Those that are not finite are left out; of two with the same labels the first stays.
    """
    held: dict[str, dict[str, float]] = {}
    for one in values:
        if math.isfinite(one.value):
            held.setdefault(one.metric.name, {}).setdefault(_labels(one.labels), one.value)
    lines = []
    for metric in metrics:
        if metric.name in held:
            lines.append(f"# TYPE {metric.family} {metric.type}")
            if metric.unit:
                lines.append(f"# UNIT {metric.family} {metric.unit}")
            lines.append(f"# HELP {metric.family} {escaped(metric.help)}.")
            lines += [f"{metric.name}{labels} {_number(value)}" for labels, value in held[metric.name].items()]
    return "\n".join([*lines, "# EOF", ""])


def escaped(text: str) -> str:
    """A text within quotes: backslash, quote and line end as the format has them, nothing else that ends a line."""
    whole = text[:LABEL].encode("utf-8", "replace").decode()
    return whole.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", " ").replace("\0", " ")


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
