"""The servers that take line protocol, and what each one's yes means (pure).

| kind | its 204 means | kept to send again | sent again | equal times are told apart |
|---|---|---|---|---|
| `influxdb` (1.x, 2.x, 3) | in its log | 60 s | after a restart | within 1 ns |
| `victoria-metrics` | in memory | 60 s | after a restart or a failed connection | within 1 ms |
| `questdb` | committed | nothing | never | within 1 us |
| `telegraf` | in memory | 60 s | after a failed connection | within 1 ns |
| any other | nobody knows: as in memory | 60 s | after a restart or a failed connection | within 1 ms |

Measured with VictoriaMetrics 1.79 (it loses what it took in the last 8 to 12 s when it is killed: five times that),
InfluxDB 1.6, QuestDB 9.1 and Telegraf 1.37, each killed with -9 straight after its answer.
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
    hold_s: float = HOLD_S
    in_memory: bool = True
    """A failed connection may be a restart, and then it has lost what it had taken."""
    resolution_ns: int = 1
    """Times of a series that are equal by this are one row there [ns]."""
    request_lines: int = GROUP_LINES
    """Most lines of a request."""


INFLUXDB = ServerKind(name="influxdb", meaning="in its log", in_memory=False)
VICTORIA = ServerKind(name="victoria-metrics", meaning="in memory", resolution_ns=MILLISECOND)
QUESTDB = ServerKind(
    name="questdb",
    meaning="committed",
    hold_s=0.0,
    in_memory=False,
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
