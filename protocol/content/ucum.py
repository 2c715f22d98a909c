"""Units: is this text a UCUM code? (Unified Code for Units of Measure, 2.2, case sensitive codes.)

    unit       = component { ("." | "/") component }        a leading "/" is allowed: `/min`
    component  = "(" unit ")" | number | annotation | [prefix] atom [exponent] [annotation]
    exponent   = ["+" | "-"] digits                          `m3`, `s-2`, `10*6/L`
    annotation = "{" text "}"                                `{count}`, `r/min{motor}`

The atoms below are those of plants and power: SI with its prefixes, the usual customary units, and what analysers
report. UCUM has more; a code that is not here is carried through unchanged and only warned about, because a wrong unit
is worse than a strange one. Common wrong spellings are answered with the right code.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PREFIXES = ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y")

METRIC = _words(
    "m g s rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv kat L l ar t bar eq osm u eV pc cal "
    "[car_Au] B Np B[V] B[mV] B[uV] B[W] B[kW] B[SPL] bit By Bd dyn erg P St G Oe Gb Mx st b Lmb ph Ci R RAD REM "
    "m[H2O] m[Hg] g% tex cal_IT cal_th mho var"
)
"""Atoms that take a prefix. `var` is not of UCUM (it says V.A), but plants and protection relays say it."""

PLAIN = _words(
    "10* 10^ [pi] % [ppth] [ppm] [ppb] [pptr] [pH] deg ' '' gon circ sph min h d wk mo a a_j mo_j "
    "[in_i] [ft_i] [yd_i] [mi_i] [nmi_i] [kn_i] [mil_i] [sin_i] [sft_i] [cin_i] [cft_i] [cyd_i] [acr_us] "
    "[gal_us] [bbl_us] [qt_us] [pt_us] [foz_us] [gal_br] [degF] [degR] [oz_av] [lb_av] [ston_av] [lton_av] "
    "[lbf_av] [psi] [in_i'Hg] [in_i'H2O] [ft_us] atm att [Btu] [Btu_IT] [Btu_th] [HP] [NTU] [FTU] [iU] [g] gf r"
)
"""Atoms without prefix. `r` (revolution, as in `r/min`) is how speeds are written; UCUM itself would say `{rev}`."""

MEANT = {
    "°C": "Cel",
    "degC": "Cel",
    "C°": "Cel",
    "celsius": "Cel",
    "°F": "[degF]",
    "degF": "[degF]",
    "psi": "[psi]",
    "rpm": "r/min",
    "RPM": "r/min",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "pH": "[pH]",
    "m³/h": "m3/h",
    "m³": "m3",
    "m²": "m2",
    "sec": "s",
    "hr": "h",
    "hrs": "h",
    "hours": "h",
    "minutes": "min",
    "kWh": "kW.h",
    "MWh": "MW.h",
    "Wh": "W.h",
    "VA": "V.A",
    "kVA": "kV.A",
    "MVA": "MV.A",
    "Nm": "N.m",
    "kNm": "kN.m",
    "Ω": "Ohm",
    "ohm": "Ohm",
    "µm": "um",
    "μm": "um",
    "µs": "us",
    "barg": "bar{gauge}",
    "bara": "bar{absolute}",
    "ft": "[ft_i]",
    "in": "[in_i]",
    "inch": "[in_i]",
    "lb": "[lb_av]",
    "lbs": "[lb_av]",
    "hp": "[HP]",
    "gpm": "[gal_us]/min",
    "cfm": "[cft_i]/min",
    "mmHg": "mm[Hg]",
    "inHg": "[in_i'Hg]",
    "mph": "[mi_i]/h",
    "Deg": "deg",
    "°": "deg",
    "percent": "%",
    "pct": "%",
}
"""What people write -> the UCUM code they mean."""

_PART = re.compile(r"\{[\x21-\x7a|\x7e ]*\}|[()./]|[^(){}./]+")
_POWER = re.compile(r"(.+?)([+-]?[0-9]+)?")


def known(code: str) -> bool:
    """True for the empty code (no unit) and for every code the grammar above makes from the known atoms.

    False for a wrong spelling that happens to be a code: `pH` would be a picohenry, `ft` a femtotonne.
    """
    if not code:
        return True
    if code in MEANT:
        return False
    parts = _PART.findall(code)
    return "".join(parts) == code and _unit(parts) and not parts


def meant(code: str) -> str:
    """The UCUM code that was probably meant by an unknown one, empty where there is no guess."""
    return MEANT.get(code, "")


def _unit(parts: list[str]) -> bool:
    """Take one unit off the front of `parts`; False where there is none."""
    if parts[:1] == ["/"]:
        parts.pop(0)
    while True:
        if not _component(parts):
            return False
        if parts[:1] not in (["."], ["/"]):
            return True
        parts.pop(0)


def _component(parts: list[str]) -> bool:
    if not parts:
        return False
    part = parts.pop(0)
    if part == "(":
        return _unit(parts) and bool(parts) and parts.pop(0) == ")"
    if part.startswith("{"):
        return True
    if part in ").":
        return False
    if parts and parts[0].startswith("{"):
        parts.pop(0)
    return part.isascii() and (part.isdigit() or _atom(part))


def _atom(part: str) -> bool:
    for name in {part, *(found[1] for found in [_POWER.fullmatch(part)] if found)}:
        if name in PLAIN or name in METRIC:
            return True
        if any(name.startswith(prefix) and name[len(prefix) :] in METRIC for prefix in PREFIXES):
            return True
    return False
