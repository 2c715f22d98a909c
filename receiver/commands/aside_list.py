"""`checkvalve aside`: what an output has set aside, and a wish that is left for its process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from protocol.errors import ConfigError, StoreError
from receiver.config import ReceiverConfig
from receiver.outputs import registry
from receiver.outputs.aside import AsideWish, SetAside, ask

WORDS = 200
"""Most of a line's words and of an example that is shown [characters]."""


def listed(config: ReceiverConfig, name: str) -> Sequence[SetAside]:
    """What the output of that name has set aside, oldest first.

    Raises:
        ConfigError: there is no such output.
        StoreError: its store cannot be read.
    """
    for table in config.outputs:
        if table.name == name:
            try:
                return registry.load(table.kind).set_aside(table, config.state)
            except (sqlite3.Error, ValueError) as error:
                raise StoreError(f"what {name} has set aside cannot be read: {error}") from error
    names = ", ".join(one.name for one in config.outputs) or "none"
    raise ConfigError(f"{config.path} has no output {name!r}", hint=f"one of: {names}")


def lines(groups: Sequence[SetAside], moment: Callable[[int], str]) -> Iterator[str]:
    """For people."""
    if not groups:
        yield "nothing is set aside"
        return
    total = sum(one.samples for one in groups)
    yield f"{total} samples in {len(groups)} groups; `resend` sends them again, `drop` forgets them"
    for one in groups:
        yield f"{one.number}: {moment(one.time_ns)}, {one.samples} samples: {one.why}; it said: {one.message[:WORDS]}"
        yield f"    {one.example[:WORDS]}"


def asked(config: ReceiverConfig, name: str, wish: AsideWish) -> str:
    """Leave the wish; returns what to tell.

    Raises:
        ConfigError: there is no such output.
        StoreError: its store cannot be read.
    """
    groups = listed(config, name)
    if not groups:
        return "nothing is set aside"
    ask(config.state, name, wish, groups[-1].number)
    total = sum(one.samples for one in groups)
    what = "sends them again, after what is new" if wish is AsideWish.RESEND else "drops them"
    return f"{total} samples: the output {what}, within seconds while it runs, else at its start"
