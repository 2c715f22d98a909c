"""Answers to recommendations are taken on record while the pages run, whether anybody looks or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from protocol.content.answered import RecommendationAnswer
from protocol.errors import CheckvalveError
from receiver.governed.recommendations.listening import take_answers
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope
from receiver.portal.signing_in.office import SignInOffice

LISTEN_S = 30.0
"""Between two looks for answers [s]."""

_log = logging.getLogger("receiver.portal")


def answers(office: SignInOffice, history: Path, clock: Callable[[], int]) -> list[RecommendationAnswer]:
    """What came over the diode; on record on return. The history is not opened while nothing was carried in.

    Args:
        office: Knows the recommendations, and time.
        history: Folder of the history.
        clock: The low side's wall time [ns since 1970 UTC].

    Raises:
        StoreError, TrailError: the history cannot be read, or the trail not written.
    """
    office.desk.now()
    if not any(one.carried for one in office.desk.authority.recommendations):
        return []
    door = Door(history, Scope(), clock=clock)
    try:
        return take_answers(office.desk.authority, door)
    finally:
        door.close()


async def listen_for_ever(office: SignInOffice, history: Path, clock: Callable[[], int]) -> None:
    """`answers` now and then, until cancelled; what goes wrong is told once, until it is well again."""
    told = ""
    while True:
        try:
            await asyncio.to_thread(answers, office, history, clock)
            told = ""
        except (CheckvalveError, OSError) as error:
            if str(error) != told:
                told = str(error)
                _log.error("answers to recommendations cannot be taken: %s", error)
        await asyncio.sleep(LISTEN_S)
