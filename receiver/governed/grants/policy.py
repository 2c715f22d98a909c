"""The site's policy: its presets, the plant's time zone, ceilings, groups of tags, and when a glass may be broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from receiver.governed.alerts.tell_table import TellTable
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.preset import PRESETS, Preset

CRITERIA = (
    "equipment has failed or tripped, and production or safety depends on it",
    "the person who must look at it cannot be granted reading in time by any approver on the roster",
)
"""Written criteria of a break-glass where the site writes none: all of them must be ticked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """What `access.toml` says."""

    zone: str = "UTC"
    """IANA name of the plant's time zone: hours of the week are written in it."""
    presets: Mapping[str, Preset] = field(default_factory=lambda: PRESETS)
    ceilings: Mapping[str, float] = field(default_factory=dict)
    """Asset -> most time of any one grant on it, whatever the preset says [s]."""
    groups: Mapping[str, Extent] = field(default_factory=dict)
    """Name -> what is asked for by that name."""
    criteria: tuple[str, ...] = CRITERIA
    text_version: str = ""
    """Version of the reading policy that people acknowledge; empty where the site has none."""
    tell: tuple[TellTable, ...] = ()
    """By which ways security is told at once; none: it is not, which is an alert with the first emergency."""

    def longest_s(self, preset: Preset, extent: Extent) -> float:
        """Most time of a grant of this kind on these assets [s]."""
        return min([preset.longest_s, *(self.ceilings[asset] for asset in extent.assets if asset in self.ceilings)])
