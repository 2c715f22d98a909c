"""The demo's counts, from what each process says of itself (product: counts of a run).

read        taken from the devices and due        poll
sent        committed to the spool                poll
received    in journaled blocks, opened           historian
published   committed to the history              historian
lost        sent and not received, at this moment
healed      received after having been missing    historian
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Told = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetCount:
    """One asset's samples."""

    read: int
    sent: int
    received: int
    published: int
    lost: int
    healed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSummary:
    """One moment of the whole path."""

    assets: dict[str, AssetCount]
    frames_sent: int
    frames_received: int
    loss: float
    """Share of frames that the link lost, 0 to 1."""
    blocks_sent: int
    blocks_repaired: int
    blocks_healed: int
    blocks_missing: int
    blocks_lost: int
    """Missing or expired."""
    p50_ms: float | None
    """Read to queryable [ms]."""
    p99_ms: float | None
    frames_back: int | None
    """Datagrams and ICMP errors that came from the low side; None while the relay has said nothing."""

    @property
    def published(self) -> int:
        """Samples in the history, all assets."""
        return sum(count.published for count in self.assets.values())

    def drained(self) -> bool:
        """Everything that was sent is in the history."""
        counts = self.assets.values()
        return bool(self.assets) and all(count.sent == count.received == count.published for count in counts)

    def to_json(self) -> dict[str, Any]:
        """As `demo --json` prints it."""
        return {
            "assets": {
                name: {key: getattr(count, key) for key in AssetCount.__slots__} for name, count in self.assets.items()
            },
            "link": {
                "frames_sent": self.frames_sent,
                "frames_received": self.frames_received,
                "loss": round(self.loss, 5),
                "blocks_sent": self.blocks_sent,
                "blocks_repaired": self.blocks_repaired,
                "blocks_healed": self.blocks_healed,
                "blocks_lost": self.blocks_lost,
            },
            "latency_ms": {"p50": self.p50_ms, "p99": self.p99_ms},
            "frames_back": self.frames_back,
        }


def gather(*, poll: Told, emit: Told, catch: Told, historian: Told, relay: Told) -> PathSummary:
    """One summary of the last status of each process; what is not there yet counts as nothing."""
    sent = (poll or {}).get("counts", {})
    arrived = (historian or {}).get("assets", {})
    blocks = (catch or {}).get("blocks", {})
    link = (catch or {}).get("link", {})
    latency = (historian or {}).get("latency_ms", {})
    return PathSummary(
        assets={name: _count(sent.get(name, {}), arrived.get(name, {})) for name in {**sent, **arrived}},
        frames_sent=int((emit or {}).get("frames_total", 0)),
        frames_received=int(link.get("frames_received", 0)),
        loss=float(link.get("loss_total", 0.0)),
        blocks_sent=int((poll or {}).get("number", 0)),
        blocks_repaired=int(blocks.get("repaired", 0)),
        blocks_healed=int(blocks.get("healed", 0)),
        blocks_missing=int(blocks.get("missing", 0)),
        blocks_lost=int(blocks.get("missing", 0)) + int(blocks.get("expired", 0)),
        p50_ms=latency.get("p50"),
        p99_ms=latency.get("p99"),
        frames_back=None if relay is None else int(relay.get("frames_back", 0)),
    )


def _count(sent: Mapping[str, Any], arrived: Mapping[str, Any]) -> AssetCount:
    received = int(arrived.get("received", 0))
    return AssetCount(
        read=int(sent.get("read", 0)),
        sent=int(sent.get("sent", 0)),
        received=received,
        published=int(arrived.get("published", 0)),
        lost=max(0, int(sent.get("sent", 0)) - received),
        healed=int(arrived.get("healed", 0)),
    )
