"""What `discover` found, as a section of `sender.toml` that `send --check` accepts.

A tag that would be a mistake (a name that stands twice, a type nobody knows) is written as a comment with its reason,
so that nothing that was found is left out and nothing that is written is wrong. Texts in quotes read back to what the
device said, escaped where they are not safe to show; in comments, and in who the device is, they are one inert line.
Pure: text in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from collectors.base import Collector, Device, Draft, numbered
from protocol.inert import inert
from protocol.written import toml, toml_key
from sender.poll.ids import cut
from sender.poll.tables import TagTable

EVERY_S = 1.0
"""Period of a drafted scan [s]."""


def asset_section(device: Device, collector: type[Collector], draft: Draft) -> str:
    """The `[[asset]]` section, ending in a newline.

    Args:
        device: As it was asked: name, url, class, timeout and settings; without scans.
        collector: Its collector, whose `check` decides what may stand.
        draft: What it found.
    """
    identity = draft.identity
    lines = [f"# {inert(device.url)}, as `checkvalve discover` found it: take out what is not needed,"]
    lines += ["# set periods, add deadband and description where they help."]
    if identity.firmware:
        lines.append(f"# firmware {inert(identity.firmware)}")
    lines += [f"# {inert(note)}" for note in draft.notes]
    lines += ["[[asset]]", f"name = {toml(device.name)}"]
    for key, said in (("vendor", identity.vendor), ("model", identity.model), ("serial", identity.serial)):
        if said.strip():
            lines.append(f"{key} = {toml(cut(_name(said)))}")
    lines += [f"class = {toml(device.kind)}"] if device.kind != "process" else []
    lines += [f"collector = {toml(collector.protocol)}", f"url = {toml(device.url)}"]
    lines += [f"never_read = {toml(list(device.never_read))}"] if device.never_read else []
    if device.settings:
        lines.append(f"[asset.{toml_key(collector.protocol)}]")
        lines += [f"{toml_key(key)} = {toml(value)}" for key, value in device.settings.items()]
    lines += ["", *_scan(device, collector, draft.tags)]
    return "\n".join(lines) + "\n"


def _scan(device: Device, collector: type[Collector], tags: Iterable[Mapping[str, Any]]) -> list[str]:
    right, wrong = [], []
    names: set[str] = set()
    for tag in tags:
        reason = _reason(device, collector, tag, names)
        try:
            text = toml(tag)
        except ValueError as error:
            text, reason = repr(dict(tag)), str(error)
        if reason:
            wrong.append(f"# {inert(text, None)},   # {inert(reason)}")
        else:
            right.append(f"  {text},")
    if right:
        return ["[[asset.scan]]", 'every = "1s"', "tags = [", *right, "]", *wrong]
    example = "# tags = [" + toml(collector.example or TagTable.EXAMPLES) + "]"
    return ["# [[asset.scan]]", '# every = "1s"', example, *wrong]


def _reason(device: Device, collector: type[Collector], tag: Mapping[str, Any], names: set[str]) -> str:
    """Why this table cannot stand, empty where it can; `names` learns what is taken."""
    try:
        read = TagTable.model_validate(dict(tag))
    except ValidationError as error:
        detail = error.errors()[0]
        return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
    own = {read.name, *(f"{read.name}[{index}]" for index in range(read.count if read.count > 1 else 0))}
    if own & names:
        return "the name stands twice"
    own_keys = {key: getattr(read, key) for key in ("name", "at", "type", "count", "unit")}
    whole = Device(
        name=device.name,
        url=device.url,
        kind=device.kind,
        settings=device.settings,
        scans=numbered([(EVERY_S, [read.options | own_keys])]),
        timeout_s=device.timeout_s,
        never_read=device.never_read,
    )
    mistakes = [text for _, text in read.crossed()] + [
        line for line in collector.check(whole) if line.startswith("tags.")
    ]
    if not mistakes:
        names |= own
    return mistakes[0] if mistakes else ""


def _name(text: str) -> str:
    """What `sender.toml` takes for a name: printable, a space for everything else."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
