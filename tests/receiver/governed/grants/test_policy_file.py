"""`access.toml` makes the built-in kinds of grant stricter, adds the site's own, and tells every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import ConfigError
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.policy_file import load
from receiver.governed.grants.preset import PRESETS
from receiver.governed.people.person import PersonRole

RIGHT = """
zone = "Europe/Berlin"
policy = "2026-10"
criteria = ["the unit has tripped"]
[ceiling]
"turbine-1" = "8h"
[[preset]]
name = "weekend"
longest = "48h"
seats = [["approver"], ["security"]]
[[preset]]
name = "tier-1"
longest = "2h"
notice = "48h"
seats = [["engineer"]]
[[group]]
name = "vibration"
asset = "turbine-1"
tags = ["vib-x", "vib-y"]
"""


def test_without_a_file_the_built_in_kinds_stand(tmp_path: Path) -> None:
    """Nothing has to be written for the safe rules."""
    assert load(tmp_path) == AccessPolicy()


def test_a_policy_is_read_whole(tmp_path: Path) -> None:
    """Zone, ceilings, kinds and groups."""
    (tmp_path / "access.toml").write_text(RIGHT)
    policy = load(tmp_path)
    assert (policy.zone, policy.text_version, policy.criteria) == (
        "Europe/Berlin",
        "2026-10",
        ("the unit has tripped",),
    )
    assert policy.presets.keys() == {*PRESETS, "weekend"}
    assert policy.presets["weekend"].seats == (frozenset({PersonRole.APPROVER}), frozenset({PersonRole.SECURITY}))
    group = policy.groups["vibration"]
    assert (group.assets, len(group.tags)) == (frozenset({"turbine-1"}), 2)
    assert policy.longest_s(policy.presets["weekend"], group) == 8 * 3600.0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"Europe/Berlin"', '"Berlin"', "zone: .*no time zone"),
        ('policy = "2026-10"', 'polcy = "2026-10"', "did you mean policy"),
        ('["the unit has tripped"]', "[]", "criteria: .*at least 1"),
        ('"8h"', "8", "ceiling.turbine-1: 8 has no quotes"),
        ('"8h"', '"8 hours"', "ceiling.turbine-1: .*not a duration"),
        ('longest = "48h"', 'longest = "91d"', "longer than 90 days"),
        ('["approver"], ["security"]', '["boss"]', "'boss' decides on no request"),
        ('["approver"], ["security"]', "", "a list of lists"),
        ('longest = "2h"', 'longest = "5h"', r"preset\[1\].longest: looser"),
        ('notice = "48h"', 'notice = "1h"', r"preset\[1\].notice: looser"),
        ('[["engineer"]]', '[["engineer", "sponsor"]]', r"preset\[1\].seats: looser"),
        ('name = "weekend"', 'name = "break-glass"', "shorten it by a ceiling"),
        ('name = "weekend"', 'name = "tier-1"', "is there already"),
        ('asset = "turbine-1"\n', "", r"group\[0\].asset: missing"),
        ('tags = ["vib-x", "vib-y"]', 'tags = "vib-x"', r"group\[0\].tags: .*no list"),
    ],
)
def test_a_mistake_says_what_where_and_the_next_step(old: str, new: str, says: str, tmp_path: Path) -> None:
    """Nothing looser than the built-in rules goes under their names."""
    assert RIGHT.count(old) >= 1
    (tmp_path / "access.toml").write_text(RIGHT.replace(old, new, 1))
    with pytest.raises(ConfigError, match=says) as caught:
        load(tmp_path)
    assert "--check" in caught.value.hint


@pytest.mark.parametrize("name", ["tier-2", "tier-3"])
def test_no_built_in_kind_loses_its_rules(name: str, tmp_path: Path) -> None:
    """A shorter tier that forgets the visit, the review or the telling of security is refused."""
    (tmp_path / "access.toml").write_text(
        f'[[preset]]\nname = "{name}"\nlongest = "1h"\nseats = [["engineer"], ["approver"]]\n'
    )
    with pytest.raises(ConfigError, match="looser than the built-in"):
        load(tmp_path)
