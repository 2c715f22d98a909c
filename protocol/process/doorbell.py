"""The doorbell: a FIFO without content by which one process tells another that new blocks are on the disk.

    writer   rings after each group that is synced           state/doorbell      poll rings, emit waits
    reader   waits for it, and looks after 20 ms anyway      state/doorbell-*    catch rings, each output waits

It carries nothing and nobody relies on it: a doorbell that is lost costs those 20 ms. So it stops no process, whatever
other users of the state folder put under its name. A plain file is always readable and would make a reader spin, and
opening some devices hangs: what is no FIFO is never opened for reading. `Doorbell` sets it aside as
`NAME.damaged-TIME` and makes the FIFO anew; where neither can be done the reader looks by the clock alone.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
from pathlib import Path

from protocol.store import statefile

_FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class Doorbell:
    """One FIFO, made where it is missing; for the reader, and for a writer who knows its name."""

    def __init__(self, path: Path, *, wall_ns: int) -> None:
        """
        Args:
            path: Its folder is made if missing.
            wall_ns: Wall time, for the name of what stands in its way [ns since 1970 UTC].
        """
        self._file: int | None = None
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path) and not stat.S_ISFIFO(path.lstat().st_mode):
                statefile.set_aside(path, wall_ns)
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path, 0o660)
            self._file = _open(path, os.O_RDWR)  # both: so it never reads as closed, and ringing needs no reader

    def ring(self) -> None:
        """Ring; a full FIFO rings already."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.write(self._file, b"!")

    def wait(self, seconds: float) -> None:
        """Until it rings, at most so long [s]; at once where that is 0 or less."""
        bells = [] if self._file is None else [self._file]
        for bell in select.select(bells, [], [], max(0.0, seconds))[0]:
            os.read(bell, 4096)

    def close(self) -> None:
        """Let go of it; the FIFO stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Doorbells:
    """The FIFOs `state/doorbell-*` of readers that come and go: their writer makes none, it rings what is open."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._files: dict[str, int] = {}

    def look(self) -> None:
        """Find the readers that are there now; call it once a second."""
        for path in self._state.glob("doorbell-*"):
            if path.name not in self._files:
                with contextlib.suppress(OSError):  # nobody has it open, or it is none
                    self._files[path.name] = _open(path, os.O_WRONLY)

    def ring(self) -> None:
        """Ring all; a full FIFO rings already, a reader that went is forgotten."""
        for name, file in list(self._files.items()):
            try:
                os.write(file, b"!")
            except BlockingIOError:
                continue
            except OSError:
                os.close(self._files.pop(name))

    def close(self) -> None:
        """Close all; the FIFOs stay, and are their readers' to keep."""
        while self._files:
            os.close(self._files.popitem()[1])


def _open(path: Path, flags: int) -> int:
    """Raises OSError where there is no FIFO of that name, or nobody reads what is opened for writing."""
    file = os.open(path, flags | _FLAGS)
    if not stat.S_ISFIFO(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(path)
    return file
