"""The counts of every asset: read, sent, published, healed, lost; in all and per minute.

A TALLY states what the sender had read and sent when its block N was made. What was lost up to there is `sent` less
the rows stored from blocks numbered up to N (`covered`). Blocks come before their tally and out of order, so rows of
blocks above the newest tally are kept apart by block number (the tail) until a tally covers them; a healed block below
it counts as covered at once. `published` counts every stored row, `healed` those whose block had been missing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from receiver.outputs.base import TallyBody
from receiver.outputs.disk import Connection, Writes

MINUTE_NS = 60_000_000_000

_ACCOUNT = "REPLACE INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_MINUTE = """INSERT INTO minute (minute_ns, asset, published, healed) VALUES (?, ?, ?, ?)
    ON CONFLICT (minute_ns, asset) DO UPDATE SET
    published = published + excluded.published, healed = healed + excluded.healed"""
_TALLY = "INSERT OR IGNORE INTO tally (stream, asset, number, time_ns, read, sent) VALUES (?, ?, ?, ?, ?, ?)"
_TAIL = "INSERT INTO tail (stream, top, body) VALUES (?, ?, ?)"
_CUT = "DELETE FROM tail WHERE stream = ? AND top <= ?"


@dataclass(slots=True)
class Sum:
    """One asset in one stream."""

    published: int = 0
    healed: int = 0
    top: int = -1
    """Block number of the newest tally."""
    read: int = 0
    sent: int = 0
    covered: int = 0
    """Rows stored from blocks up to `top`."""
    tail: dict[int, int] = field(default_factory=dict)
    """Rows stored from each block above `top`."""


class AssetAccounts:
    """All sums, in memory as in the file."""

    def __init__(self, connection: Connection) -> None:
        self._sums: defaultdict[int, dict[int, Sum]] = defaultdict(dict)
        self._fresh: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        self._touched: set[tuple[int, int]] = set()
        self._minutes: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.minutes: set[tuple[int, int]] = set()
        """(minute_ns, asset) of the minutes that changed; whoever copies them empties it."""
        for stream, asset, published, healed, top, read, sent, covered in connection.execute(
            "SELECT stream, asset, published, healed, top, read, sent, covered FROM account"
        ):
            self._sums[stream][asset] = Sum(published, healed, top, read, sent, covered)
        for stream, body in connection.execute("SELECT stream, body FROM tail"):
            for number, asset, rows in np.frombuffer(body, "<i8").reshape(-1, 3).tolist():
                account = self._sums[stream].setdefault(asset, Sum())
                if number > account.top:
                    account.tail[number] = account.tail.get(number, 0) + rows

    def stored(self, stream: int, number: int, asset: int, rows: int, *, minute_ns: int, healed: bool) -> None:
        """Count the rows of one asset stored from block `number`.

        Args:
            minute_ns: Begin of the minute the block belongs to.
            healed: The block was completed after having been missing.
        """
        account = self._sums[stream].setdefault(asset, Sum())
        account.published += rows
        account.healed += rows if healed else 0
        if number <= account.top:
            account.covered += rows
        else:
            account.tail[number] = account.tail.get(number, 0) + rows
            self._fresh[stream].append((number, asset, rows))
        minute = self._minutes[minute_ns, asset]
        minute[0] += rows
        minute[1] += rows if healed else 0
        self._touched.add((stream, asset))

    def tally(self, stream: int, body: TallyBody, assets: dict[str, int], writes: Writes) -> None:
        """Take in a tally; an older one than the newest is kept for the minutes only.

        Args:
            assets: Asset numbers by the tally's names.
        """
        accounts = self._sums[stream]
        for name, (read, sent) in body.assets.items():
            asset = assets[name]
            writes.add(_TALLY, [(stream, asset, body.number, body.time_ns, read, sent)])
            one = accounts.setdefault(asset, Sum())
            if body.number <= one.top:
                continue
            below = [number for number in one.tail if number <= body.number]
            covered = sum(one.tail.pop(number) for number in below)
            one.top, one.read, one.sent = body.number, read, sent
            one.covered += covered
            self._touched.add((stream, asset))
        if accounts:
            writes.add(_CUT, [(stream, min(one.top for one in accounts.values()))])

    def finish(self, writes: Writes) -> None:
        """Write down what this hand-over changed; call once at its end."""
        for stream, triples in self._fresh.items():
            left = [one for one in triples if one[0] > self._sums[stream][one[1]].top]
            if left:
                body = np.array(left, "<i8").tobytes()
                writes.add(_TAIL, [(stream, max(number for number, _, _ in left), body)])
        writes.add(_MINUTE, [(*key, *counts) for key, counts in self._minutes.items()])
        self.minutes.update(self._minutes)
        touched = [(stream, asset, self._sums[stream][asset]) for stream, asset in sorted(self._touched)]
        writes.add(
            _ACCOUNT,
            [(stream, asset, s.published, s.healed, s.top, s.read, s.sent, s.covered) for stream, asset, s in touched],
        )
        self._fresh.clear()
        self._minutes.clear()
        self._touched.clear()

    def totals(self) -> dict[int, dict[str, int]]:
        """By asset number, summed over streams: read, sent, published, healed, lost."""
        out: dict[int, dict[str, int]] = {}
        for accounts in self._sums.values():
            for asset, account in accounts.items():
                sums = out.setdefault(asset, dict.fromkeys(("read", "sent", "published", "healed", "lost"), 0))
                sums["read"] += account.read
                sums["sent"] += account.sent
                sums["published"] += account.published
                sums["healed"] += account.healed
                sums["lost"] += max(account.sent - account.covered, 0)
        return out
