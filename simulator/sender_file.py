"""A scene's `sender.toml`: what the high side writes to read every tag of the false plant, at the ports it really got.

It is complete: keys beside it are made where there are none, of both sides, since nothing here is a secret; devices
that speak TLS or OPC UA's secure channel get a certificate that stays (a scene's own files are left), and so does the
reader. A file that this module did not write is never overwritten. What it says of a device comes from the scene alone,
never from a collector's code: it is written as a person would write it from `docs/collectors/`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

from protocol import keymaking
from protocol.errors import ConfigError
from simulator.certificates import pair
from simulator.modbus.registers import MOST, width
from simulator.scene.scene import DeviceSection, Scene, ScenePoint

FIRST = "# Written by `checkvalve simulate --sender-toml`"
"""How a file begins that may be written again."""
SECRETS = "simulated"
"""Folder beside the file with certificates and passwords: a plant in a box has none worth keeping."""
READER = "urn:checkvalve:simulated:reader"

Places: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By asset: `url`, and for Modbus `unit`."""


def prepared(scene: Scene, file: Path) -> Scene:
    """The scene with certificates that stay beside the file, where devices would have made some for one run.

    Raises:
        ConfigError: the file is somebody else's, or its folder cannot be written.
    """
    _may_write(file)
    folder = file.absolute().parent / SECRETS
    servers = []
    for section in scene.servers:
        if _guarded(section) and not section.settings.get("certificate"):
            folder.mkdir(parents=True, exist_ok=True)
            named = {"certificate": str(folder / f"{section.asset}.pem")}
            servers.append(dataclasses.replace(section, settings={**section.settings, **named}))
        else:
            servers.append(section)
    return dataclasses.replace(scene, servers=tuple(servers))


def write(file: Path, scene: Scene, places: Places) -> None:
    """Write the file, and beside it what it names.

    Args:
        file: Replaced if this module wrote it.
        scene: As `prepared` gave it.
        places: Where the devices really listen.

    Raises:
        ConfigError: as for `prepared`.
    """
    _may_write(file)
    folder = file.absolute().parent / SECRETS
    try:
        for side in ("high", "low"):
            if not (file.parent / f"keys/{side}.pub").exists():
                keymaking.make(side, file.parent / "keys" / side)
        for section in scene.servers:
            _put_secrets(section, folder)
        fresh = file.with_name(f".{file.name}.{os.getpid()}")
        fresh.write_text(text(scene, places, folder), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", hint="give a file in a folder that can be written") from error


def text(scene: Scene, places: Places, secrets: Path) -> str:
    """The whole file; `secrets` is the folder of certificates and passwords, with its whole path."""
    head = f"""\
{FIRST} of the scene `{scene.name}`; written anew at each start, unless this line is gone.
# keys/ beside it has the keys of both sides, for a plant that is not real; keys/low belongs to the receiver.
site = {_toml(scene.site or scene.name)}

[outlet]
to = "127.0.0.1:15005"
rate_mbit = 20
loss_target = "1%"
repeat = ["20s", "15m"]

[keys]
own = "keys/high"
receivers = ["keys/low.pub"]

[spool]
keep = "1d"
max_gb = 2
"""
    return head + "".join(_asset(section, places[section.asset], secrets) for section in scene.servers)


def _asset(section: DeviceSection, place: Mapping[str, Any], secrets: Path) -> str:
    url, settings = str(place["url"]), _settings(section, place, secrets)
    if section.protocol == "modbus" and section.settings.get("tls"):
        url = url.replace("tcp://", "tls://", 1)
    told = {key: getattr(section, key) for key in ("vendor", "serial", "model", "path")}
    words = {"name": section.asset, **{key: value for key, value in told.items() if value}, "simulated": True}
    lines = ["", "[[asset]]", *_pairs(words | {"collector": section.protocol, "url": url})]
    if settings:
        lines += [f"[asset.{section.protocol}]", *_pairs(settings)]
    tags = [f"  {{ {', '.join(_pairs(tag))} }}," for tag in _tags(section)]
    return "\n".join([*lines, "[[asset.scan]]", 'every = "1s"', "tags = [", *tags, "]", ""])


def _settings(section: DeviceSection, place: Mapping[str, Any], secrets: Path) -> dict[str, Any]:
    """`[asset.PROTOCOL]`: what a device's own settings ask of whoever reads it."""
    given = section.settings
    out: dict[str, Any] = {}
    if section.protocol == "modbus":
        out = {"unit": int(place.get("unit", 1))}
        out |= {"framing": "rtu"} if given.get("framing") == "rtu" else {}
        out |= {"word_order": "little"} if given.get("word_order") == "little" else {}
        out |= {"byte_swap": True} if given.get("byte_order") == "little" else {}
        out |= {"authority": str(Path(given["certificate"]).absolute())} if given.get("tls") else {}
    elif section.protocol == "enip":
        out = {"slot": int(given["slot"])} if "slot" in given else {}
        out |= {"large_forward_open": False} if given.get("refuse_large") else {}
    elif _guarded(section):
        if modes := [one for one in given.get("security", []) if one != "none"]:
            out = {"security": "Basic256Sha256", "server_certificate": str(Path(given["certificate"]).absolute())}
            out |= {"security_mode": "SignAndEncrypt" if "encrypt" in modes else "Sign"}
            out |= {"certificate": str(secrets / "reader.pem"), "key": str(secrets / "reader-key.pem")}
        if users := given.get("users"):
            out |= {"user": next(iter(users)), "password_file": str(secrets / f"{section.asset}.password")}
            out |= {} if modes else {"plain_password": True}
    return out


def _guarded(section: DeviceSection) -> bool:
    """Whether a reader needs files: a certificate, a password."""
    given = section.settings
    return bool(given.get("tls") or given.get("users") or given.get("security", ["none"]) != ["none"])


def _put_secrets(section: DeviceSection, folder: Path) -> None:
    if section.protocol != "opcua" or not _guarded(section):
        return
    folder.mkdir(parents=True, exist_ok=True)
    own = pair("simulated plant's reader", READER, "127.0.0.1", folder / "reader.pem")
    _keep(folder / "reader-key.pem", own.key)  # OPC UA's libraries tell PEM by the ending
    for password in list(section.settings.get("users", {}).values())[:1]:
        _keep(folder / f"{section.asset}.password", str(password).encode())


def _keep(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def _tags(section: DeviceSection) -> Iterator[dict[str, Any]]:
    """One for each scalar, and one for each array of a simple type, which is read whole."""
    seen = set[str]()
    for point in section.points:
        name = point.name.rpartition("[")[0] if point.entry.dims else point.name
        if name not in seen:
            seen.add(name)
            at = {"modbus": _modbus_at, "opcua": _opcua_at, "enip": _enip_at}[section.protocol](section, point, name)
            many = {"count": prod(point.entry.dims)} if point.entry.dims else {}
            yield {"name": name, **at, **many, **_words(section, point)}


def _modbus_at(section: DeviceSection, point: ScenePoint, name: str) -> dict[str, Any]:
    """The address and, since Modbus tells none, the type; what is smaller than a register takes all of one."""
    table = point.at.partition(":")[0]
    kind = point.entry.type
    if MOST[table] > 125:  # a bit
        return {"at": point.at}
    if kind == "bool":
        return {"at": f"{point.at}.0"}
    if kind == "string":
        return {"at": point.at, "type": kind, "length": 2 * width(kind, point.entry.length)}
    return {"at": point.at, "type": {"int8": "int16", "uint8": "uint16"}.get(kind, kind)}


def _opcua_at(section: DeviceSection, point: ScenePoint, name: str) -> dict[str, Any]:
    """The namespace by its uri; where ids change with each start, the way of browse names."""
    uri = str(section.settings.get("namespace", f"urn:checkvalve:simulated:{section.asset}"))
    if section.settings.get("renumber"):
        parts = [*filter(None, section.path.split("/")), section.asset, *name.split(".")]
        first, *others = map(_escaped, parts)
        return {"at": f"/Objects/nsu={uri};{first}" + "".join(f"/;{part}" for part in others)}
    return {"at": f"nsu={uri};{point.at or f's={name}'}"}


def _enip_at(section: DeviceSection, point: ScenePoint, name: str) -> dict[str, Any]:
    return {"at": f"{name}[{','.join('0' * len(point.entry.dims))}]" if point.entry.dims else name}


def _words(section: DeviceSection, point: ScenePoint) -> dict[str, Any]:
    """What the device does not say of itself: OPC UA's servers say it all."""
    entry = point.entry
    if section.protocol == "opcua":
        return {}
    out: dict[str, Any] = {"unit": entry.unit} if entry.unit else {}
    if description := entry.description or point.description:
        out["description"] = description
    if entry.low is not None and entry.high is not None and entry.type not in ("bool", "string"):
        out["range"] = [entry.low, entry.high]
    if entry.states:
        out["states"] = list(entry.states)
    return out


def _escaped(part: str) -> str:
    """A browse name in a path: `&` before what would be read as something else (OPC 10000-4, Annex A.2)."""
    return "".join(f"&{one}" if one in "&/.<>:#!*" else one for one in part)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items()]


def _toml(value: Any) -> str:
    """Texts, numbers, bools and lists of them are written alike in TOML and JSON."""
    return json.dumps(value)


def _may_write(file: Path) -> None:
    try:
        with file.open(encoding="utf-8", errors="replace") as held:
            line = held.readline()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", hint="give a file that can be read and written") from error
    if not line.startswith(FIRST):
        raise ConfigError(f"{file} is there, and not written by `simulate`", hint="name another file")
