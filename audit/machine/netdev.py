"""The chains that stand at a network device, out of the text of `nft list ruleset`.

The text, since the JSON of nft 1.0.6 leaves the device of a chain out. A chain drops for sure where its policy is drop
and no rule of it accepts, jumps or goes elsewhere: then it matters to nobody what other chains say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(
    r"type filter hook (?P<hook>ingress|egress) (?:device|devices) ?=? ?(?P<devices>\{[^}]*\}|\S+) priority [^;]+;"
    r"(?: *policy (?P<policy>\w+);)?"
)
_LEAVES = ("accept", "jump ", "goto ", "vmap", "queue", "fwd ", "return")
"""Words of a rule by which a frame may pass, or that this reading does not follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetdevChain:
    """One chain at one device."""

    hook: str
    """`ingress` or `egress`."""
    policy: str
    rules: tuple[str, ...]

    @property
    def passing(self) -> tuple[str, ...]:
        """Rules that may let a frame pass."""
        return tuple(rule for rule in self.rules if any(word in f"{rule} " for word in _LEAVES))

    @property
    def drops_all(self) -> bool:
        """Whether the chain drops every frame: its policy is drop and no rule lets one pass."""
        return self.policy == "drop" and not self.passing

    def __str__(self) -> str:
        passing = f", and lets pass: {'; '.join(self.passing)}" if self.passing else ""
        return f"{self.hook} hook, policy {self.policy}{passing}"


def chains(listing: str, device: str) -> list[NetdevChain]:
    """The chains at a device, in the order of the listing."""
    out = []
    for start in re.finditer(r"\bchain \S+ \{", listing):
        body = _body(listing, start.end())
        head = _HEAD.search(body)
        if head is None or device not in re.findall(r'[^\s"{},=]+', head["devices"]):
            continue
        rules = [line.strip() for line in body[head.end() :].splitlines() if line.strip()]
        out.append(NetdevChain(hook=head["hook"], policy=head["policy"] or "accept", rules=tuple(rules)))
    return out


def counters(listing: str) -> dict[str, int]:
    """Named counters and the packets they counted."""
    return {name: int(count) for name, count in re.findall(r"counter (\w+) \{\s*packets (\d+)", listing)}


def _body(text: str, start: int) -> str:
    """Up to the brace that closes; sets within a rule have braces of their own."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]
