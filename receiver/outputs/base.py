"""The contract of an output: what it is handed, and what it must keep so that nothing is lost or doubled.

The opener (`receiver/publish/opener.py`) reads the journal, opens blocks and hands an output what it has opened, in
journal order, already cut to the output's scope. With each hand-over comes `place`: opaque bytes, at most some kB, that
say how far the journal was read and which blocks still wait (for an EPOCH or a CATALOG page). An output stores `place`
in the same transaction as the samples, in its own store. After a crash the opener starts from the stored place.

A block may come twice, with the same content: where the journal was lost, put back or put together anew it is read
again from its beginning, and where very many blocks waited a restart reads more of it again than was waiting. So an
output must be able to take a block again without harm: the historian and the line protocol know the numbers that came,
others send what their server knows again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Columns

if TYPE_CHECKING:
    from receiver.outputs.aside import SetAside
    from receiver.outputs.settings import OutputTable

BOOTS = 2**54
"""Start counters are below this; as microseconds since 1970 that is the year 2540."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDescription:
    """What is known of the stream a block belongs to, at the moment it was opened."""

    key: bytes
    """8 random bytes, drawn at each start of the packer."""
    boot: int
    """What orders streams, and with the block number samples (never a clock): the packer's start counter, plus `BOOTS`
    for each time that a person had lowered the floor (`accept --lower`) before the stream was first heard. So a sender
    whose disk was replaced, and whose clock is behind, comes after what it replaced. Below 2**62."""
    site: str
    assets: Mapping[str, Asset]
    tags: Mapping[int, Tag]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBody:
    """Content of a BATCH block; every id is described in `Opened.stream.tags`."""

    columns: Columns
    first_ns: int
    """When the first of its samples was taken, by the poller's clock [ns since 1970 UTC]."""
    last_ns: int
    """When the last was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBody:
    """Content of a STATE block: something about an asset, or about the sender itself."""

    asset: str
    """Empty where it concerns the sender."""
    time_ns: int
    what: str
    """`up`, `down`, `overrun`, `refused`, `configuration`, `note`."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    """Content of an EVENT block (alarm or sequence of events)."""

    asset: str
    source: str
    time_ns: int
    severity: int
    """1 to 1000 (OPC 10000-5, 6.4.2)."""
    code: str
    text: str
    state: str
    """`active`, `acked` or `cleared`; empty for what just happened and does not stand."""
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyBody:
    """Content of a TALLY block: what the sender had read and sent when block `number` was made."""

    time_ns: int
    number: int
    assets: Mapping[str, tuple[int, int]]
    """Asset name -> (read, sent), cumulative in this stream [samples]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherBody:
    """A block whose kind has no content for outputs (OPEN, EPOCH, HEAD, FILE part, a kind this build does not know)."""

    kind: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBlock:
    """One opened block."""

    stream: StreamDescription
    number: int
    healed: bool
    """It was completed after having been missing."""
    received_ns: int
    """When catch completed it, by the low side's clock [ns since 1970 UTC]."""
    body: BatchBody | Page | StateBody | EventBody | TallyBody | OtherBody


class Output(ABC):
    """One destination. Lives in a process of its own."""

    kind: ClassVar[str]
    """The word of `kind = ".."` and the name of its entry point."""
    table: ClassVar[type[OutputTable]]
    """Its settings: what all outputs have, and keys of its own."""

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Output:
        """The output of one `[[output]]`; it opens its store below `state` and connects to nothing yet.

        Args:
            table: Its settings, of the type `cls.table`; paths are absolute.
            state: The receiver's folder; what it makes there begins with `table.name`.
            wait: Pauses for so many seconds while the disk is full; may raise to give up.

        Raises:
            ConfigError: something that the settings name cannot be used: a file of a secret, an address.
            HeldError: another process has its store open.
            StoreError: its store cannot be read.
        """
        raise NotImplementedError(f"{cls.__name__} is not announced as an output")

    @classmethod
    def set_aside(cls, table: OutputTable, state: Path) -> Sequence[SetAside]:
        """What the output of one `[[output]]` has set aside, read beside the process that may be writing it.

        One that sets something aside looks for a person's wish in each step (`receiver/outputs/aside.py`).
        """
        return ()

    @abstractmethod
    def place(self) -> bytes | None:
        """The place stored last, None for a new store."""

    @abstractmethod
    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks' content and `place` durably, together. `blocks` may be empty (only the place moved)."""

    def wants(self) -> bool:
        """Whether `take` may be called now; False holds the journal's reader back, never other outputs."""
        return True

    def step(self, now: float) -> float:
        """Do what is due by time (send, retry, seal).

        Args:
            now: Monotonic time [s].

        Returns:
            How long until it wants to be called again at the latest [s].
        """
        return 3600.0

    def tidy(self) -> None:  # noqa: B027 most outputs keep nothing that grows old
        """Drop what is older than the settings keep; called every ten minutes."""

    def begun_again(self) -> bool:
        """Whether `place` went back by itself since this was asked last: what came after it is to be handed over anew.

        An output whose store was damaged begins again from what is sure; the journal is part of that.
        """
        return False

    @abstractmethod
    def status(self) -> Mapping[str, Any]:
        """Counters for `status-<output>.json`; plain JSON values, no secrets.

        `taken`, `acknowledged`, `held`, `aside`: counts of samples, as `receiver/status/publish.py` says; for the
        status command and the page. `trouble` says in words why it does not get on (its disk, its destination),
        and is empty where it does; `next_step` is what a person does about it. `behind_blocks` and `behind_s` are of
        what it has taken and its destination has not acknowledged; what is still in the journal is added to them.
        `warnings` and `alarms` are lists of lines for people, `alarm` is true where somebody should look at once: a
        trouble that lasts for a minute becomes one by itself.
        """

    @abstractmethod
    def close(self) -> None:
        """Flush and close; may be called twice."""
