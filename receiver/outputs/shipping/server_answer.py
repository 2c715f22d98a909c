"""What a server's answer means for the shipment that was sent (pure).

| ruling | such as | what is done |
|---|---|---|
| TAKEN | it is stored, as the kind's README says | the next shipment |
| AGAIN | no connection, it is starting, it is full for now | the same again, for ever: 0.5 s doubling to 60 s, jitter |
| SLOW | no answer within the time limit | halved, and the same again after a wait |
| HOLD | wrong password, no such database, no right to write | alarm, a try a minute; a person acts |
| LARGE | more than it takes at once | halved; a single sample is set aside |
| REFUSED | something in it is not taken, now or ever | halved in search of it; what is found is set aside by class |

A kind of output sorts what its server says into these; the table of its own stands in its README.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

FIRST_WAIT_S = 0.5
MOST_WAIT_S = 60.0
HOLD_WAIT_S = 60.0
"""Between two tries while held [s]."""
WORDS = 500
"""Most characters of a server's words that are kept."""


class Ruling(Enum):
    """What is to be done."""

    TAKEN = "taken"
    AGAIN = "again"
    SLOW = "slow"
    HOLD = "hold"
    LARGE = "large"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What came of sending a shipment once."""

    ruling: Ruling
    words: str = ""
    """The server's, or why it has none; without secrets (`cleaned`)."""
    next_step: str = ""
    """What a person does about it; empty where waiting is enough."""
    refusal: str = ""
    """Class of what is refused or too large, in the server's own code: `22003`."""
    anew: bool = False
    """It went over a new connection: what the one before it acknowledged and is still held is sent again."""


def cleaned(words: object, *secrets: str) -> str:
    """A server's words on one line, without our secrets, not too long."""
    text = " ".join(str(words).split())
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:WORDS]


def wait_s(ruling: Ruling, failures: int, chance: random.Random) -> float:
    """How long to wait before the next try [s].

    Args:
        failures: How many times in a row nothing was taken, at least 1.
        chance: Gives the jitter, so that many receivers do not come back at the same instant.
    """
    if ruling is Ruling.HOLD:
        return HOLD_WAIT_S
    most = min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 10), MOST_WAIT_S)
    return most * chance.uniform(0.5, 1.0)
