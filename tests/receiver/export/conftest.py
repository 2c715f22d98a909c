"""What all of them share."""

from __future__ import annotations

from pathlib import Path

import pytest
from exporting import TOML

from receiver.config import ReceiverConfig, load


@pytest.fixture
def low(tmp_path: Path) -> ReceiverConfig:
    """A low side without a history yet."""
    (tmp_path / "receiver.toml").write_text(TOML)
    return load(tmp_path / "receiver.toml")
