"""The servers that take line protocol, and what each one's yes means (pure).

| kind | its 204 means | kept to send again | sent again | equal times are told apart |
|---|---|---|---|---|
| `influxdb` (1.x, 2.x, 3) | in its log | 60 s | after a restart | within 1 ns |
| `victoria-metrics` | in memory | 60 s | after a restart or a failed connection | within 1 ms |
| `questdb` | in its log | 60 s | after a failed connection | within 1 us |
| `telegraf` | in memory | 60 s | after a failed connection | within 1 ns |
| any other | nobody knows: as in memory | 60 s | after a restart or a failed connection | within 1 ms |

Measured with VictoriaMetrics 1.79 (it loses what it took in the last 8 to 12 s when it is killed: five times that),
InfluxDB 1.6, QuestDB 9.1 and Telegraf 1.37, each killed with -9 straight after its answer. QuestDB loses nothing then,
but by its default (`cairo.commit.mode=nosync`) it leaves to the system when a commit reaches the disk, so a power cut
costs what it took last; its port for lines does not tell when it began.
"""

from __future__ import annotations

from dataclasses import dataclass

from receiver.outputs.influx.line_group import GROUP_LINES

HOLD_S = 60.0
"""How long a line is kept that may be in a server's memory only [s]."""
MILLISECOND = 1_000_000
MICROSECOND = 1_000
"""[ns]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKind:
    """How one kind of server is to be treated."""

    name: str
    meaning: str
    """What its yes means, for the status."""
    tells_restarts: bool = False
    """It says when it began; where it does not, a failed connection may be a restart that lost what it had taken."""
    resolution_ns: int = 1
    """Times of a series that are equal by this are one row there [ns]."""
    request_lines: int = GROUP_LINES
    """Most lines of a request."""


INFLUXDB = ServerKind(name="influxdb", meaning="in its log", tells_restarts=True)
VICTORIA = ServerKind(name="victoria-metrics", meaning="in memory", resolution_ns=MILLISECOND)
QUESTDB = ServerKind(
    name="questdb",
    meaning="in its log",
    resolution_ns=MICROSECOND,
    request_lines=4
    * GROUP_LINES,  # each is a transaction that it sorts into its table: a fifth less of its time, tried
)
TELEGRAF = ServerKind(name="telegraf", meaning="in memory")
UNKNOWN = ServerKind(name="unknown", meaning="unknown, taken as in memory", resolution_ns=MILLISECOND)

AUTO = "auto"
"""Found out by asking the server."""
KINDS = {one.name: one for one in (INFLUXDB, VICTORIA, QUESTDB, TELEGRAF)}
"""By the word of `server = ".."`."""


def named(name: object) -> ServerKind:
    """The kind of that name; UNKNOWN for any other."""
    return KINDS.get(str(name), UNKNOWN)
