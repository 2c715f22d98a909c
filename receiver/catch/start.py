"""What catch sees to before it receives: its keys, and what people must know of how it begins.

It holds `catch.key`, which opens link keys and nothing else; `open.key` is never read here.
"""

from __future__ import annotations

from protocol import keys
from protocol.errors import ConfigError
from protocol.keys import PrivateKey, PublicKey
from protocol.process.confine import Confinement
from receiver.catch.store.journal import Journal
from receiver.settings import CatchConfig


def load_keys(config: CatchConfig) -> tuple[PrivateKey, list[PublicKey]]:
    """The catch key, and the link-sign keys that are believed.

    Raises:
        ConfigError: one that is missing or wrong.
    """
    publics = [key for path in config.keys.senders for key in keys.load_public(path)]
    signers = [key for key in publics if key.kind == "link-sign"]
    if not signers:
        raise ConfigError(
            "keys.senders: no link-sign key in them", hint="carry DIR.pub of `checkvalve keys new high DIR` over"
        )
    return keys.load(config.keys.own, "catch"), signers


def warnings(journal: Journal, confinement: Confinement, *, granted: int, asked: int) -> list[str]:
    """A line for each thing that is not as it should be, and stays so until the next start.

    Args:
        journal: As it was opened.
        confinement: What the kernel granted of it.
        granted: Receive buffer that the kernel gave [bytes].
        asked: Receive buffer that was wanted [bytes].
    """
    out = [] if confinement.mode in ("on", "strict") else [confinement.text]
    if granted < asked:
        out.append(
            f"the receive buffer is {granted >> 10} KiB of {asked >> 10} KiB asked: a pause may lose data. "
            f"sysctl -w net.core.rmem_max={asked}"
        )
    if journal.store.cut_bytes:
        out.append(f"a torn tail of {journal.store.cut_bytes} bytes was cut off the journal (a crash or a power cut)")
    if journal.ledger.remade:
        out.append(f"what was received of {len(journal.ledger.remade)} streams was made again from the leaves")
    if journal.ledger.doubled:
        out.append(f"{journal.ledger.doubled} blocks stand in the journal twice")
    return out
