"""What `checkvalve recommendation` does at the low side: shows, takes answers on record, writes the file to carry."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from protocol import keys
from protocol.errors import ConfigError
from protocol.inert import CELL, inert
from protocol.recommendation.carried_file import KEY, SUFFIX, digest_of, moment, signed
from protocol.recommendation.sheet import sheet
from protocol.store import statefile
from receiver.commands.people_work import typist
from receiver.config import ReceiverConfig, load
from receiver.governed.authority import Authority
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.open_authority import open_authority, running_ns
from receiver.governed.recommendations import recommending
from receiver.governed.recommendations.listening import take_answers
from receiver.governed.recommendations.outcomes import RecommendationOutcome, outcomes
from receiver.governed.recommendations.vendor_recommendation import VendorRecommendation
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope


def looked(file: Path, number: str | None) -> list[RecommendationOutcome]:
    """All recommendations, newest first, or one; answers that came since are on record on return.

    Args:
        file: receiver.toml.
        number: Of one; None: all.

    Raises:
        ConfigError: there is none of that number.
        StoreError, TrailError: the history or the trail cannot be read or written.
    """
    with _opened(file) as (config, authority):
        door = Door(config.state / "history", Scope())
        try:
            found = take_answers(authority, door)
        finally:
            door.close()
        told = outcomes(authority.recommendations, found, authority.now)
        if number is not None:
            told = [one for one in told if one.recommendation.key == _known(authority, number).key]
        return told


def export(file: Path, number: str, folder: Path, key_folder: Path) -> list[Path]:
    """Sign the file of a recommendation, note it in the trail, and write it with its page.

    Args:
        file: receiver.toml.
        number: Of the recommendation.
        folder: Where to: a stick.
        key_folder: Of `recommend.key`, or that file.

    Returns:
        The file, and the page to print.

    Raises:
        ConfigError: it is not released, there is no such key, or the folder cannot be written.
        TrailError: the trail cannot be written; no file is then.
    """
    key = keys.load(key_folder.parent if key_folder.name == f"{KEY}.key" else key_folder, KEY)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", hint="name the folder that the file is to be written into")
    with _opened(file) as (_, authority):
        one = _known(authority, number)
        try:
            carried = one.to_carry()
            data = signed(carried, key)
            digest = digest_of(data)
            by = f"command:{typist()}"
            authority.act(
                lambda people, grants, now: recommending.carry(
                    authority.recommendations, number, by, now, sha256=digest, signer=key.public.id.hex()
                )
            )
        except (RuleRefusal, ValueError) as error:
            raise ConfigError(f"{number}: {error}", hint="the plant engineer releases it, in the portal") from None
    page = sheet(carried, digest)
    paths = [folder / f"{number}{SUFFIX}", folder / f"{number}.txt"]
    try:
        for path, content in zip(paths, (data, page.encode()), strict=True):
            statefile.write(path, content, 0o644)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", hint="nothing was carried; write it again elsewhere") from None
    return paths


def lines(told: Sequence[RecommendationOutcome], *, whole: bool) -> Iterator[str]:
    """For people.

    Args:
        whole: With all that was proposed.
    """
    if not told:
        yield "nothing was recommended yet"
    for one in told:
        of = one.recommendation
        asset, employer = inert(of.proposal.asset, CELL), inert(of.employer, CELL) or "the site"
        first = inert(of.proposal.what.split("\n")[0], CELL)
        yield f"{of.key}  {moment(of.made_ns)}  {asset}, by {inert(of.name, CELL)} of {employer}: {one.state.value}"
        yield f"  {first}"
        if one.answer is not None:
            yield f"  {one.answer.word} on {moment(one.answer.time_ns)}: {inert(one.answer.why)}"
        yield from (f"  note: {note}" for note in one.notes)
        if whole:
            yield from _whole(of)


def as_json(one: RecommendationOutcome) -> dict[str, Any]:
    """For programs."""
    of, answer = one.recommendation, one.answer
    return {
        "number": of.key,
        "state": one.state.value,
        "site": of.proposal.site,
        "asset": of.proposal.asset,
        "what": of.proposal.what,
        "why": of.proposal.why,
        "values": [[value.name, value.now, value.proposed] for value in of.proposal.values],
        "attachments": [attached.name for attached in of.proposal.attachments],
        "by": of.name,
        "employer": of.employer,
        "made": moment(of.made_ns),
        "expires": moment(of.release.expires_ns) if of.release else None,
        "sha256": [carried.sha256 for carried in of.carried],
        "answer": None if answer is None else {"accepted": answer.accepted, "why": answer.why, "ns": answer.time_ns},
        "notes": list(one.notes),
    }


def _whole(of: VendorRecommendation) -> Iterator[str]:
    for name, text in (("what", of.proposal.what), ("why", of.proposal.why)):
        yield f"{name}:"
        yield from (f"  | {inert(line)}" for line in text.split("\n"))
    for value in of.proposal.values:
        now = inert(value.now, CELL) or "not said"
        yield f"value {inert(value.name, CELL)}: {now} -> {inert(value.proposed, CELL)}"
    for attached in of.proposal.attachments:
        yield f"attached: {inert(attached.name)}, {len(attached.text):,} characters"
    if of.release is not None:
        name, until = inert(of.release.name, CELL), moment(of.release.expires_ns)
        yield f"released by {name} until {until}: {inert(of.release.why)}"
    for carried in of.carried:
        yield f"written to be carried on {moment(carried.at_ns)} by {inert(carried.by, CELL)}: SHA-256 {carried.sha256}"
    if of.dropped is not None:
        yield f"{of.dropped.state.value} on {moment(of.dropped.at_ns)}: {inert(of.dropped.why)}"


def _known(authority: Authority, number: str) -> VendorRecommendation:
    one = authority.recommendations.get(number)
    if one is None:
        hint = "checkvalve recommendation receiver.toml lists them"
        raise ConfigError(f"{number}: there is no such recommendation", hint=hint)
    return one


@contextmanager
def _opened(file: Path) -> Iterator[tuple[ReceiverConfig, Authority]]:
    config = load(file)
    config.state.mkdir(parents=True, exist_ok=True)
    authority = open_authority(config.path.parent, config.state)
    try:
        authority.tick(time.time_ns(), running_ns())
        yield config, authority
    finally:
        authority.trail.close()
