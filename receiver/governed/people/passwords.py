"""Passwords: argon2id with the library's defaults, and what a password must be.

The defaults of argon2-cffi are the second choice of RFC 9106, 4 (64 MiB, 3 passes, 4 lanes), above the least that OWASP
asks for (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane). A check is 0.19 s of processor time, measured on an
AMD EPYC, where that least is 0.02 s; with two idle cores it takes half as long, on a busy machine longer.

A check costs the same whether the login is known or not: where there is no hash, one of nobody's is checked. No rule
asks for signs of certain kinds (SP 800-63B, 3.1.1.2): length alone, and that it is not the person's own name.
"""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 128
"""Of a password [characters]."""

DIFFERENT = 5
"""Signs that must be in it."""


class Passwords:
    """Makes and checks hashes. Slow on purpose (some 0.2 s of a processor): call it in a thread."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """
        Args:
            hasher: Of another cost than the library's defaults.
        """
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """As it is kept."""
        return self._hasher.hash(password)

    def fits(self, kept: str | None, password: str) -> bool:
        """Whether it is the password; False for None, as slowly."""
        try:
            return self._hasher.verify(kept or self._nobody, password[: LONGEST + 1]) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def refusal(password: str, login: str, name: str) -> str:
    """Why it is no password for this person; empty where it is one."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters; a sentence is a good one"
    if len(set(password)) < DIFFERENT:
        return f"it has fewer than {DIFFERENT} different signs"
    told = password.lower()
    own = [word for word in (login.partition("@")[0], *name.lower().split()) if len(word) > 3]
    if any(word in told and len(told) - len(word) < SHORTEST - 4 for word in own):
        return "it is little more than the name or the login"
    return ""
