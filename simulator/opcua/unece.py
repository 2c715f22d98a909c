"""Units as OPC UA says them: UCUM code -> EUInformation (OPC 10000-8, 5.6.4.4).

The unit id is the UN/CEFACT common code (Recommendation 20), its characters as the bytes of an Int32, first character
highest. Codes, symbols and names below are those of the OPC Foundation's UNECE_to_OPCUA.csv; where that table errs
(it shows a megavar as `kvar`) the right symbol is written, and percent and parts per million, which it left out, have
their codes of the Recommendation. A unit that is not in the table is named in UCUM's own namespace, with unit id -1.
"""

from __future__ import annotations

from dataclasses import dataclass

UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class EngineeringUnit:
    """The four fields of an EUInformation."""

    namespace: str
    id: int
    symbol: str
    name: str


_CODES: dict[str, tuple[str, str, str]] = {
    "%": ("P1", "%", "percent"),
    "[ppm]": ("59", "ppm", "part per million"),
    "1": ("C62", "1", "one"),
    "1/min": ("C94", "min⁻¹", "reciprocal minute"),
    "1/s": ("C97", "s⁻¹", "reciprocal second"),
    "A": ("AMP", "A", "ampere"),
    "mA": ("4K", "mA", "milliampere"),
    "kA": ("B22", "kA", "kiloampere"),
    "Cel": ("CEL", "°C", "degree Celsius"),
    "[degF]": ("FAH", "°F", "degree Fahrenheit"),
    "K": ("KEL", "K", "kelvin"),
    "Hz": ("HTZ", "Hz", "hertz"),
    "kHz": ("KHZ", "kHz", "kilohertz"),
    "L": ("LTR", "l", "litre"),
    "L/min": ("L2", "l/min", "litre per minute"),
    "L/s": ("G51", "l/s", "litre per second"),
    "mL/min": ("41", "ml/min", "millilitre per minute"),
    "m3": ("MTQ", "m³", "cubic metre"),
    "m3/h": ("MQH", "m³/h", "cubic metre per hour"),
    "m3/s": ("MQS", "m³/s", "cubic metre per second"),
    "N": ("NEW", "N", "newton"),
    "kN": ("B47", "kN", "kilonewton"),
    "N.m": ("NU", "N·m", "newton metre"),
    "kN.m": ("B48", "kN·m", "kilonewton metre"),
    "Ohm": ("OHM", "Ω", "ohm"),
    "Pa": ("PAL", "Pa", "pascal"),
    "hPa": ("A97", "hPa", "hectopascal"),
    "kPa": ("KPA", "kPa", "kilopascal"),
    "MPa": ("MPA", "MPa", "megapascal"),
    "bar": ("BAR", "bar", "bar [unit of pressure]"),
    "mbar": ("MBR", "mbar", "millibar"),
    "[psi]": ("PS", "lbf/in²", "pound-force per square inch"),
    "V": ("VLT", "V", "volt"),
    "mV": ("2Z", "mV", "millivolt"),
    "kV": ("KVT", "kV", "kilovolt"),
    "V.A": ("D46", "V·A", "volt - ampere"),
    "kV.A": ("KVA", "kV·A", "kilovolt - ampere"),
    "MV.A": ("MVA", "MV·A", "megavolt - ampere"),
    "var": ("D44", "var", "var"),
    "kvar": ("KVR", "kvar", "kilovar"),
    "Mvar": ("MAR", "Mvar", "megavar"),
    "W": ("WTT", "W", "watt"),
    "kW": ("KWT", "kW", "kilowatt"),
    "MW": ("MAW", "MW", "megawatt"),
    "W.h": ("WHR", "W·h", "watt hour"),
    "kW.h": ("KWH", "kW·h", "kilowatt hour"),
    "MW.h": ("MWH", "MW·h", "megawatt hour (1000 kW.h)"),
    "J": ("JOU", "J", "joule"),
    "kJ": ("KJO", "kJ", "kilojoule"),
    "deg": ("DD", "°", "degree [unit of angle]"),
    "rad": ("C81", "rad", "radian"),
    "rad/s": ("2A", "rad/s", "radian per second"),
    "r/min": ("RPM", "r/min", "revolutions per minute"),
    "r/s": ("RPS", "r/s", "revolutions per second"),
    "g": ("GRM", "g", "gram"),
    "kg": ("KGM", "kg", "kilogram"),
    "t": ("TNE", "t", "tonne (metric ton)"),
    "kg/h": ("E93", "kg/h", "kilogram per hour"),
    "kg/s": ("KGS", "kg/s", "kilogram per second"),
    "t/h": ("E18", "t/h", "tonne per hour"),
    "kg/m3": ("KMQ", "kg/m³", "kilogram per cubic metre"),
    "mg/m3": ("GP", "mg/m³", "milligram per cubic metre"),
    "m": ("MTR", "m", "metre"),
    "mm": ("MMT", "mm", "millimetre"),
    "um": ("4H", "µm", "micrometre (micron)"),
    "m/s": ("MTS", "m/s", "metre per second"),
    "mm/s": ("C16", "mm/s", "millimetre per second"),
    "m/s2": ("MSK", "m/s²", "metre per second squared"),
    "m2": ("MTK", "m²", "square metre"),
    "uS/cm": ("G42", "µS/cm", "microsiemens per centimetre"),
    "s": ("SEC", "s", "second [unit of time]"),
    "ms": ("C26", "ms", "millisecond"),
    "min": ("MIN", "min", "minute [unit of time]"),
    "h": ("HUR", "h", "hour"),
    "d": ("DAY", "d", "day"),
}


def unit(code: str) -> EngineeringUnit:
    """The EUInformation of a UCUM code, never empty."""
    if code not in _CODES:
        return EngineeringUnit(UCUM, -1, code, code)
    common, symbol, name = _CODES[code]
    return EngineeringUnit(UNECE, int.from_bytes(common.encode("ascii"), "big"), symbol, name)
