"""A description tells whenever the same raw numbers would become others."""

from __future__ import annotations

from typing import Any

from collectors.base import Device, numbered
from collectors.enip.collector import LogixCollector


def test_a_controllers_scaled_tag_is_known_from_its_table() -> None:
    """Of EtherNet/IP only what is scaled is stated, each element of an array; the rest the controller says."""
    tags: list[dict[str, Any]] = [
        {"name": "a", "at": "Raw", "scale": 0.1, "offset": -20.0},
        {"name": "b", "at": "Plain"},
        {"name": "c", "at": "Row", "count": 2, "scale": 4},
        {"name": "wrong", "at": "Raw", "scale": 0},
    ]
    device = Device(name="glue", url="enip://10.0.0.7", kind="process", settings={}, scans=numbered([(1.0, tags)]))
    said = {number: (facts.type, facts.conversion) for number, facts in LogixCollector.stated(device).items()}
    assert said == {0: ("float64", "x 0.1 - 20"), 2: ("float64", "x 4"), 3: ("float64", "x 4")}
