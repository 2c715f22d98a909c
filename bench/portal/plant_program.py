"""A plant's history kept alive, and its pages: the two processes behind the rows of `plant_rows.py`.

    plant_program.py write FOLDER     writes the plant, prints "ready", then goes on in real time until it is ended
    plant_program.py serve FOLDER     serves its pages, prints their address

200 assets with 10,000 tags: `turbine` has 800 and `press-line` 1,000, both read each second; the rest is read once a
minute, in sixty parts. Names are paths; one value in some 200 is bad or outside its normal band.

Both use nothing that is younger than the build they are compared with but for names, which stand in one table, so that
both builds run this very file.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

TURBINE, PRESS_LINE = "turbine", "press-line"
SIZES = {TURBINE: 800, PRESS_LINE: 1_000}
ASSETS, TAGS = 200, 10_000
SITE = "bench"
PARTS = 60
"""Of the other assets' tags, one a second."""
SEED = 5

_NAMES = {
    "Asset": ("protocol.content.catalog:Asset", "protocol.catalog:Asset"),
    "Tag": ("protocol.content.catalog:Tag", "protocol.catalog:Tag"),
    "Page": ("protocol.content.catalog:Page", "protocol.catalog:Page"),
    "Row": ("protocol.content.sample:Row", "protocol.sample:Row"),
    "from_rows": ("protocol.content.sample:from_rows", "protocol.sample:from_rows"),
    "stream": ("receiver.outputs.base:StreamDescription", "receiver.outputs.base:Stream"),
    "block": ("receiver.outputs.base:OpenedBlock", "receiver.outputs.base:Opened"),
    "batch": ("receiver.outputs.base:BatchBody", "receiver.outputs.base:Batch"),
    "state": ("receiver.outputs.base:StateBody", "receiver.outputs.base:State"),
    "output": ("receiver.outputs.historian.output:HistorianOutput", "receiver.outputs.historian.store:HistorianOutput"),
    "Scope": ("receiver.outputs.historian.views:Scope",),
    "create_app": ("receiver.portal.app:create_app",),
    "Server": ("receiver.portal.serving.serve:Server", "receiver.portal.serve:Server"),
    "bind": ("receiver.portal.serving.serve:bind", "receiver.portal.serve:bind"),
    "url": ("receiver.portal.serving.serve:url", "receiver.portal.serve:url"),
}
"""By what is meant: where it is, now and in the build before."""


def named(what: str) -> Any:
    """A class or function of whichever build runs this."""
    for place in _NAMES[what]:
        module, _, name = place.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(what)


def write(folder: Path) -> None:
    """The plant, in real time, until it is ended."""
    others = ASSETS - len(SIZES)
    counts = {f"pump-{at:03d}": 0 for at in range(others)} | SIZES
    for at in range(TAGS - sum(SIZES.values())):
        counts[f"pump-{at % others:03d}"] += 1
    assets = {name: named("Asset")(name=name, site=SITE, path="north/hall-1", model="M-1") for name in counts}
    tags: dict[int, Any] = {}
    for name, count in counts.items():
        for at in range(count):
            given = {"unit": "Cel", "low": 0, "high": 900, "normal_high": 800, "description": f"Channel {at} of {name}"}
            scan = {} if name in SIZES else {"scan_s": float(PARTS), "max_silence_s": 2.0 * PARTS}
            path = f"train-{at // 40:02d}/bearing-{at // 10:03d}/channel-{at:04d}"
            tags[len(tags)] = named("Tag")(id=len(tags), asset=name, name=path, **given, **scan)
    stream = named("stream")(key=b"\x01" * 8, boot=1, site=SITE, assets=assets, tags=tags)
    state = folder / "state"
    state.mkdir(parents=True)
    output, number = named("output")(folder / "history"), 0

    def take(*bodies: Any) -> None:
        nonlocal number
        blocks = []
        for body in bodies:
            one = named("block")(stream=stream, number=number, healed=False, received_ns=time.time_ns(), body=body)
            blocks.append(one)
            number += 1
        output.take(blocks, b"place")

    chance = random.Random(SEED)
    odd = {ident for ident in tags if chance.random() < 0.005}

    def values(idents: list[int]) -> Any:
        now, row = time.time_ns(), named("Row")
        wave = math.sin(now / 5e9)
        rows = [
            row(at, now, 850.0 if at in odd else 400 + at % 300 + 40 * wave, 0x80000000 if at in odd and at % 2 else 0)
            for at in idents
        ]
        return named("batch")(columns=named("from_rows")(rows), first_ns=now, last_ns=now)

    take(named("Page")(index=0, assets=tuple(assets.values()), tags=tuple(tags.values())), values(list(tags)))
    take(*(named("state")(asset=name, time_ns=time.time_ns(), what="up", text="") for name in assets))
    fast = [ident for ident, tag in tags.items() if tag.asset in SIZES]
    slow = [ident for ident, tag in tags.items() if tag.asset not in SIZES]
    _report(state)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    part, due = 0, time.monotonic()
    while True:
        due += 1.0
        time.sleep(max(due - time.monotonic(), 0.0))
        take(values(fast + slow[part::PARTS]))
        output.step(0.0)
        _report(state)
        part = (part + 1) % PARTS


def _report(state: Path) -> None:
    """What the processes of a low side that is well say of themselves."""
    blocks = {"expected": 812, "whole": 812, "repaired": 0, "healed": 0, "missing": 0, "expired": 0}
    link: dict[str, Any] = {"session": "a1b2c3d4", "confirmed": True, "beat_age_s": 0.4, "beat_wall_ns": None}
    link |= {"frames_sent": 10_000, "frames_received": 10_000, "loss": 0.0, "loss_total": 0.0, "kernel_drops": 0}
    link |= {"queue_overflow": 0, "refused": {}, "versions": {}}
    told: dict[str, dict[str, Any]] = {
        "catch": {"pid": 1, "warnings": [], "link": link, "blocks": blocks, "streams": [], "gaps": []},
        "publish": {"children": {"historian": {"restarts": 0}}},
        "historian": {"latency_ms": {"p50": 140.0, "p99": 311.0}, "waiting": 0, "trouble": ""},
    }
    for name, body in told.items():
        beside = state / f"status-{name}.new"
        beside.write_text(json.dumps({"process": name, "time_ns": time.time_ns(), **body}))
        beside.replace(state / f"status-{name}.json")


def serve(folder: Path) -> None:
    """The pages, until the process is ended."""
    sock = named("bind")("127.0.0.1", 0)
    app = named("create_app")(folder / "history", folder / "state", named("Scope")(), clock=time.time_ns)

    def ready() -> None:
        sys.stdout.write(f"{named('url')(sock).rstrip('/')}\n")
        sys.stdout.flush()

    named("Server")(app, ready).run(sockets=[sock])


if __name__ == "__main__":
    {"write": write, "serve": serve}[sys.argv[1]](Path(sys.argv[2]))
