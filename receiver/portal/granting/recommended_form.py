"""What a reader filled in to recommend a change, read: an asset, texts, values a line each, texts that are attached.

pump speed: 1450 1/min -> 1380 1/min      what it is called, what it is thought to be, what it should be
lubricant: VG 68                          what it is thought to be is left out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from protocol.content.catalog import Asset
from protocol.recommendation.proposal import ATTACHMENTS, Attachment, Proposal, ProposedValue, plain
from receiver.portal.granting.asked_form import FormMistake

ATTACHED = tuple((f"attachment-{at}-name", f"attachment-{at}-text") for at in range(1, ATTACHMENTS + 1))
"""Name and text of each attachment; a text is pasted in, since nothing but text is carried."""

FIELDS = ("asset", "what", "why", "values", *(field for pair in ATTACHED for field in pair))

MOST_BYTES = 512 * 1024
"""Of the form [bytes]: its texts at their longest, each letter of a script that is sent as nine characters."""

DAYS = "30"
"""Until a released one expires, as the form begins."""

ARROWS = ("->", "\u2192")


def asset_key(asset: Asset) -> str:
    """What the form sends for an asset: two sites may have one of the same name, and a name may hold any letter."""
    return f"{quote(asset.site, safe='')}/{quote(asset.name, safe='')}"


def read(fields: Mapping[str, str], seen: Sequence[Asset]) -> Proposal:
    """A proposal from the fields of its form.

    Args:
        fields: `FIELDS`.
        seen: What the person may read now.

    Raises:
        FormMistake: A field cannot be read.
    """
    asset = next((one for one in seen if asset_key(one) == fields.get("asset")), None)
    if asset is None:
        raise FormMistake("the asset is not among what you may read now; choose anew")
    return Proposal(
        site=plain(asset.site),
        asset=asset.name,
        what=plain(fields.get("what", "")),
        why=plain(fields.get("why", "")),
        values=values(fields.get("values", "")),
        attachments=attachments(fields),
    )


def attachments(fields: Mapping[str, str]) -> tuple[Attachment, ...]:
    """Those that were filled in, in their order; a name is a name for people, never a path.

    Raises:
        FormMistake: One has no name or no text, or two have one name.
    """
    given = ((plain(fields.get(name, "")), plain(fields.get(text, ""))) for name, text in ATTACHED)
    found = tuple(Attachment(name=name, text=text) for name, text in given if name or text)
    for one in found:
        if not (one.name and one.text):
            raise FormMistake("an attachment has a name and a text; fill in what is missing, or take both out")
    if len({one.name for one in found}) < len(found):
        raise FormMistake("two attachments have one name; call each by its own")
    return found


def values(text: str) -> tuple[ProposedValue, ...]:
    """Values as they were typed, a line each.

    Raises:
        FormMistake: A line is none.
    """
    lines = enumerate(plain(text).split("\n"), 1)
    return tuple(_value(number, line) for number, line in lines if line.strip())


def days(text: str) -> int:
    """How long a released one holds [days].

    Raises:
        FormMistake: It is no number.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise FormMistake("the days until it expires are no whole number")
    return int(text)


def _value(number: int, line: str) -> ProposedValue:
    name, colon, rest = line.partition(": ")
    arrow = next((one for one in ARROWS if one in rest), ARROWS[0])
    now, found, proposed = rest.rpartition(arrow)
    if not (colon and name.strip() and proposed.strip()) or arrow in now:
        raise FormMistake(f"line {number} of the values is none; write it as NAME: NOW {ARROWS[0]} PROPOSED")
    return ProposedValue(name=name.strip(), now=now.strip() if found else "", proposed=proposed.strip())
