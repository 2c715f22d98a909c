"""Do a recipe: each command, its exit status, and a look at the result. Stops at the first that fails."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable

from oneway.preflight import stacked
from oneway.readings import read
from oneway.recipe import Ground, SetupStep, Side, inside
from protocol.errors import ConfigError

PATIENCE = 60.0
"""Longest time for one command [s]."""


def apply(plan: Iterable[SetupStep], say: Callable[[str], None]) -> None:
    """Run the steps.

    Args:
        plan: As `recipe.steps` returns them.
        say: Takes one line a step.

    Raises:
        ConfigError: not root, a command that is not there, or one that failed; what came before it stays done.
    """
    if os.geteuid() != 0:
        raise ConfigError(
            "this needs root", hint="run it with sudo, or pipe what it prints without --apply into sudo sh"
        )
    for step in plan:
        words = shlex.join(step.argv)
        if step.unless and _run(step.unless, "").returncode == 0:
            say(f"  done already: {words}")
            continue
        done = _run(step.argv, step.stdin)
        if done.returncode:
            message = (done.stderr or done.stdout).strip() or "no message"
            text = f"{words}: exit {done.returncode}: {message}"
            raise ConfigError(text, hint="nothing after it was done; the interface may be down")
        say(f"  {words}")


def refuse_stacked(ground: Ground) -> None:
    """Look at the interface where it is now, before it is moved or changed.

    Raises:
        ConfigError: it speaks by another one, or another one by it.
    """
    readings = read()
    for one in readings.interfaces if readings is not None else ():
        if one.name == ground.interface and (found := stacked(one)):
            raise ConfigError(f"{found[0].text}; nothing was done", hint=found[0].fix)


def verify(ground: Ground) -> int:
    """Look at the result from inside of its namespace; prints what is wrong, returns 0 or 2."""
    host = ground.peer if ground.side == Side.HIGH else ground.address
    assert host is not None
    words = (sys.executable, "-P", "-m", "checkvalve", "setup", ground.side.value, "--verify", "--host", host)
    return subprocess.run(inside(ground.namespace, *words), timeout=PATIENCE, check=False).returncode


def _run(argv: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        needed = {"ip": "iproute2", "nft": "nftables", "sysctl": "procps"}.get(argv[0], argv[0])
        raise ConfigError(f"{argv[0]} is not installed", hint=f"apt-get install {needed}") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{shlex.join(argv)}: no end after {PATIENCE:g} s") from None
