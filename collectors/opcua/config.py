"""What an OPC UA server's configuration says: settings and points, parsed and checked. Nothing of the library."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from collectors.base import Device, Point, Request, Scan
from collectors.opcua.address import Address, NodeAddress, parse
from collectors.settings import POLLERS_KEYS, Keys, address, refuse
from protocol.catalog import TYPES

POLICIES = ("None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
"""Security policies that are not deprecated (OPC 10000-7, 6.6), and None."""

CHUNK = 500
"""Most nodes a request where the server does not say fewer: servers for controllers allow 1,000 and less, and one
larger reply would hold the poller's loop for tens of milliseconds."""

LEAST_QUEUE = 10
"""Smallest server-side queue of a monitored item: a source that reports each change may have several a period."""

BUFFER = 20_000
"""Notifications kept between two reads of a scan, at least; about 1 kB each."""

WATCHDOG_S = 5.0
"""Period, and longest answer, of the health probe [s]: the library's 1 s declares a server lost that only paused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One configured node; an array's elements are points `number` to `number + count - 1`."""

    number: int
    count: int
    address: Address
    text: str
    """The address as typed."""
    type: str | None
    """Catalog type that was asked for, or None for the node's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One scan, ready to be read."""

    every_s: float
    nodes: tuple[Node, ...]
    sampling_ms: float
    """How often the server looks at the values [ms]."""
    queue: int
    """Values that the server keeps for each node between two publishings."""
    buffer: int
    """Notifications kept here between two reads; the oldest go first, marked and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How the connection is secured, and who asks."""

    policy: str
    sign_only: bool
    certificate: str
    key: str
    server_certificate: str
    """Pinned; without it the server's own word is taken at each connect."""
    user: str
    password_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A server, ready to be asked."""

    url: str
    subscribe: bool
    describe: bool
    """Ask the server who it is; only in kind `process`."""
    security: Security
    watches: tuple[Watch, ...]


def load(device: Device) -> Config:
    """The device's configuration.

    Raises:
        ConfigError: `mistakes` would not be empty.
    """
    wrong: list[str] = []
    config = _parse(device, wrong)
    if wrong:
        refuse(device.name, wrong)
    return config


def mistakes(device: Device) -> list[str]:
    """Every mistake, as `key: what is wrong; next step`."""
    wrong: list[str] = []
    _parse(device, wrong)
    return wrong


def requests(device: Device) -> list[Request]:
    """What a healthy connection costs; sizes are for security None, and for the server's usual limits."""
    config = load(device)
    out = []
    for watch in config.watches:
        for at in range(0, len(watch.nodes), CHUNK):
            part = watch.nodes[at : at + CHUNK]
            points = sum(node.count for node in part)
            if config.subscribe:
                what = f"publish up to {len(part)} values, sampled every {watch.sampling_ms:g} ms"
                asked, answered = 80, 110 + _VALUE_BYTES * points
            else:
                what = f"read {len(part)} values"
                asked, answered = 90 + sum(_node_bytes(node) for node in part), 60 + _VALUE_BYTES * points
            request = Request(
                what=what, every_s=watch.every_s, points=points, request_bytes=asked, reply_bytes=answered
            )
            out.append(request)
    return [*out, Request(what=PROBE, every_s=WATCHDOG_S, points=0, request_bytes=105, reply_bytes=80)]


PROBE = "read the server's state"
"""The watchdog's request, in words."""

_VALUE_BYTES = 30
"""A Double with status and two timestamps, rounded up [bytes] (OPC 10000-6, 5.2.2.17)."""


def _node_bytes(node: Node) -> int:
    """One ReadValueId: node id, attribute, range, encoding (OPC 10000-6, 5.2.2.9); a path becomes a numeric id."""
    identifier = node.address.identifier if isinstance(node.address, NodeAddress) else 0
    if isinstance(identifier, int):
        return 7 + 14
    return 7 + 14 + (len(identifier.encode()) if isinstance(identifier, str) else 16)


def _parse(device: Device, wrong: list[str]) -> Config:
    address(device.url, "opc.tcp", 4840, wrong)
    keys = Keys("opcua", device.settings, wrong)
    subscribe = keys.word("mode", "subscribe", ("subscribe", "poll")) == "subscribe"
    sampling_ms = keys.whole("sampling_ms", 0, 0, 86_400_000)
    queue = keys.whole("queue", 0, 0, 10_000)
    buffer = keys.whole("buffer", 0, 0, 1_000_000)
    if not subscribe:
        for key in ("sampling_ms", "queue", "buffer"):
            if key in device.settings:
                keys.wrong(key, "has no meaning in a poll", 'take it out, or set mode = "subscribe"')
    security = _security(keys)
    keys.done()
    watches = []
    for scan in device.scans:
        nodes = [node for point in scan.points if (node := _node(point, wrong))]
        watches.append(_watch(scan, tuple(nodes), sampling_ms, queue, buffer))
    return Config(
        url=device.url,
        subscribe=subscribe,
        describe=device.kind == "process",
        security=security,
        watches=tuple(watches),
    )


def _watch(scan: Scan, nodes: tuple[Node, ...], sampling_ms: int, queue: int, buffer: int) -> Watch:
    sampled = float(sampling_ms) if sampling_ms else scan.every_s * 1000
    return Watch(
        every_s=scan.every_s,
        nodes=nodes,
        sampling_ms=sampled,
        queue=queue or max(LEAST_QUEUE, 2 * ceil(scan.every_s * 1000 / sampled)),
        buffer=buffer or max(BUFFER, 4 * len(nodes)),
    )


def _node(point: Point, wrong: list[str]) -> Node | None:
    keys = Keys(f"tags.{point.name}", point.options, wrong)
    keys.done(POLLERS_KEYS)
    text = str(point.at)
    where = parse(text)
    if where is None:
        step = "write ns=2;s=Name, nsu=http://uri;s=Name, or a path such as /Objects/2:Plant/2:Pressure"
        keys.wrong("at", f"{text!r} is no node", step)
    if point.type is not None and point.type not in TYPES:
        keys.wrong("type", f"{point.type!r} is not known", "leave it out, or use one of " + ", ".join(TYPES))
    if type(point.count) is not int or point.count < 1:
        keys.wrong("count", f"{point.count!r} is not possible", "use a whole number from 1")
        return None
    if where is None:
        return None
    return Node(number=point.number, count=point.count, address=where, text=text, type=point.type)


def _security(keys: Keys) -> Security:
    policy = keys.word("security", "None", POLICIES)
    found = Security(
        policy=policy,
        sign_only=keys.word("security_mode", "SignAndEncrypt", ("SignAndEncrypt", "Sign")) == "Sign",
        certificate=_file(keys, "certificate"),
        key=_file(keys, "key"),
        server_certificate=_file(keys, "server_certificate"),
        user=keys.text("user"),
        password_file=_file(keys, "password_file"),
    )
    secured = policy != "None"
    for name, given in (("certificate", found.certificate), ("key", found.key)):
        if secured and not given:
            keys.wrong(name, f"{policy} needs it", f"write {name} = a .der or .pem file of this collector")
    if not secured and (found.certificate or found.key or found.server_certificate or found.sign_only):
        keys.wrong("security", "None uses no certificate", f"write one of {', '.join(POLICIES[1:])}")
    if found.password_file and not found.user:
        keys.wrong("user", "a password is nobody's", "write user, or take password_file out")
    plain = keys.flag("plain_password", False)
    if found.password_file and not secured and not plain:
        keys.wrong(
            "password_file", "it could be sent in clear", "set security, or plain_password = true to accept that"
        )
    return found


def _file(keys: Keys, key: str) -> str:
    given = keys.text(key)
    if given and not Path(given).is_file():
        keys.wrong(key, f"there is no file {given}", "write its whole path")
    return given
