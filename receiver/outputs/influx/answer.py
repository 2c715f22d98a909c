"""What a server's answer means for the lines that were sent (pure).

| answer | meaning | what is done |
|---|---|---|
| 2xx | taken | the next lines |
| none, 408, 429, 5xx | not now | the same lines again, for ever: 0.5 s doubling to 60 s, jitter, or `Retry-After` |
| 401, 403, 404, others | not by us, not there | held: alarm, a try a minute; a rotated token must not cost data |
| 413 | too much at once | halved |
| 400, 422 | a line among them is wrong | halved down to the line, which is set aside with the server's words |

A 4xx does not mean that nothing was stored: InfluxDB takes the good lines of a partial write. Sending lines again is
harmless, as the same series and time replaces itself. Source: InfluxDB 1.6 and VictoriaMetrics 1.79, tried; InfluxDB 2
and 3 API reference, write endpoint.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

FIRST_WAIT_S = 0.5
MOST_WAIT_S = 60.0
HOLD_WAIT_S = 60.0
"""Between two tries while held [s]."""


class Verdict(Enum):
    """What is to be done."""

    DONE = "done"
    AGAIN = "again"
    HOLD = "hold"
    HALVE = "halve"
    """Too large; a single line is set aside."""
    SEARCH = "search"
    """Find the line; a single one is set aside."""


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """A server's answer to a request."""

    status: int
    """HTTP status; 0 where none came."""
    message: str = ""
    """Its words, or why none came; without secrets."""
    retry_after_s: float | None = None
    """From `Retry-After` [s]."""


def verdict(answer: WriteAnswer) -> Verdict:
    """What an answer means, by the table above."""
    status = answer.status
    if 200 <= status < 300:
        return Verdict.DONE
    if status in (0, 408, 429) or status >= 500:
        return Verdict.AGAIN
    if status == 413:
        return Verdict.HALVE
    if status in (400, 422):
        return Verdict.SEARCH
    return Verdict.HOLD


def wait_s(answer: WriteAnswer, failures: int, chance: random.Random) -> float:
    """How long to wait before the next try [s].

    Args:
        failures: How many times in a row it was not now, at least 1.
        chance: Gives the jitter, so that many receivers do not come back at the same instant.
    """
    if verdict(answer) is Verdict.HOLD:
        return HOLD_WAIT_S
    if answer.retry_after_s is not None:
        return min(max(answer.retry_after_s, 0.0), 10 * MOST_WAIT_S)
    most = min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 10), MOST_WAIT_S)
    return most * chance.uniform(0.5, 1.0)
