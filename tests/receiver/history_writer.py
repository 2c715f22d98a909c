"""Writes a known history until it is killed; run as a program: `history_writer.py FOLDER BLOCKS`.

Block n holds 4 to 40 rows made from n alone. Each hand-over is one to three blocks and its place is the next block's
number; after each, that number is printed, so that whoever kills this knows what was promised.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from history_blocks import SECOND, SMALL, T0, TAGS, batch, block, some_value, stream

from protocol.content.sample import Row
from receiver.outputs.base import OpenedBlock
from receiver.outputs.historian.output import HistorianOutput


def made(number: int) -> OpenedBlock:
    """Block `number`, always the same."""
    chance = random.Random(number)
    at = T0 + number * SECOND
    tags = [chance.randrange(len(TAGS)) for _ in range(chance.randrange(4, 40))]
    rows = [Row(tag, at + place, some_value(chance, tag)) for place, tag in enumerate(tags)]
    return block(stream(), number, batch(rows))


def say(what: str, number: int) -> None:
    """One line to whoever started this, at once."""
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


def main(folder: Path, blocks: int) -> None:
    for (module, name), value in SMALL.items():
        setattr(module, name, value)
    output = HistorianOutput(folder)
    number = int(output.place() or b"0")
    say("ready", number)
    while number < blocks:
        after = min(number + 1 + number % 3, blocks)
        output.take([made(one) for one in range(number, after)], b"%d" % after)
        number = after
        say("stored", number)
    output.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
