"""Each end's twin dies of each forbidden call, made by number; what the end needs goes on working."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from protocol.process import confine
from protocol.process.confine import Mode, Role

TWINS = """
import json, sys
from audit.machine import twins
from protocol.process.confine import Mode, Role
found = twins.run(Role(sys.argv[1]), Mode(sys.argv[2]))
print(json.dumps([[twin.call, twin.forbidden, twin.ended, twin.right] for twin in found]))
"""


def _twins(role: Role, mode: Mode) -> list[tuple[str, bool, str, bool]]:
    done = subprocess.run(
        [sys.executable, "-c", TWINS, role.value, mode.value], capture_output=True, text=True, check=True, timeout=60
    )
    return [tuple(one) for one in json.loads(done.stdout)]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("mode", [Mode.ON, Mode.STRICT])
def test_every_forbidden_call_ends_its_twin(role: Role, mode: Mode) -> None:
    """More than 35 calls an end; each dies by SIGSYS, each control lives."""
    why = confine.possible()
    if why is not None:
        pytest.skip(f"not confined here: {why}")
    found = _twins(role, mode)
    assert len([one for one in found if one[1]]) > 35
    assert [one for one in found if not one[3]] == []


@pytest.mark.parametrize("role", list(Role))
def test_without_the_filter_the_twins_live(role: Role) -> None:
    """The proof can fail: switched off, the forbidden calls do not end the twin."""
    found = _twins(role, Mode.OFF)
    assert not [one for one in found if one[2] == "SIGSYS"]
    assert len([one for one in found if one[1] and one[2] == "exit 0"]) > 20


def test_a_filter_has_the_shape_the_kernel_takes() -> None:
    """Whole instructions, below the kernel's limit of 4,096; another action changes every refusal."""
    for role in Role:
        for strict in (False, True):
            program = confine.filter_program(role, strict=strict)
            assert len(program) % 8 == 0
            assert len(program) // 8 < 4096
            assert confine.filter_program(role, strict=strict, action=0x00050001) != program


def test_switching_it_off_is_said_aloud() -> None:
    """`off` is in the text that every status shows."""
    told = confine.confine(Role.EMITTER, Mode.OFF)
    assert told.mode == "off"
    assert "NOT CONFINED" in told.text
