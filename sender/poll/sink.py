"""What polling hands to packing: the one door between reading devices and the spool.

Calls come from the poller's event loop, one after another, and must not block on the disk. A StoreError from any of
them ends the poller; nothing else may be raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from collectors.base import Event
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns


class Sink(Protocol):
    """Takes what was read; `sender/store/pack.py` makes blocks of it."""

    def samples(self, asset: str, columns: Columns, read: int) -> None:
        """Samples of one asset.

        Args:
            asset: Name of the asset.
            columns: `tag` holds stream ids that `catalog` has described before.
            read: Samples taken from the device and due, for TALLY: all rows but those flagged REFRESH.
        """

    def catalog(self, assets: Mapping[str, Asset], tags: Sequence[Tag]) -> None:
        """New or changed descriptions; the first call names every asset.

        Args:
            assets: By name: at least those that `tags` belong to.
            tags: Each with its stream id. An id comes again when its description text, range or period has changed;
                its asset, name, type, unit, address and conversion never change.
        """

    def event(self, asset: str, event: Event, sequence: int) -> None:
        """Something that happened in a device.

        Args:
            asset: Name of the asset.
            sequence: Rises by one with each event of this asset, from 1 in each stream.
        """

    def state(self, asset: str, time_ns: int, what: str, text: str) -> None:
        """Something about an asset, or about the sender itself.

        Args:
            asset: Empty where it concerns the sender.
            time_ns: Wall time [ns since 1970 UTC].
            what: `up`, `down`, `overrun`, `refused`, `configuration` or `note`.
            text: One line for people.
        """
