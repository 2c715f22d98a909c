"""`checkvalve recommendation`: a file that a person carried in is verified, shown, and accepted or rejected in words.

    recommendation sender.toml                                  what was decided, newest first
    recommendation sender.toml FILE                             verified, and shown beside what the asset is now
    recommendation sender.toml FILE --accept --why TEXT         the decision is kept, and told to the low side
    recommendation sender.toml FILE --reject --why TEXT

Nothing is executed. Accepting writes one small file of words, `state/recommendations/NUMBER.json`, and poll makes an
event of it. Whoever accepts makes the change as every change is made here: by hand, at the machine or through
`checkvalve apply`. Texts of the file are another company's; every line of them is inert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocol import terminal
from protocol.content.answered import WHY
from protocol.errors import ConfigError
from protocol.keys import PublicKey, load_public
from protocol.process.document import to_json
from protocol.recommendation.carried_file import KEY, LARGEST, OpenedFile, opened
from protocol.recommendation.proposal import plain
from protocol.store import statefile
from sender.commands import recommendation_lines
from sender.commands.recommendation_lines import SeenFile
from sender.poll.config import SenderConfig
from sender.recommendations import answers
from sender.recommendations.answers import KeptAnswer
from sender.recommendations.objections import objections

SHORTEST_WHY = 10
"""Characters of a written reason at least."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationWish:
    """What was typed."""

    source: Path | None
    """The file; None: what was decided is listed."""
    accepted: bool | None = None
    """Yes or no; None: it is only shown."""
    why: str = ""
    by: str = ""
    as_json: bool = False


def run(config: SenderConfig, wish: RecommendationWish, *, wall_ns: int) -> None:
    """Do what was typed, and print it.

    Args:
        config: The high side's.
        wall_ns: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError, HeldError, RecommendationError, StoreError: as in `look` and `answer`.
    """
    say = terminal.complain
    if wish.source is None:
        told = listed(config, say, wall_ns=wall_ns)
        lines = [recommendation_lines.line_of(one) for one in told] or ["no recommendation was answered here yet"]
        document = {"answers": [to_json(one) for one in told]}
    elif wish.accepted is None:
        seen = look(config, wish.source, say, wall_ns=wall_ns)
        lines = list(recommendation_lines.shown(seen))
        document = recommendation_lines.as_json(seen)
    else:
        kept = answer(config, wish.source, say, accepted=wish.accepted, why=wish.why, by=wish.by, wall_ns=wall_ns)
        lines = [recommendation_lines.line_of(kept), "kept, and told to the low side; nothing was changed by it"]
        document = to_json(kept)
    if wish.as_json:
        terminal.data(document)
        return
    for line in lines:
        terminal.say(line)


def look(config: SenderConfig, source: Path, say: Say, *, wall_ns: int) -> SeenFile:
    """Verify a file.

    Args:
        config: The high side's.
        source: The file that was carried in.
        say: Told of what else is wrong.
        wall_ns: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: no key is named, or the file cannot be read.
        RecommendationError: it is not to be believed.
        StoreError: the disk does not give what was decided before.
    """
    found = opened(_read(source), _keys(config))
    proposal = found.carried.proposal
    before = answers.find(config.state, found.carried.number, say, wall_ns=wall_ns)
    named = {asset.table.name: asset for asset in config.assets}
    against = objections(found, site=config.site, assets=named, before=before, wall_ns=wall_ns)
    return SeenFile(opened=found, against=against, asset=named.get(proposal.asset))


def answer(
    config: SenderConfig, source: Path, say: Say, *, accepted: bool, why: str, by: str, wall_ns: int
) -> KeptAnswer:
    """Verify, and keep what a person decided.

    Args:
        accepted: Yes or no.
        why: The written reason; it crosses the link.
        by: Who decides; it does not.

    Raises:
        ConfigError: something stands against it, or the reason is missing; nothing is kept then.
        HeldError: somebody else decides at this moment.
        RecommendationError, StoreError: as in `look`.
    """
    why = " ".join(plain(why).split())
    if not SHORTEST_WHY <= len(why) <= WHY:
        hint = f"--why with {SHORTEST_WHY} to {WHY:,} characters; it is told to who proposed it"
        raise ConfigError("nothing was decided: a written reason is missing, or too long", hint=hint)
    try:
        with answers.alone(config.state):
            seen = look(config, source, say, wall_ns=wall_ns)
            against = [*seen.against.answering, *(seen.against.accepting if accepted else ())]
            if against:
                left = "" if seen.against.answering else "it can be rejected, with --reject --why"
                raise ConfigError(f"nothing was decided: {'; '.join(against)}", hint=left)
            kept = _answer_of(seen.opened, accepted=accepted, why=why, by=plain(by), wall_ns=wall_ns)
            answers.keep(config.state, kept)
    except OSError as error:
        hint = "run it as root, or as the user whose state folder it is"
        raise ConfigError(f"nothing was decided: {config.state}: {error.strerror}", hint=hint) from None
    return kept


def listed(config: SenderConfig, say: Say, *, wall_ns: int) -> list[KeptAnswer]:
    """What was decided, newest first.

    Raises:
        ConfigError: the folder cannot be read.
    """
    try:
        return answers.kept(config.state, say, wall_ns=wall_ns)[::-1]
    except OSError as error:
        raise ConfigError(f"{config.state}: {error.strerror}", hint="run it as root") from None


def _keys(config: SenderConfig) -> list[PublicKey]:
    if not config.recommendations.keys:
        hint = (
            "carry the public file of the low side's `checkvalve keys new recommend DIR` over, compare its fingerprint"
            ' by eye, and write [recommendations] keys = ["keys/low-recommend.pub"] into this file'
        )
        raise ConfigError(f"{config.path} names no key whose recommendations are believed", hint=hint)
    found = [key for path in config.recommendations.keys for key in load_public(path, KEY)]
    if not found:
        raise ConfigError(f"[recommendations] keys hold none of the kind {KEY}", hint="carry the low side's over")
    return found


def _read(source: Path) -> bytes:
    try:
        data = statefile.read(source, LARGEST)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{source}: {told}", hint="name the file that was carried in") from None
    if data is None:
        raise ConfigError(f"{source}: there is no such file", hint="name the file that was carried in")
    return data


def _answer_of(found: OpenedFile, *, accepted: bool, why: str, by: str, wall_ns: int) -> KeptAnswer:
    carried = found.carried
    return KeptAnswer(
        number=carried.number,
        site=carried.proposal.site,
        asset=carried.proposal.asset,
        what=carried.proposal.what.split("\n")[0],
        proposed_by=f"{carried.by}, {carried.employer}" if carried.employer else carried.by,
        accepted=accepted,
        why=why,
        by=by,
        time_ns=wall_ns,
        sha256=found.digest,
        key=found.key.id.hex(),
    )
