"""One file of one hour while it is being written: a row group a step, so that journal and status wait for none.

Its name is made of its number within the hour and of the blocks that it holds: what is written twice has the same name
and replaces itself. It stands as `NAME.part` until it is whole and on the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from protocol.ranges import Ranges
from receiver.export.atomic_file import AtomicFile
from receiver.export.parquet_file import ParquetFile
from receiver.outputs.parquet.hour_pieces import NO_HOUR, HourPiece, partition
from receiver.outputs.parquet.hour_store import HourStore, WrittenFile, told_held
from receiver.outputs.parquet.shipment_table import shipment_table
from receiver.outputs.shipping.shipment import merged

GROUP_ROWS = 122_880
"""Samples of a row group, about: what DuckDB takes at a time; a table of so many takes some 50 MB."""


class HourFile:
    """The file of all pieces of an hour up to one of them."""

    def __init__(self, store: HourStore, hour: int, upto: int, *, output: str, after: bool, now_ns: int) -> None:
        """
        Args:
            store: Where the pieces are; nothing is written into it.
            upto: The last piece.
            output: Name of the output, for the file's metadata.
            after: The hour is over.
            now_ns: Wall time [ns since 1970 UTC].
        """
        self.hour, self.upto = hour, upto
        self._written = store.written(hour)
        held = {}
        for stream, numbers in store.staged(hour, upto).items():
            left = numbers.less(self._written.get(stream, Ranges()))
            if left.count:
                held[stream] = left
        before = store.of_hour(hour)
        word = "late" if any(before) else "samples"
        told = json.dumps([hour, told_held(held)]).encode()
        name = f"{partition(hour)}/{word}-{len(before) + 1}-{hashlib.sha256(told).hexdigest()[:12]}.parquet"
        self._output, self._after, self._now_ns, self._name, self._held = output, after, now_ns, name, held
        self._pieces = store.pieces(hour, upto)
        self._next: HourPiece | None = None
        self._stack = ExitStack()
        self._samples = 0
        self.named = False
        """It may stand under its name already, also where an error says that it does not."""
        self.file: WrittenFile | None = None
        """What was written, once it is there; None as well where all of it stands in other files already."""

    @property
    def empty(self) -> bool:
        """All of it stands in other files already."""
        return not self._held

    def begin(self, folder: Path) -> None:
        """Open it.

        Args:
            folder: The hour's, below the output's.

        Raises:
            OSError, ConfigError, StoreError: it cannot be made there.
        """
        self._atomic = self._stack.enter_context(AtomicFile(folder / Path(self._name).name, replace=True))
        self._parquet = ParquetFile(self._atomic.file)
        self._stack.callback(self._parquet.drop)

    def write_some(self) -> bool:
        """Write one row group; True once the file is there under its own name.

        Raises:
            OSError, StoreError: the disk is full or fails; `drop` it, and begin anew.
            DamageError: a piece of the store is not what was written.
        """
        group = self._group()
        if group:
            received: dict[int, int] = defaultdict(int)
            for one in group:
                received.update(one.blocks)
            shipment = merged([one.shipment for one in group])
            self._samples += len(shipment)
            self._parquet.add(shipment_table(shipment, received))
            return False
        file = WrittenFile(
            name=self._name,
            hour=self.hour,
            samples=self._samples,
            closed_ns=self._now_ns,
            after=self._after,
            held=self._held,
        )
        self._parquet.finish(_told(self._output, file))
        self.named = True
        self._atomic.commit()
        self._stack.close()
        self.file = file
        return True

    def drop(self) -> None:
        """Take away what was written of it."""
        self._stack.close()

    def _group(self) -> list[HourPiece]:
        """Pieces of one stream for the next row group; empty at the end."""
        out: list[HourPiece] = []
        count = 0
        for one in self._rest():
            if out and (one.shipment.stream != out[0].shipment.stream or count >= GROUP_ROWS):
                self._next = one
                break
            out.append(one)
            count += len(one.shipment)
        return out

    def _rest(self) -> Iterator[HourPiece]:
        if self._next is not None:
            one, self._next = self._next, None
            yield one
        for piece in self._pieces:
            known = self._written.get(piece.shipment.stream, Ranges())
            left = piece.less(number for number, _ in piece.blocks if number in known)
            if left is not None:
                yield left


def _told(output: str, file: WrittenFile) -> dict[str, object]:
    """The metadata of a file: what `PlantFolder.found` reads."""
    return {
        "output": output,
        "zone": "UTC",
        "hour": None if file.hour == NO_HOUR else file.hour,
        "samples": file.samples,
        "closed_ns": file.closed_ns,
        "after": file.after,
        "blocks": told_held(file.held),
    }
