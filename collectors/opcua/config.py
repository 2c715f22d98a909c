"""What an OPC UA server's configuration says: settings and points, parsed and checked. Nothing of the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from collectors.base import Device, Point, Request, Scan
from collectors.opcua.address import Address, BranchAddress, Fences, NodeAddress, PathAddress, fences, indexes, parse
from collectors.opcua.secure import keypairs
from collectors.opcua.secure import settings as security
from collectors.opcua.secure.settings import Security
from collectors.opcua.stamps import CHOICES, DAY_NS
from collectors.settings import POLLERS_KEYS, KeyReader, address, refuse
from protocol.content.catalog import TYPES
from protocol.text import seconds
from protocol.written import counted

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
    """One configured node; an array's elements are points `number` to `number + count - 1`.

    A branch has room for so many nodes.
    """

    number: int
    count: int
    address: Address
    text: str
    """The address as typed."""
    type: str | None
    """Catalog type that was asked for, or None for the node's own."""
    name: str = ""
    """The tag's."""
    path: PathAddress | None = None
    """Where the node is found again when its id is another one."""


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
class Config:
    """A server, ready to be asked."""

    urls: tuple[str, ...]
    """The preferred server first."""
    subscribe: bool
    gentle: bool
    """Do not ask the server who it is, for paths of nodes, or for the conditions it holds; look at no second server."""
    security: Security
    time: str
    """Whose time a value gets: `source`, `server` or `read`."""
    offset_ns: int
    """Added to the times of source and server [ns]."""
    events: str
    """`none`, `conditions` or `all`."""
    notifiers: tuple[NodeAddress | PathAddress, ...]
    """Whose events are listened to."""
    least_severity: int
    fences: Fences
    indexes: frozenset[int]
    """Namespaces that are named by an index anywhere."""
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
    """Every mistake, as `key: what is wrong; next step`; certificates and keys are opened."""
    wrong: list[str] = []
    config = _parse(device, wrong)
    keys = KeyReader("opcua", device.settings, wrong)
    for key, what, step in keypairs.mistakes(config.security):
        keys.wrong(key, what, step)
    return wrong


def doubts(device: Device) -> list[str]:
    """What may change its meaning: namespaces named by an index."""
    config = _parse(device, [])
    nodes = [node for watch in config.watches for node in watch.nodes]
    named = [node for node in nodes if indexes(node.address) or (node.path and indexes(node.path))]
    if not config.indexes:
        return []
    which = ", ".join(f"ns={index}" for index in sorted(config.indexes))
    tags = f" by {counted(len(named), 'tag')}, the first {named[0].name}" if named else ""
    return [
        f"namespaces are named by their index ({which}){tags}: a server may count them otherwise after a restart. What "
        "each means is looked up at the first reading, and kept; write nsu= and the uri, as `discover` does"
    ]


def requests(device: Device) -> list[Request]:
    """What a healthy connection costs; sizes are for security None, and for the server's usual limits."""
    config = load(device)
    out = []
    for watch in config.watches:
        for at in range(0, len(watch.nodes), CHUNK):
            part = watch.nodes[at : at + CHUNK]
            points = sum(node.count for node in part)
            branches = [node for node in part if isinstance(node.address, BranchAddress)]
            values = len(part) - len(branches) + sum(node.count for node in branches)
            most = "up to " if branches or config.subscribe else ""
            if config.subscribe:
                what = f"publish {most}{values} values, sampled every {watch.sampling_ms:g} ms"
                asked, answered = 80, 110 + _VALUE_BYTES * points
            else:
                what = f"read {most}{values} values"
                asked, answered = 90 + sum(_node_bytes(node) for node in part), 60 + _VALUE_BYTES * points
            request = Request(
                what=what, every_s=watch.every_s, points=points, request_bytes=asked, reply_bytes=answered
            )
            out.append(request)
    out.append(Request(what=PROBE, every_s=WATCHDOG_S, points=0, request_bytes=105, reply_bytes=80))
    if len(config.urls) > 1:
        out.append(Request(what=LEVEL, every_s=LEVEL_S, points=0, request_bytes=105, reply_bytes=80))
    if config.events != "none":
        what = f"publish {'events' if config.events == 'all' else 'alarms'} of {len(config.notifiers)} nodes"
        out.append(Request(what=what, every_s=EVENTS_S, points=0, request_bytes=80, reply_bytes=110))
    return out


PROBE = "read the server's state"
"""The watchdog's request, in words."""

LEVEL, LEVEL_S = "read the server's ServiceLevel", 5.0
"""What one of several servers is asked, and how often [s]."""

EVENTS_S = 1.0
"""How often a server tells what has happened [s]."""

_VALUE_BYTES = 30
"""A Double with status and two timestamps, rounded up [bytes] (OPC 10000-6, 5.2.2.17)."""


def _node_bytes(node: Node) -> int:
    """One ReadValueId: node id, attribute, range, encoding (OPC 10000-6, 5.2.2.9); a path becomes a numeric id."""
    if isinstance(node.address, BranchAddress):
        return (7 + 14) * node.count
    identifier = node.address.identifier if isinstance(node.address, NodeAddress) else 0
    if isinstance(identifier, int):
        return 7 + 14
    return 7 + 14 + (len(identifier.encode()) if isinstance(identifier, str) else 16)


def _parse(device: Device, wrong: list[str]) -> Config:
    urls = device.urls or (device.url,)
    for url in urls:
        address(url, "opc.tcp", 4840, wrong)
    keys = KeyReader("opcua", device.settings, wrong)
    subscribe = keys.word("mode", "subscribe", ("subscribe", "poll")) == "subscribe"
    sampling_ms = keys.whole("sampling_ms", 0, 0, 86_400_000)
    queue = keys.whole("queue", 0, 0, 10_000)
    buffer = keys.whole("buffer", 0, 0, 1_000_000)
    if not subscribe:
        for key in ("sampling_ms", "queue", "buffer"):
            if key in device.settings:
                keys.wrong(key, "has no meaning in a poll", 'take it out, or set mode = "subscribe"')
    time = keys.word("time", "source", CHOICES)
    offset_ns = _offset(keys, time)
    found = security.read(keys)
    events = keys.word("events", "none", ("none", "conditions", "all"))
    notifiers = _notifiers(keys, events)
    least = keys.whole("least_severity", 1, 1, 1000)
    keys.done()
    fenced = fences(device.never_read, wrong)
    watches = []
    for scan in device.scans:
        nodes = [node for point in scan.points if (node := _node(point, fenced, wrong, gentle=device.gentle))]
        watches.append(_watch(scan, tuple(nodes), sampling_ms, queue, buffer))
    return Config(
        urls=urls,
        subscribe=subscribe,
        gentle=device.gentle,
        security=found,
        time=time,
        offset_ns=offset_ns,
        events=events,
        notifiers=notifiers,
        least_severity=least,
        fences=fenced,
        indexes=_indexes(watches, fenced, notifiers),
        watches=tuple(watches),
    )


def _offset(keys: KeyReader, time: str) -> int:
    """The key `time_offset` [ns]."""
    text = keys.text("time_offset")
    if not text:
        return 0
    if time == "read":
        keys.wrong("time_offset", "the time of reading is ours, and right", 'take it out, or set time = "source"')
    try:
        whole = round(seconds(text.strip().lstrip("+-")) * 1e9)
    except ValueError:
        whole = DAY_NS + 1
    if whole > DAY_NS or text.strip().lstrip("+-") != text.strip()[text.strip()[:1] in "+-" :]:
        keys.wrong("time_offset", f"{text!r} is not possible", 'write "-2h", "30m" or "1.5s", at most a day')
        return 0
    return -whole if text.strip().startswith("-") else whole


def _indexes(
    watches: Sequence[Watch], fenced: Fences, notifiers: Sequence[NodeAddress | PathAddress]
) -> frozenset[int]:
    nodes = [node for watch in watches for node in watch.nodes]
    found = [indexes(one) for one in (*notifiers, *(node.address for node in nodes))]
    found += [indexes(node.path) for node in nodes if node.path]
    found += [indexes(PathAddress(steps=steps)) for steps in fenced.paths]
    found.append({space for space, _ in fenced.nodes if isinstance(space, int) and space})
    return frozenset().union(*found)


def _watch(scan: Scan, nodes: tuple[Node, ...], sampling_ms: int, queue: int, buffer: int) -> Watch:
    sampled = float(sampling_ms) if sampling_ms else scan.every_s * 1000
    return Watch(
        every_s=scan.every_s,
        nodes=nodes,
        sampling_ms=sampled,
        queue=queue or max(LEAST_QUEUE, 2 * ceil(scan.every_s * 1000 / sampled)),
        buffer=buffer or max(BUFFER, 4 * len(nodes)),
    )


def _notifiers(keys: KeyReader, events: str) -> tuple[NodeAddress | PathAddress, ...]:
    given = keys.texts("notifiers")
    if events == "none":
        for key in ("notifiers", "least_severity"):
            if key in keys.table:
                keys.wrong(key, "no events are asked for", 'take it out, or set events = "conditions"')
        return ()
    out: list[NodeAddress | PathAddress] = []
    for text in given or ("i=2253",):
        where = parse(text)
        if where is None or isinstance(where, BranchAddress):
            keys.wrong("notifiers", f"{text!r} is no node", "write i=2253 for the server, or an area's path")
        else:
            out.append(where)
    return tuple(out)


def _node(point: Point, fenced: Fences, wrong: list[str], *, gentle: bool) -> Node | None:
    before = len(wrong)
    keys = KeyReader(f"tags.{point.name}", point.options, wrong)
    path = _again(keys)
    keys.done(POLLERS_KEYS)
    text = str(point.at)
    where = parse(text)
    if where is None:
        step = "write ns=2;s=Name, nsu=http://uri;s=Name, or a path such as /Objects/2:Plant/2:Pressure"
        keys.wrong("at", f"{text!r} is no node", step)
    elif isinstance(where, BranchAddress) is not point.pattern:
        keys.wrong(
            "at", f"{text!r} is {'one node' if point.pattern else 'a branch'}", "name a node, or a branch with *"
        )
    elif gentle and point.pattern:
        keys.wrong("at", f"{text!r} would browse a device of this class", "type each node")
    elif path is not None and not isinstance(where, NodeAddress):
        keys.wrong("path", "the address is a path already", "take it out")
    elif fence := fenced.forbids(where) or (fenced.forbids(path) if path else ""):
        keys.wrong("at", f"{text} is in never_read {fence!r}", "take the tag out")
    if point.type is not None and point.type not in TYPES:
        keys.wrong("type", f"{point.type!r} is not known", "leave it out, or use one of " + ", ".join(TYPES))
    if type(point.count) is not int or point.count < 1:
        keys.wrong("count", f"{point.count!r} is not possible", "use a whole number from 1")
    if where is None or len(wrong) > before:
        return None
    return Node(
        number=point.number,
        count=point.count,
        address=where,
        text=text,
        type=point.type,
        name=point.name,
        path=path,
    )


def _again(keys: KeyReader) -> PathAddress | None:
    """The key `path`."""
    text = keys.text("path")
    if not text:
        return None
    where = parse(text)
    if isinstance(where, PathAddress):
        return where
    keys.wrong("path", f"{text!r} is no path to a node", "write /Objects/2:Plant/2:Pressure")
    return None
