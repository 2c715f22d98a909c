"""The shell around `preflight`: look at the kernel, judge, and refuse or go on.

Called before anything is opened and before confinement; the two processes at the link do not load it.
"""

from __future__ import annotations

from oneway.preflight import Finding, Policy, PreflightOutcome, decide, high, loopback, low
from oneway.readings import read
from oneway.recipe import Side


def enter(side: Side, host: str, policy: Policy, mtu: int | None = None) -> PreflightOutcome:
    """Look at the interface that carries the link.

    Args:
        side: Which end this is.
        host: High: the receiver's IPv4 address. Low: the one that is listened on.
        policy: What a fault does.
        mtu: High: largest packet that will be sent [bytes].

    Raises:
        ConfigError: a fault, and the policy is to refuse.
    """
    if loopback(host):
        return PreflightOutcome(policy="loopback")
    return decide(findings(side, host, mtu), policy, side)


def findings(side: Side, host: str, mtu: int | None = None) -> list[Finding]:
    """What is wrong with it, and what could not be seen."""
    return high(read(), host, mtu) if side == Side.HIGH else low(read(), host)
