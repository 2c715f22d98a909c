r"""`NUMBER.checkvalve-recommendation`: a proposal as a file that a person carries in, signed by the low side.

    # Checkvalve recommendation, version 1. A proposal to people: nothing in it is executed.
    number = "rec-3k5q7a2m"
    site = "north-plant"
    ..
    what = [
      "Lower the speed limit.",
    ]
    [[value]] ..   [[attachment]] ..

    (em dash) checkvalve/recommendation SIGNATURE

TOML under a C2SP signed note (protocol/evidence.py), so that any text editor shows it and other programs verify it. The
signature is looked at before anything is parsed. After that the text must be, byte for byte, the one that its content
gives (`text_of`): so there is no remark, no second spelling and no hidden or turning letter in it, and what an editor
shows is what the command shows. Which letters are shown as they are goes by Unicode 3.2, which never changes: the two
sides may run different Pythons.

A signature says that this site's low side let it out; it does not say that the proposal is good, and not who wrote it
but through that. Pure.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.errors import CheckvalveError, FrameError, Reason
from protocol.evidence import open_note, sign_note
from protocol.keys import PrivateKey, PublicKey
from protocol.recommendation.proposal import Attachment, Proposal, ProposedValue, plain

SUFFIX = ".checkvalve-recommendation"
LARGEST = 2 * 1024 * 1024
"""Largest file that is read [bytes]: all texts of the largest proposal, each letter an escape."""
NUMBER = 40
"""Longest number [characters]: `rec-` and eight."""
KEY = "recommend"
"""Kind of the key that signs (protocol/keys.py)."""

_SIGNER = "checkvalve/recommendation"
_HEAD = "# Checkvalve recommendation, version 1. A proposal to people: nothing in it is executed."
_SHOWN = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"))
_SHOWN |= frozenset(("Sm", "Sc", "Sk", "So"))
_END = re.compile(rf"\u2014 {_SIGNER} [A-Za-z0-9+/]{{91}}=\n")
"""One signature line: 68 bytes in base64, and nothing else."""
_BLANK = frozenset("\u00ad\u115f\u1160\u2800\u3164\uffa0")
"""Letters, symbols or dashes to Unicode 3.2, nothing to the eye."""
_SHORT = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecommendationError(CheckvalveError):
    """A file that is not to be believed; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedRecommendation:
    """What stands in the file. Times are of the low side's clock, whole seconds [ns since 1970 UTC]."""

    number: str
    proposal: Proposal
    by: str
    """Name of the person who proposes it."""
    employer: str
    """Theirs; empty: of the site itself."""
    made_ns: int
    released_by: str
    """Name of the plant engineer who let it be carried in."""
    released_why: str
    released_ns: int
    expires_ns: int
    """From then on it is not accepted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFile:
    """A file that is to be believed."""

    carried: CarriedRecommendation
    digest: str
    """SHA-256 of the file, in hex."""
    key: PublicKey
    """Which key signed it."""


def text_of(carried: CarriedRecommendation) -> str:
    """The text that is signed.

    Raises:
        ValueError: what it may not be, in words.
    """
    proposal = carried.proposal
    if faults := list(_faults(carried)):
        raise ValueError("; ".join(faults))
    lines = [_HEAD]
    lines += [_line("number", carried.number), _line("site", proposal.site), _line("asset", proposal.asset)]
    lines += [_line("by", carried.by), _line("employer", carried.employer), f"made = {moment(carried.made_ns)}"]
    lines += [_line("released_by", carried.released_by), _line("released_why", carried.released_why)]
    lines += [f"released = {moment(carried.released_ns)}", f"expires = {moment(carried.expires_ns)}"]
    lines += [*_several("what", proposal.what), *_several("why", proposal.why)]
    for value in proposal.values:
        lines += ["", "[[value]]", _line("name", value.name), _line("now", value.now)]
        lines += [_line("proposed", value.proposed)]
    for one in proposal.attachments:
        lines += ["", "[[attachment]]", _line("name", one.name), *_several("text", one.text)]
    return "\n".join(lines) + "\n"


def signed(carried: CarriedRecommendation, key: PrivateKey) -> bytes:
    """The file.

    Raises:
        ValueError: as `text_of`.
    """
    return sign_note(text_of(carried), _SIGNER, key).encode()


def opened(data: bytes, keys: Sequence[PublicKey]) -> OpenedFile:
    """What stands in a file that one of these keys signed.

    Args:
        data: The file, whatever it holds.
        keys: Of the kind `recommend`.

    Raises:
        RecommendationError: it is none, or not to be believed.
    """
    if len(data) > LARGEST:
        raise RecommendationError(f"{len(data):,} bytes; {LARGEST:,} is the most of a recommendation")
    text, key = _verified(data, keys)
    try:
        carried = _read(tomllib.loads(text))
        same = text_of(carried) == text
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise RecommendationError(
            f"signed, but no recommendation that this version reads: {str(error)[:300]}"
        ) from None
    if not same:
        raise RecommendationError("signed, but it says more or other things than its content gives")
    return OpenedFile(carried=carried, digest=digest_of(data), key=key)


def digest_of(data: bytes) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(data).hexdigest()


def moment(time_ns: int) -> str:
    """A time as the file has it [ns since 1970 UTC]."""
    return (_EPOCH + timedelta(seconds=time_ns // 10**9)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _verified(data: bytes, keys: Sequence[PublicKey]) -> tuple[str, PublicKey]:
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise RecommendationError("no text, so no recommendation") from None
    if not note.startswith(_HEAD + "\n"):
        raise RecommendationError("it does not begin as a recommendation of this version does")
    if not _END.fullmatch(note.rpartition("\n\n")[2]):
        raise RecommendationError("it does not end with one signature")
    reason = Reason.SIGNATURE
    for key in keys:
        try:
            return open_note(note, _SIGNER, key), key
        except FrameError as error:
            reason = error.reason
    if reason is Reason.BODY:
        raise RecommendationError("it has no signature")
    raise RecommendationError("none of the keys in [recommendations] signed this text: it was changed, or is another's")


def _read(told: Mapping[str, Any]) -> CarriedRecommendation:
    proposal = Proposal(
        site=told["site"],
        asset=told["asset"],
        what=_joined(told["what"]),
        why=_joined(told["why"]),
        values=tuple(
            ProposedValue(name=one["name"], now=one["now"], proposed=one["proposed"]) for one in told.get("value", ())
        ),
        attachments=tuple(
            Attachment(name=one["name"], text=_joined(one["text"])) for one in told.get("attachment", ())
        ),
    )
    return CarriedRecommendation(
        number=told["number"],
        proposal=proposal,
        by=told["by"],
        employer=told["employer"],
        made_ns=_ns(told["made"]),
        released_by=told["released_by"],
        released_why=told["released_why"],
        released_ns=_ns(told["released"]),
        expires_ns=_ns(told["expires"]),
    )


def _faults(carried: CarriedRecommendation) -> list[str]:
    faults = list(carried.proposal.faults())
    if not 0 < len(carried.number) <= NUMBER or not carried.number.replace("-", "").isalnum():
        faults.append("its number is none")
    if not carried.number.isascii():
        faults.append("its number is not plain")
    for name, text, most in (
        ("who proposes it", carried.by, 200),
        ("the employer", carried.employer, 200),
        ("who released it", carried.released_by, 200),
        ("the reason of the release", carried.released_why, 2_000),
    ):
        if len(text) > most or text != plain(text) or (not text and name != "the employer"):
            faults.append(f"{name} is missing, or is not as it may be")
    if not carried.made_ns <= carried.released_ns < carried.expires_ns:
        faults.append("made, released, expires: these do not follow each other")
    return faults


def _joined(lines: object) -> str:
    if not isinstance(lines, list) or any("\n" in line for line in lines):
        raise TypeError("a list of lines is expected")
    return "\n".join(lines)


def _ns(given: object) -> int:
    if not isinstance(given, datetime) or given.utcoffset() != timedelta(0):
        raise TypeError("a time in UTC is expected")
    return (given - _EPOCH) // timedelta(seconds=1) * 10**9


def _several(name: str, text: str) -> list[str]:
    return [f"{name} = [", *(f"  {_quoted(line)}," for line in text.split("\n")), "]"]


def _line(name: str, text: str) -> str:
    return f"{name} = {_quoted(text)}"


def _quoted(text: str) -> str:
    return '"' + "".join(_spelled(letter) for letter in text) + '"'


def _spelled(letter: str) -> str:
    """Itself where every editor shows it, else its TOML escape."""
    if letter in _SHORT:
        return _SHORT[letter]
    if letter == " " or (unicodedata.ucd_3_2_0.category(letter) in _SHOWN and letter not in _BLANK):
        return letter
    code = ord(letter)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
