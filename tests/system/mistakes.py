# ruff: noqa: E501  each mistake is one line
"""What tired people write into configurations, as data: one edit of a right file, and what must be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SENDER = """\
site = "north-plant"

[outlet]
to = "192.0.2.2:5005"
rate_mbit = 20
mtu = 1500
repeat = ["20s", "15m"]

[keys]
own = "keys/high"
receivers = ["keys/low.pub"]

[spool]
keep = "14d"
max_gb = 0.1

[[asset]]
name = "pump-7"
vendor = "Acme Pumps"
class = "process"
collector = "modbus"
url = "tcp://10.0.0.7:502"
timeout = "3s"
[asset.modbus]
unit = 1
word_order = "big"
max_gap = 16

[[asset.scan]]
every = "1s"
tags = [
  { name = "pressure", at = "holding:0", type = "float32", unit = "bar", range = [0, 16], normal = [5.5, 7.8], deadband = 0.01 },
  { name = "flow", at = "holding:4", type = "float32", unit = "m3/h", range = [0, 400], deadband = "0.1%" },
  { name = "state", at = "holding:46", type = "uint16", states = ["off", "running"] },
  { name = "running", at = "coil:3" },
]

[[asset.scan]]
every = "10s"
tags = [ { name = "hours", at = "holding:36", type = "uint32", unit = "h" } ]

[[asset]]
name = "turbine-1"
collector = "opcua"
url = "opc.tcp://10.0.0.8:4840"
[asset.opcua]
mode = "subscribe"

[[asset.scan]]
every = "1s"
tags = [ { name = "speed", at = "nsu=urn:borealis;s=Speed" } ]
"""

RECEIVER = """\
[inlet]
listen = "192.0.2.2:5005"
buffer_mib = 64

[keys]
own = "keys/low"
senders = ["keys/high.pub"]

[retention]
journal = "7d"
history = "400d"
max_gb = 0.1

[portal]
listen = "127.0.0.1:8600"

[[output]]
kind = "influx"
name = "plant-influx"
url = "http://127.0.0.1:8086"
org = "plant"
bucket = "diagnostics"
scope = { vendor = "Acme Pumps" }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One edit of a right file."""

    name: str
    old: str | Callable[[Path], object]
    """What is replaced; or what is done to the folder of the right file."""
    new: str = ""
    said: tuple[str, ...]
    """Words that must be in what is said: the place, the value, the next step."""
    sender: bool = True
    """It is of sender.toml, else of receiver.toml."""
    more: tuple[tuple[str, str], ...] = ()
    """Other edits at the same time."""
    legal: bool = False
    """It may be meant: a warning, and exit 0."""


def high(name: str, old: str | Callable[[Path], object], new: str, *said: str, legal: bool = False) -> Mistake:
    """One of sender.toml."""
    return Mistake(name=name, old=old, new=new, said=said, legal=legal)


def low(name: str, old: str | Callable[[Path], object], new: str, *said: str, legal: bool = False) -> Mistake:
    """One of receiver.toml."""
    return Mistake(name=name, old=old, new=new, said=said, legal=legal, sender=False)


def _put(name: str, data: bytes, mode: int = 0o600) -> Callable[[Path], object]:
    def put(folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(mode)

    return put


def _cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:60])


def _copy(name: str, to: str) -> Callable[[Path], object]:
    return lambda folder: (folder / to).write_bytes((folder / name).read_bytes())


def _also(name: str, to: str) -> Callable[[Path], object]:
    def name_both(folder: Path) -> None:
        _copy(name, to)(folder)
        _bytes("sender.toml", f'"{name}"'.encode(), f'"{name}", "{to}"'.encode())(folder)

    return name_both


def _open_to_all(folder: Path) -> None:
    (folder / "keys/high/sign.key").chmod(0o644)


def _gone(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _first_lines(name: str, count: int) -> Callable[[Path], object]:
    def keep(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:count]))

    return keep


def _bytes(name: str, old: bytes, new: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes().replace(old, new, 1))


def _wide(folder: Path) -> None:
    (folder / "sender.toml").write_text(SENDER, encoding="utf-16")


def _folder(folder: Path) -> None:
    (folder / "sender.toml").unlink()
    (folder / "sender.toml").mkdir()


def _huge(folder: Path) -> None:
    with (folder / "sender.toml").open("r+b") as file:
        file.truncate(65 * 1024 * 1024)


PEM = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
TAG = 'at = "holding:4", type = "float32", unit = "m3/h", range = [0, 400], deadband = "0.1%"'
FLOW = "scan[0].tags[1]"

MISTAKES = (
    # --- keys
    high("own public key for the receiver's", '["keys/low.pub"]', '["keys/high.pub"]', "keys.receivers[0]", "high.pub", "sign", "own", "carry over", "low side", "line 11"),
    low("own public key for the sender's", '["keys/high.pub"]', '["keys/low.pub"]', "keys.senders[0]", "low.pub", "catch", "own", "carry over", "high side"),
    high("own is the public file", '"keys/high"', '"keys/high.pub"', "keys.own", "high.pub", "folder", "without .pub", "line 10"),
    low("own is the public file", '"keys/low"', '"keys/low.pub"', "keys.own", "low.pub", "folder", "without .pub"),
    high("own is the other side's folder", '"keys/high"', '"keys/low"', "keys.own", "low side", "catch", "keys new high"),
    low("own is the other side's folder", '"keys/low"', '"keys/high"', "keys.own", "high side", "sign", "keys new low"),
    high("receiver's file lacks the open key", _first_lines("keys/low.pub", 1), "", "keys.receivers", "no open key", "carry the whole file"),
    low("sender's file lacks the link key", _first_lines("keys/high.pub", 1), "", "keys.senders", "no link-sign key", "carry the whole file"),
    high("receiver's file was not carried over", _gone("keys/low.pub"), "", "keys.receivers[0]", "low.pub is not there", "carry over"),
    high("receiver's file with a slip", "keys/low.pub", "keys/loww.pub", "keys.receivers[0]", "did you mean low.pub"),
    high("receivers is the folder", "keys/low.pub", "keys/low", "keys.receivers[0]", "folder", "low.pub"),
    high("empty public file", _put("keys/low.pub", b""), "", "keys.receivers[0]", "low.pub holds no key", "carry over"),
    high("truncated public file", _cut("keys/low.pub"), "", "keys.receivers[0]", "low.pub", "carry over"),
    high("PEM for a key", _put("keys/low.pub", PEM), "", "keys.receivers[0]", "low.pub", "no key file", "carry over"),
    high("binary for a key", _put("keys/low.pub", b"\xff\x00" * 40), "", "keys.receivers[0]", "low.pub", "cannot be read", "carry over"),
    high("private key readable by all", _open_to_all, "", "keys.own", "sign.key", "0644", "chmod 600"),
    high("private key truncated", _cut("keys/high/sign.key"), "", "keys.own", "sign.key", "keys new high"),
    high("private key empty", _put("keys/high/sign.key", b""), "", "keys.own", "sign.key", "keys new high"),
    high("one private key in place of the other", _copy("keys/high/link-sign.key", "keys/high/sign.key"), "", "keys.own", "sign.key", "link-sign"),
    high("private key missing", _gone("keys/high/link-sign.key"), "", "keys.own", "no key file", "link-sign.key", "keys new high"),
    high("private key handed out", _copy("keys/low/open.key", "keys/low.pub"), "", "keys.receivers[0]", "holds a private key", "open", "never", "new keys"),
    high("own private key for the receiver's", '["keys/low.pub"]', '["keys/high/sign.key"]', "keys.receivers[0]", "this side's own private key (sign)", "carry over the .pub file of the low side"),
    high("keys that are not made yet", '"keys/high"', '"other/high"', "other/high is not there yet", "checkvalve keys new", legal=True),
    high("no receivers", 'receivers = ["keys/low.pub"]\n', "", "keys.receivers", "missing", 'write receivers = ["keys/low.pub"]', "line 9"),
    high("an empty list of receivers", '["keys/low.pub"]', "[]", "keys.receivers", "0 entries", "write at least 1"),
    high("five receivers", '["keys/low.pub"]', '["a.pub", "b.pub", "c.pub", "d.pub", "e.pub"]', "keys.receivers", "5 entries", "write at most 4", "sealed to each", "line 11"),
    high("five urls of one device", 'url = "tcp://10.0.0.7:502"', 'urls = ["a", "b", "c", "d", "e"]', "asset[0].urls", "5 entries", "write at most 4"),
    high("the same receiver twice", '["keys/low.pub"]', '["keys/low.pub", "keys/low.pub"]', "keys.receivers[1]", "low.pub", "holds a key of receivers[0] once more", "take this one out", "line 11"),
    high("a copy of a receiver's file", _also("keys/low.pub", "keys/copy.pub"), "", "keys.receivers[1]", "copy.pub", "holds a key of receivers[0] once more"),
    low("the same sender twice", '["keys/high.pub"]', '["keys/high.pub", "keys/high.pub"]', "keys.senders[1]", "high.pub", "holds a key of senders[0] once more", "take this one out"),
    # --- the file itself
    high("missing quote", '"north-plant"', '"north-plant', "line 1", "north-plant", "quote is missing"),
    high("wrong bracket", "[outlet]", "[outlet", "line 3", "[outlet", "] is missing"),
    high("one bracket too few", "[[asset.scan]]", "[[asset.scan]", "line 29", "[[name]]"),
    high("decimal comma", "rate_mbit = 20", "rate_mbit = 2,5", "line 5", "rate_mbit = 2,5", "decimal comma", "point"),
    high("decimal comma in a tag", "deadband = 0.01", "deadband = 0,01", "line 32", "comma"),
    high("comma between tags forgotten", 'deadband = "0.1%" },', 'deadband = "0.1%" }', "line 34", "comma is missing"),
    high("comma between keys forgotten", '"flow", at', '"flow" at', "line 33", "comma is missing"),
    high("the same table twice", "[spool]", "[outlet]", "line 13", "[outlet]", "already", "one"),
    high("the same key twice", "mtu = 1500", "mtu = 1500\nmtu = 1400", "line 7", "mtu = 1400", "already", "keep one"),
    high("typographic quotes", '"north-plant"', "“north-plant”", "line 1", "typographic quotes", "straight"),
    high("text without quotes", '"14d"', "fortnight", "line 14", "fortnight", "quotes"),
    high("duration without quotes", '"14d"', "14d", "line 14", "14d", "quotes"),
    high("address without quotes", '"192.0.2.2:5005"', "192.0.2.2:5005", "line 4", "192.0.2.2:5005", "quotes"),
    high("yes for true", 'class = "process"', "simulated = yes", "line 20", "yes", "true or false"),
    high("colon for equals", "mtu = 1500", "mtu: 1500", "line 6", "mtu: 1500", "="),
    high("no value", "mtu = 1500", "mtu =", "line 6", "no value"),
    high("Windows path in double quotes", '"keys/high"', r'"C:\Users\keys"', "line 10", "backslash", "single quotes"),
    high("NUL in the file", _bytes("sender.toml", b"mtu = 1500", b"mtu = 1500\x00"), "", "line 6", "control character", "take it out"),
    high("no UTF-8", _bytes("sender.toml", b"Acme", b"Acm\xe9"), "", "line 19, byte 14", "UTF-8", "save it as UTF-8"),
    high("UTF-16", _wide, "", "UTF-16", "save it as UTF-8"),
    high("a folder for the file", _folder, "", "sender.toml", "folder", "name the file in it"),
    high("no file", _gone("sender.toml"), "", "sender.toml does not exist", "checkvalve init high DIR"),
    high("a file of 65 MiB", _huge, "", "sender.toml", "over 64 MiB", "split a larger plant"),
    high("a no-break space behind a key", "mtu = 1500", "mtu\u00a0= 1500", "line 6", "no-break space (U+00A0)", "column 4", "type a plain space"),
    high("a no-break space behind a value", "mtu = 1500", "mtu = 1500\u00a0", "line 6", "no-break space (U+00A0)", "column 11", "type a plain space"),
    high("a no-break space between tags", 'deadband = "0.1%" },', 'deadband = "0.1%" }\u00a0,', "line 33", "no-break space (U+00A0)", "column ", "type a plain space"),
    high("a letter that nobody sees", "mtu = 1500", "\u200bmtu = 1500", "line 6", "zero width space (U+200B)", "column 1", "take it out"),
    high("a letter of another alphabet in a key", "mtu = 1500", "mt\u0443 = 1500", "line 6", "cyrillic small letter u (U+0443)", "column 3", "a to z"),
    high("a no-break space behind a byte order mark", _bytes("sender.toml", b"site =", b"\xef\xbb\xbfsite\xc2\xa0="), "", "line 1", "no-break space (U+00A0)", "column 5"),
    high("a merge that nobody settled", "mtu = 1500", "<<<<<<< HEAD\nmtu = 1500\n=======\nmtu = 1400\n>>>>>>> site", "line 6", "<<<<<<< HEAD", "merge that nobody settled", "keep one of the versions", "take these marks out"),
    high("a merge that nobody settled, in a list", '  { name = "running", at = "coil:3" },', '<<<<<<< HEAD\n  { name = "running", at = "coil:3" },\n=======\n>>>>>>> site', "line 35", "merge that nobody settled"),
    high("half of the marks of a merge taken out", "mtu = 1500", "mtu = 1500\n=======", "line 7", "merge that nobody settled"),
    high("semicolon behind a number", "mtu = 1500", "mtu = 1500;", "line 6", "a ; stands at column 11", "take it out"),
    high("semicolon behind a text", 'keep = "14d"', 'keep = "14d";', "line 14", "a ; stands at column 13", "take it out"),
    high("semicolon behind a table", "[outlet]", "[outlet];", "line 3", "a ; stands at column 9", "take it out"),
    high("semicolon between keys", '"flow", at', '"flow"; at', "line 33", "a ; stands at column 18", "write a comma"),
    high("a line of comment in //", "mtu = 1500", "// mtu = 1500", "line 6", "a comment begins with #", "write # in front of it"),
    high("a line of comment in ;", "mtu = 1500", "; mtu = 1500", "line 6", "a comment begins with #", "write # in front of it"),
    high("a comment in // behind a value", "mtu = 1500", "mtu = 1500 // bytes", "line 6", "a comment begins with #, not with //", "column 12", "write # in place of //"),
    high("a comment in // in a list", 'at = "coil:3" },', 'at = "coil:3" }, // of the motor', "line 35", "a comment begins with #, not with //", "write # in place of //"),
    high("a scan before the first asset", "[spool]", '[[asset.scan]]\nevery = "1s"\n\n[spool]', "line 20", "[[asset.scan]] of line 13", "before the first [[asset]]", "move [[asset.scan]] below the [[asset]]"),
    high("settings before the first asset", "[spool]", "[asset.modbus]\nunit = 1\n\n[spool]", "[asset.modbus] of line 13", "before the first [[asset]]", "move [asset.modbus] below"),
    high("the first asset in single brackets", "[spool]", '[asset]\nname = "p"\n\n[spool]', "line 20", "line 13 begins it in single brackets", "write [[asset]] in line 13 too"),
    # --- the link
    high("a name for an address", "192.0.2.2:5005", "receiver.plant:5005", "outlet.to", "receiver.plant", "in numbers", "line 4"),
    high("no port", "192.0.2.2:5005", "192.0.2.2", "outlet.to", '"192.0.2.2" has no port', '"192.0.2.2:5005"'),
    high("port out of range", "192.0.2.2:5005", "192.0.2.2:65536", "outlet.to", "65536", "1 to 65535"),
    high("IPv6 without brackets", "192.0.2.2:5005", "fd00::2:5005", "outlet.to", "fd00", "IPv4", "in numbers"),
    high("multicast", "192.0.2.2:5005", "239.1.1.1:5005", "outlet.to", "239.1.1.1", "multicast", "directed broadcast"),
    high("a url for an address", "192.0.2.2:5005", "udp://192.0.2.2:5005", "outlet.to", "udp://192.0.2.2", "IPv4", '"192.0.2.2:5005"'),
    high("rate of zero", "rate_mbit = 20", "rate_mbit = 0", "outlet.rate_mbit", "0", "greater than 0", "line 5"),
    high("number as a text", "rate_mbit = 20", 'rate_mbit = "20"', "outlet.rate_mbit", "'20'", "without quotes"),
    high("mtu too small", "mtu = 1500", "mtu = 150", "outlet.mtu", "150", "576"),
    high("loss of all", "mtu = 1500", 'loss_target = "100%"', "outlet.loss_target", "less than 0.5", "line 6"),
    high("percent as a number", "mtu = 1500", "loss_target = 1", "outlet.loss_target", "1", '"1%"'),
    high("repeat that falls", '["20s", "15m"]', '["15m", "20s"]', "outlet.repeat", "shortest first", "line 7"),
    high("repeat as numbers", '["20s", "15m"]', "[20, 900]", "outlet.repeat[0]", "outlet.repeat[1]", '"1s"'),
    high("spool shorter than the last repeat", '"14d"', '"10m"', "spool.keep", "last repeat", "keep it longer", "line 14"),
    high("spool larger than the disk", "max_gb = 0.1", "max_gb = 1e9", "spool.max_gb", "than the disk has", "write less", legal=True),
    high("negative duration", '"14d"', '"-1d"', "spool.keep", '"-1d"', "such as"),
    high("key in the wrong table", 'keep = "14d"', "rate_mbit = 5", "spool.rate_mbit", "belongs to [outlet]", "move it", "line 14"),
    high("key above its table", "\n[outlet]", "mtu = 1400\n[outlet]", "mtu", "belongs to [outlet]", "line 2"),
    high("unknown table", "[spool]", "[spol]", "spol", "did you mean spool", "line 13"),
    high("no outlet", '[outlet]\nto = "192.0.2.2:5005"\nrate_mbit = 20\nmtu = 1500\nrepeat = ["20s", "15m"]\n', "", "outlet", "missing", "[outlet]"),
    high("empty site", '"north-plant"', '""', "site", "empty", "short name", "line 1"),
    high("endless site", '"north-plant"', '"' + "n" * 600 + '"', "site", "longer than 512", "shorten"),
    high("slash in the site", '"north-plant"', '"north/plant"', "site", "slash", "north/plant", legal=True),
    high("site as a number", '"north-plant"', "7", "site", "7", "quotes"),
    high("site as a date", '"north-plant"', "2026-01-01", "site", "quotes", "line 1"),
    # --- the plant
    high("two assets of one name", '"turbine-1"', '"pump-7"', "asset[1].name", "pump-7", "asset[0] already", "another name", "line 43"),
    high("two tags of one name", 'name = "flow"', 'name = "pressure"', f"asset[0].{FLOW}.name", "pressure", "already", "another name", "line 33"),
    high("a tag in two scans", 'name = "hours"', 'name = "flow"', "asset[0].scan[1].tags[0].name", "flow", "already", "line 40"),
    high("the same address twice", '"holding:4"', '"holding:0"', f"{FLOW}.at", "holding:0", '"pressure" already', "mend", legal=True),
    high("a value that begins inside another", '"holding:4"', '"holding:1"', f"{FLOW}.at", "flow", '"pressure", which takes holding:0 to 1', "holding:1 too", "mend the address", legal=True),
    high("a register that is half a value", '"holding:46"', '"holding:0"', "tags[2].at", "state", '"pressure", which takes holding:0 to 1', legal=True),
    high("non-printable name", 'name = "flow"', 'name = "fl\\u0007ow"', f"{FLOW}.name", "printable", "line 33"),
    high("normal outside range", "[5.5, 7.8]", "[5.5, 78]", "tags[0].normal", "outside the range, 0 to 16", "line 32"),
    high("range backwards", "[0, 400]", "[400, 0]", f"{FLOW}.range", "swap"),
    high("range of one number", "[0, 400]", "[4, 4]", f"{FLOW}.range", "[4, 4] are equal", "the lower first", "line 33"),
    high("range of no number", "[0, 400]", "[nan, 400]", f"{FLOW}.range", "nan, which is no number", "the lower first"),
    high("low and high of one number", "range = [0, 400]", "low = 4, high = 4", f"{FLOW}.low", "4 is not below high, 4", "make low lower"),
    high("range of texts", "[0, 400]", '["0", "400"]', f"{FLOW}.range", "two numbers"),
    high("deadband on a bool by address", '"coil:3"', '"coil:3", deadband = 0.5', "tags[3].deadband", "bool", "write 0", "line 35"),
    high("deadband on a bool by type", '"coil:3"', '"coil:3", type = "bool", deadband = 0.5', "tags[3].deadband", "bool", "write 0"),
    high("deadband on a text", '"coil:3"', '"holding:9", type = "string", length = 8, deadband = 1', "tags[3].deadband", "string", "write 0"),
    high("deadband larger than the range", "deadband = 0.01", "deadband = 100", "tags[0].deadband", "100", "whole range", "smaller"),
    high("deadband of no range", 'range = [0, 400], deadband = "0.1%"', 'deadband = "0.1%"', f"{FLOW}.deadband", "range", "add range"),
    high("negative deadband", "deadband = 0.01", "deadband = -1", "tags[0].deadband", "-1", "from 0"),
    high("units for unit", 'unit = "m3/h"', 'units = "m3/h"', f"{FLOW}.units", "did you mean unit?", "line 33"),
    high("a wrong unit", 'unit = "m3/h"', 'unit = "m³/h"', f"{FLOW}.unit", 'did you mean "m3/h"', legal=True),
    high("REAL", 'type = "float32", unit = "m3/h"', 'type = "REAL", unit = "m3/h"', f"{FLOW}.type", "REAL", "did you mean float32?"),
    high("DINT", 'type = "uint32"', 'type = "DINT"', "scan[1].tags[0].type", "did you mean int32?"),
    high("a type that is none", 'type = "uint32"', 'type = "numeric"', "scan[1].tags[0].type", "numeric", "float32, float64"),
    high("a type that registers do not have", 'type = "uint32"', 'type = "int8"', "scan[1].tags[0].type", "int8", "int16"),
    high("a register without a type", 'type = "uint32", ', "", "scan[1].tags[0].type", "does not say its type", "use one of"),
    high("scale as a text", 'type = "uint32"', 'type = "uint32", scale = "0.1"', "scan[1].tags[0].scale", "'0.1'", "number"),
    high("scale of zero", 'type = "uint32"', 'type = "uint32", scale = 0', "scan[1].tags[0].scale", "0 makes every value the same", "such as 0.1", "line 40"),
    high("states on a float", 'type = "float32", unit = "m3/h"', 'type = "float32", states = ["off", "on"], unit = "m3/h"', f"{FLOW}.states", "whole numbers", "float32", "take the names out", legal=True),
    high("states on what a scale makes a float", 'type = "uint16", states', 'type = "uint16", scale = 0.1, states', "tags[2].states", "whole numbers", "float64", "the scale", legal=True),
    high("states as a text", '["off", "running"]', '"off, running"', "tags[2].states", "list", '["off", "on"]'),
    high("states of numbers", '["off", "running"]', "[0, 1]", "tags[2].states", "[0, 1]", "names"),
    high("address beyond the table", '"holding:36"', '"holding:70000"', "scan[1].tags[0].at", "70000", "holding:0"),
    high("address in hex", '"holding:36"', '"0x24"', "scan[1].tags[0].at", "0x24", "holding:0"),
    high("address as a number", '"holding:36"', "36", "scan[1].tags[0].at", "36", "quotes"),
    high("every without unit", 'every = "10s"', "every = 10", "scan[1].every", "10", '"1s"', "line 39"),
    high("every of zero", 'every = "10s"', 'every = "0s"', "scan[1].every", "greater than"),
    high("every in a unit that is none", 'every = "10s"', 'every = "10 sec"', "scan[1].every", "10 sec", "s, m, h"),
    high("faster than the budget", 'timeout = "3s"', "requests_s = 0.5", "asset[0].requests_s", "are planned", "make periods longer", "line 23"),
    high("a scan without tags", '[ { name = "hours", at = "holding:36", type = "uint32", unit = "h" } ]', "[]", "asset[0].scan[1]", "no tag is read", "add tags", legal=True),
    high("class with a slip", '"process"', '"proccess"', "asset[0].class", "proccess", "'process'", "'safety'"),
    high("unknown collector", 'collector = "modbus"', 'collector = "modbuss"', "asset[0].collector", "has 1 mistake:", "modbuss", "did you mean modbus"),
    high("no collector", 'collector = "modbus"\n', "", "asset[0].collector", "missing", 'write collector = "modbus"'),
    high("no url", 'url = "tcp://10.0.0.7:502"\n', "", "asset[0].url", "missing", "tcp://10.0.0.7:502"),
    high("url of another protocol", "tcp://10.0.0.7:502", "opc.tcp://10.0.0.7:502", "asset[0].url", "opc.tcp", "write tcp://"),
    high("scheme with a slip", "opc.tcp://10.0.0.8", "opctcp://10.0.0.8", "asset[1].url", "opctcp", "write opc.tcp://"),
    high("device's port out of range", "10.0.0.7:502", "10.0.0.7:70502", "asset[0].url", "70502", "write tcp://"),
    high("device's IPv6 without brackets", "10.0.0.7:502", "fd00::7:502", "asset[0].url", "fd00::7:502", "write tcp://"),
    high("unit id out of range", "unit = 1\n", "unit = 256\n", "asset[0].modbus.unit", "256", "0 to 255", "line 25"),
    high("word order with a slip", '"big"', '"bigg"', "asset[0].modbus.word_order", "bigg", "big, little", "line 26"),
    high("negative gap", "max_gap = 16", "max_gap = -1", "asset[0].modbus.max_gap", "-1", "0 to 2000"),
    high("settings of another collector", "[asset.modbus]", "[asset.opcua]", "asset[0].opcua", "another collector"),
    high("settings of a collector with a slip", "[asset.modbus]", "[asset.modbuss]", "asset[0].modbuss", "unknown table", "did you mean modbus?", "line 24"),
    high("a tag's key at the asset", 'class = "process"', 'unit = "bar"', "asset[0].unit", "belongs to a tag"),
    high("a fence below the asset", "max_gap = 16", 'never_read = ["holding:9"]', "asset[0].modbus.never_read", "belongs to [[asset]]", "move it there"),
    high("a time below the asset", "max_gap = 16", 'timeout = "3s"', "asset[0].modbus.timeout", "belongs to [[asset]]", "move it there"),
    high("every at the asset", 'class = "process"', 'every = "1s"', "asset[0].every", "belongs to [[asset.scan]]", "line 20"),
    high("[asset] for [[asset]]", SENDER[SENDER.index("[[asset]]"):], '[asset]\nname = "pump-7"\n', "asset", "no list", "write [[asset]]", "line 17"),
    # --- the low side
    low("no listen", 'listen = "192.0.2.2:5005"\n', "", "inlet.listen", "missing", "write listen =", "line 1"),
    low("an output without url", 'url = "http://127.0.0.1:8086"\n', "", "output[0].url", "plant-influx", "missing", 'write url = "http'),
    low("output's url without scheme", "http://127.0.0.1:8086", "127.0.0.1:8086", "output[0].url", "http://host:port", "write url"),
    low("unknown kind of output", '"influx"', '"influxdb2"', "output[0].kind", "influxdb2", "did you mean influx"),
    low("an output without scope", 'scope = { vendor = "Acme Pumps" }\n', "", "output[0].scope", "nothing is published", 'vendor = ".."'),
    low("scope as a text", '{ vendor = "Acme Pumps" }', '"Acme Pumps"', "output[0].scope", "Acme Pumps", "is no scope", 'vendor = ".."'),
    low("output's name with capitals", '"plant-influx"', '"Plant Influx"', "output[0].name", "Plant Influx", "small letters"),
    low("output named as the receiver's own", '"plant-influx"', '"catch"', "output[0].name", "catch", "choose another"),
    low("buffer too large", "buffer_mib = 64", "buffer_mib = 64000", "inlet.buffer_mib", "64000", "1024", "line 3"),
    low("retention without unit", '"400d"', "400", "retention.history", "400", "quotes", "line 11"),
    low("retention in years", '"400d"', '"2y"', "retention.history", "2y", "h or d"),
    low("history shorter than the journal", '"400d"', '"1d"', "retention.history", "shorter than the journal", legal=True),
    low("journal larger than the disk", "max_gb = 0.1", "max_gb = 1e9", "retention.max_gb", "than the disk has", legal=True),
    low("pages on every network", "127.0.0.1:8600", "0.0.0.0:8600", "portal.listen", "every network", "write the address", legal=True),
    low("the link on every network", "192.0.2.2:5005", "0.0.0.0:5005", "inlet.listen", "from every network", "diode's interface", legal=True),
    low("pages on the link", "127.0.0.1:8600", "192.0.2.2:8600", "portal.listen", "192.0.2.2 is the link's own address", "write the address that people use", legal=True),
    low("pages without port", "127.0.0.1:8600", "127.0.0.1", "portal.listen", "no port", "line 15"),
    low("anyone as a word", '[portal]\n', '[portal]\nanyone = "everybody"\n', "portal.anyone", "'everybody' is no scope", '{ vendor = ".." }', "line 15"),
    low("pages in clear beyond this machine", 'listen = "127.0.0.1:8600"', 'listen = "10.0.0.5:8600"\ntls = false', "portal.tls", "can be read and changed on the way", "take the line out", legal=True),
    low("pages for anyone beyond this machine", 'listen = "127.0.0.1:8600"', 'listen = "10.0.0.5:8600"\nanyone = "all"', "portal.anyone", "reads everything without signing in", "enrol people instead", legal=True),
    low("a certificate without its key", '[portal]\n', '[portal]\ncertificate = "keys/pages.crt"\n', "portal.key", "missing", "given together"),
    low("a login at an organisation without its address", '[portal]\n', '[portal]\noidc = { client_id = "x", secret_file = "keys/x" }\n', "portal.oidc", "issuer"),
    low("key in the wrong table", "buffer_mib = 64", 'history = "30d"', "inlet.history", "belongs to [retention]", "line 3"),
    low("key above its table", "[inlet]", "buffer_mib = 3\n[inlet]", "buffer_mib", "belongs to [inlet]", "line 1"),
    low("the sender's table", "[portal]", '[outlet]\nto = "192.0.2.2:5005"\n[portal]', "outlet", "unknown table", "line 14"),
    low("unknown table", "[retention]", "[retain]", "retain", "unknown table", "retention", "line 9"),
    low("one output in single brackets", "[[output]]", "[output]", "output", "no list", "write [[output]]", "line 17"),
    # --- several at once
    Mistake(
        name="mistakes of four tables, none behind another",
        old='"north-plant"', new='""',
        more=(("mtu = 1500", "mtu = 1"), ("keys/low.pub", "keys/high.pub"), ('unit = "m3/h"', 'units = "m3/h"'), ('"coil:3"', '"coil:3", deadband = 1'), ("max_gap = 16", "max_gap = -1")),
        said=("has 6 mistakes", "site", "outlet.mtu", "keys.receivers[0]", f"{FLOW}.units", "tags[3].deadband", "modbus.max_gap"),
    ),
    Mistake(
        name="mistakes of one tag, none behind another",
        old=TAG, new='at = "holding:x", type = "REAL", units = "bar", range = [5, 1], deadband = -1',
        said=("has 5 mistakes", f"{FLOW}.at", f"{FLOW}.type", f"{FLOW}.units", f"{FLOW}.range", f"{FLOW}.deadband"),
    ),
    Mistake(
        name="mistakes of the low side, none behind another",
        old='"192.0.2.2:5005"', new='"plant"', sender=False,
        more=(("keys/high.pub", "keys/low.pub"), ('"400d"', "400"), ('url = "http://127.0.0.1:8086"\n', ""), ("bucket", "buckt")),
        said=("has 6 mistakes", "inlet.listen", "keys.senders[0]", "retention.history", "output[0].url", "output[0].buckt", "output[0].bucket (plant-influx)"),
    ),
)  # fmt: skip
"""Every mistake with what must be said of it."""

RIGHT = (
    high("a bit of a register that is read whole", '"coil:3"', '"holding:46.3"', "right"),
    high(
        "the same registers in two orders", '"coil:3"', '"holding:0", type = "float32", word_order = "little"', "right"
    ),
    high("values that touch", '"holding:4"', '"holding:2"', "right"),
    high("a byte order mark", _bytes("sender.toml", b"site", b"\xef\xbb\xbfsite"), "", "right"),
    high("line ends of Windows", _bytes("sender.toml", b"\n", b"\r\n"), "", "right"),
    high("spaces behind a line", "mtu = 1500", "mtu = 1500   ", "right"),
    high("Modicon's numbers", '"holding:36"', '"40037"', "right"),
)
"""What looks wrong and is right."""
