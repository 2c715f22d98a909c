"""A door to the historian in a thread of its own, so that a slow question never holds up the event loop.

A store's connection belongs to the thread that opened it, so the door is opened, asked and closed there. A question
that fails for the store's sake closes the door; the next one opens it again: the historian may be started after the
pages, moved to a new month or replaced while they run. Any other failure is one of this question alone: what it was
for says that it cannot be shown.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from protocol.errors import StoreError
from receiver.outputs.historian.read import Door
from receiver.portal.faults import DisplayFaults

Answer = TypeVar("Answer")


class NoHistory(Exception):
    """The historian's store cannot be read now; the text says why, without a path."""


class Keeper:
    """Asks one door, one question at a time."""

    def __init__(self, open_door: Callable[[], Door], *, name: str, faults: DisplayFaults) -> None:
        """
        Args:
            open_door: Opens the store; called in the keeper's thread, again after a failure.
            name: Of the thread.
            faults: Told of a question that fails for another reason than the store.
        """
        self._faults = faults
        self._open = open_door
        self._door: Door | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def ask(self, question: Callable[[Door], Answer]) -> Answer:
        """Put the question to the door, in its thread.

        Raises:
            NoHistory: The store is not there, or cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._put, question)

    async def close(self) -> None:
        """Close the door and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
        self._thread.shutdown()

    def _put(self, question: Callable[[Door], Answer]) -> Answer:
        try:
            if self._door is None:
                self._door = self._open()
            return question(self._door)
        except (sqlite3.Error, OSError, StoreError) as error:
            self._shut()
            raise NoHistory(_why(error)) from error
        except Exception as error:
            self._shut()
            self._faults.note("an answer of the history", error)
            raise NoHistory(f"this part of the history cannot be read ({type(error).__name__})") from error

    def _shut(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            try:
                door.close()
            except (sqlite3.Error, OSError, StoreError):
                return  # it is being thrown away because it fails


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the historian has written nothing yet"
    return f"the historian's store cannot be read ({type(error).__name__})"
