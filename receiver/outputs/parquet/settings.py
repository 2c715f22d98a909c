"""The keys of `[[output]]` with `kind = "parquet"`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from protocol.settings.table import File
from receiver.outputs.parquet.plant_folder import PlantFolder
from receiver.outputs.settings import OutputTable


class ParquetTable(OutputTable):
    """A folder of Parquet files."""

    EXAMPLES: ClassVar[dict[str, Any]] = {**OutputTable.EXAMPLES, "kind": "parquet", "folder": "/data/plant"}

    folder: File
    """Where the files go: this output's alone. It is made where only itself is missing."""
    keep_days: Annotated[int | None, Field(ge=1, le=36_500)] = None
    """Files whose hour is longer ago than this are taken away [days]; left out, all stay."""

    def files(self) -> list[Path]:
        """None that must be there before the start."""
        return []

    def alone(self) -> tuple[str, str]:
        """The folder."""
        return "folder", f"the folder {self.folder.resolve()}"

    def look(self) -> Iterator[tuple[str, str]]:
        """A folder that cannot be made or written, and a library that is missing."""
        place = self.folder if self.folder.exists() else self.folder.parent
        if place == self.folder and not place.is_dir():
            yield "folder", f"{place} is a file, and no folder; name a folder, or move the file away"
        elif not place.is_dir():
            yield "folder", f"{place} is not there; mount its disk, or make the folder"
        elif not os.access(place, os.W_OK | os.X_OK):
            yield "folder", f"{place} may not be written by this user; chown it to who runs the receiver"
        elif place == self.folder:
            trouble, step = PlantFolder(self.folder, self.name).trouble(begun=False)
            if trouble:
                yield "folder", f"{trouble}; {step}"
        if find_spec("pyarrow") is None:
            yield "kind", "its library is not installed; pip install 'checkvalve-low[parquet]'"
