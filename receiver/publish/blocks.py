"""From a block's body to what outputs are handed: each kind's content, checked (SPEC.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocol.block import BlockKind
from protocol.content import batch, catalog
from protocol.errors import FrameError, Reason
from protocol.limits import NAME_BYTES, TEXT_BYTES
from receiver.outputs.base import BOOTS, BatchBody, EventBody, OtherBody, StateBody, TallyBody

Body = BatchBody | catalog.Page | StateBody | EventBody | TallyBody | OtherBody


def content(kind: int, body: Mapping[str, Any]) -> Body:
    """The content of a block.

    Args:
        kind: `BlockKind` of `protocol/block.py`, or a number of a later version: then its body is passed on as it is.

    Raises:
        FrameError: (BODY) it is not what the kind promises.
    """
    try:
        if kind == BlockKind.BATCH:
            return BatchBody(
                columns=batch.from_wire(body["columns"]), first_ns=_int(body["first"]), last_ns=_int(body["last"])
            )
        if kind == BlockKind.CATALOG:
            return catalog.from_wire(body)
        if kind == BlockKind.STATE:
            return StateBody(
                asset=_text(body["asset"]),
                time_ns=_int(body["time"]),
                what=_text(body["what"]),
                text=_text(body["text"]),
            )
        if kind == BlockKind.EVENT:
            return _event(body)
        if kind == BlockKind.TALLY:
            return _tally(body)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FrameError(Reason.BODY, size=0) from error
    return OtherBody(kind=kind, body=dict(body))


def opening(body: Mapping[str, Any]) -> tuple[int, str]:
    """(boot, site) of an OPEN's body.

    Raises:
        FrameError: (BODY) it is not what the kind promises.
    """
    try:
        boot, site, previous = _int(body["boot"]), _text(body["site"]), body.get("previous")
        _int(body["time"])
        if not 0 <= boot < BOOTS or len(site.encode()) > NAME_BYTES:
            raise ValueError("a boot or a site out of range")
        if previous is not None:
            stream, last, _ = previous
            if type(stream) is not bytes or len(stream) != 8 or _int(last) < 0:
                raise ValueError("no stream before it")
    except (KeyError, TypeError, ValueError) as error:
        raise FrameError(Reason.BODY, size=0) from error
    return boot, site


def _event(body: Mapping[str, Any]) -> EventBody:
    return EventBody(
        asset=_text(body["asset"]),
        source=_text(body["source"]),
        time_ns=_int(body["time"]),
        severity=_int(body["severity"]),
        code=_text(body["code"]),
        text=_text(body["text"]),
        state=_text(body["state"]),
        sequence=_int(body["sequence"]),
    )


def _tally(body: Mapping[str, Any]) -> TallyBody:
    counts = {_text(asset): (_int(read), _int(sent)) for asset, (read, sent) in body["assets"].items()}
    return TallyBody(time_ns=_int(body["time"]), number=_int(body["number"]), assets=counts)


def _int(value: object) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise TypeError("not an integer")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_BYTES:
        raise TypeError("not a text")
    return value
