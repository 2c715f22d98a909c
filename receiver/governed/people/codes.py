"""Time-based codes (RFC 6238): six digits, 30 s a step, one step early or late, each used once."""

from __future__ import annotations

import io

import pyotp
import segno

STEP_S = 30

AROUND = 1
"""Steps before and after the present one of which a code is taken: clocks of phones are half a minute apart."""


def new_seed() -> str:
    """160 bits, base32."""
    return pyotp.random_base32()


def step_of(seed: str, code: str, wall_ns: int) -> int | None:
    """The step of which this is the code; None where it is none of those around now.

    Args:
        seed: Base32.
        code: As it was typed; spaces are passed over.
        wall_ns: The wall clock: the phone has nothing else [ns since 1970 UTC].
    """
    typed = "".join(code.split())
    made, now = pyotp.TOTP(seed), wall_ns // (STEP_S * 10**9)
    found = None
    for step in range(now - AROUND, now + AROUND + 1):
        if pyotp.utils.strings_equal(made.generate_otp(max(step, 0)), typed) and found is None:
            found = step
    return found


def address(seed: str, login: str, site: str) -> str:
    """What a phone reads (`otpauth:`)."""
    return pyotp.TOTP(seed).provisioning_uri(name=login, issuer_name=f"Checkvalve {site}".strip())


def picture(text: str) -> str:
    """A QR code as SVG without styles, black on white whatever the page's colours are."""
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="svg", scale=4, border=4, xmldecl=False, svgns=True, light="white")
    return out.getvalue().decode().strip()
