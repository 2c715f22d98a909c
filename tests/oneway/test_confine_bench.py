"""The bench of confinement measures confined ends, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import confine as benched
from bench.lab import lab
from protocol import keymaking
from protocol.process import confine


def test_the_price_of_confinement_is_measured_on_confined_ends(tmp_path: Path) -> None:
    """One small pair: both ends end cleanly, the kernel names their filter, nothing is lost, there is a baseline."""
    why = confine.possible()
    if why is not None:
        pytest.skip(f"not confined here: {why}")
    for side in ("high", "low"):
        keymaking.make(side, tmp_path / side)
    with lab() as link:
        row = benched.cost(link, tmp_path, 1, 40)
    assert row.row == "confine.cost"
    assert row.lost == 0
    assert row.value is not None
    assert row.baseline is not None
    assert row.ratio is not None
    assert row.ratio > 0.1
