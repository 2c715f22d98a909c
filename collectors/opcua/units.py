"""Engineering units: what a server says (EUInformation) as a UCUM code.

A server names a unit by number and by a text to show. The number packs the letters of a UNECE common code, most
significant first (OPC 10000-8, 5.6.4.3): "CEL" is 0x43454C = 4408652. Only then is the unit certain. Where the
number is missing or of another system, the shown text is passed on, as the UCUM code it spells or as it stands; the
catalog warns about one that is no code.
"""

from __future__ import annotations

from protocol.content.ucum import known, meant

UNECE_URI = "http://www.opcfoundation.org/UA/units/un/cefact"
"""Namespace of the numbers that are UNECE codes (OPC 10000-8, 5.6.4.3)."""

_TABLE = """
C62 1       P1 %        59 [ppm]    C50 Np      Q30 [pH]
CEL Cel     FAH [degF]  KEL K
PAL Pa      KPA kPa     MPA MPa     BAR bar     MBR mbar    PS [psi]    ATM atm     A97 hPa
NEW N       B47 kN      NU N.m      B48 kN.m    JOU J       KJO kJ      3B MJ       GV GJ
MTR m       MMT mm      CMT cm      KMT km      4H um       INH [in_i]  FOT [ft_i]
MTK m2      CMK cm2     MMK mm2     MTQ m3      LTR L       MLT mL      CMQ cm3     GLL [gal_us]  BLL [bbl_us]
GRM g       KGM kg      TNE t       MGM mg      LBR [lb_av]
SEC s       C26 ms      B98 us      MIN min     HUR h       DAY d       ANN a
MTS m/s     KMH km/h    MSK m/s2    C16 mm/s    2M cm/s
MQH m3/h    MQS m3/s    L2 L/min    E32 L/h     G51 L/s     KGS kg/s    E93 kg/h    E18 t/h
KMQ kg/m3   GL g/L      M1 mg/L     23 g/cm3
HTZ Hz      KHZ kHz     MHZ MHz     RPM r/min   RPS r/s     2A rad/s    DD deg      C81 rad
AMP A       4K mA       B84 uA      VLT V       2Z mV       KVT kV      OHM Ohm     B49 kOhm   B75 MOhm
WTT W       KWT kW      MAW MW      A90 GW      D46 V.A     KVA kV.A    MVA MV.A    D44 var    KVR kvar  MAR Mvar
WHR W.h     KWH kW.h    MWH MW.h    GWH GW.h    FAR F       4O uF       COU C       SIE S      D10 S/m   H61 mS/cm
CDL cd      LUM lm      LUX lx      D33 T       WEB Wb      81 H        2N dB       C65 Pa.s   C24 mPa.s
"""

UCUM_OF: dict[int, str] = {}
"""UCUM code by `UnitId`, for the UNECE codes of plants and power (UNECE Recommendation 20)."""

for _row in _TABLE.split("\n"):
    _words = _row.split()
    for _code, _unit in zip(_words[::2], _words[1::2], strict=True):
        UCUM_OF[int.from_bytes(_code.encode())] = _unit


def ucum(uri: str | None, unit_id: int, shown: str | None) -> str:
    """The UCUM code of an EUInformation, or its shown text where that is all there is."""
    if uri == UNECE_URI and unit_id in UCUM_OF:
        return UCUM_OF[unit_id]
    text = (shown or "").strip()
    return text if known(text) else meant(text) or text
