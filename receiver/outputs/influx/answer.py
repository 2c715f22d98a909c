"""What a server's answer means for the lines that were sent (pure).

| answer | meaning | what is done |
|---|---|---|
| 204 | taken | the next lines |
| another 2xx | no write API answers so: a proxy, a page, another program | held |
| no answer in time | not now, or too much at once | half as many lines, after a wait |
| none, 408, 429, 5xx | not now | the same lines again, for ever: 0.5 s doubling to 60 s, jitter, or `Retry-After` |
| 401, 403, 404, others | not by us, not there | held: alarm, a try a minute; a rotated token must not cost data |
| 413 | too much at once | halved |
| 400, 422 | lines among them are refused | searched for (`pump.py`), and set aside with the server's words |

A 4xx does not mean that nothing was stored: InfluxDB takes the good lines of a partial write. Sending lines again is
harmless, as the same series and time replaces itself. Source: InfluxDB 1.6, VictoriaMetrics 1.79 and QuestDB 9.1,
tried; InfluxDB 2 and 3 API reference, write endpoint.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from receiver.outputs.shipping import server_answer
from receiver.outputs.shipping.server_answer import MOST_WAIT_S, Ruling

TAKEN = 204
"""The one status with which every one of these servers says that it took a write."""


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """A server's answer to a request."""

    status: int
    """HTTP status; 0 where none came."""
    message: str = ""
    """Its words, or why none came; without secrets."""
    retry_after_s: float | None = None
    """From `Retry-After` [s]."""
    timed_out: bool = False
    """It was connected, and said nothing in time."""
    step: str = ""
    """What a person does about it, where more is known than the status tells."""

    @property
    def failed(self) -> bool:
        """The connection failed: the server may be another process by now."""
        return self.status == 0 and not self.timed_out


def ruling(answer: WriteAnswer) -> Ruling:
    """What an answer means, by the table above."""
    status = answer.status
    if status == TAKEN:
        return Ruling.TAKEN
    if answer.timed_out:
        return Ruling.SLOW
    if status in (0, 408, 429) or status >= 500:
        return Ruling.AGAIN
    if status == 413:
        return Ruling.LARGE
    if status in (400, 422):
        return Ruling.REFUSED
    return Ruling.HOLD


def wait_s(answer: WriteAnswer, failures: int, chance: random.Random) -> float:
    """How long to wait before the next try [s].

    Args:
        failures: How many times in a row it was not now, at least 1.
        chance: Gives the jitter, so that many receivers do not come back at the same instant.
    """
    told = ruling(answer)
    if told is not Ruling.HOLD and answer.retry_after_s is not None:
        return min(max(answer.retry_after_s, 0.0), 10 * MOST_WAIT_S)
    return server_answer.wait_s(told, failures, chance)


def next_step(answer: WriteAnswer) -> str:
    """What a person does about an answer that is no yes."""
    status = answer.status
    if answer.step:
        return answer.step
    if status == 0:
        slow = "Look at the server's load and log" if answer.timed_out else "Start the server, or compare url"
        return f"{slow}; nothing is lost meanwhile"
    if status in (401, 403):
        return "Write a token that may write to the bucket into token_file; it is read again by itself"
    if status == 404:
        return "Compare url, org and bucket with the server's: it has no such bucket or address"
    if status in (408, 429):
        return "The server has too much to do; nothing is lost meanwhile"
    if status >= 500:
        return "Look at the server's log and disk; InfluxDB 1.x whose disk was full is to be restarted"
    return "Compare url with the server's: what answers there is not its write API"


def said(answer: WriteAnswer) -> str:
    """A server's no on one line, with its status."""
    return f"{answer.status or 'no answer'}: {answer.message}"
