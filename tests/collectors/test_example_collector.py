"""The collector that docs/add-a-collector.md builds is whole, short, and works when it is installed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "line-collector"
FILES = ("pyproject.toml", "line_collector.py", "test_line_collector.py")

HEAD = """site = "s"
[outlet]
to = "127.0.0.1:5005"
rate_mbit = 1
[keys]
own = "keys/high"
receivers = ["keys/low.pub"]
[spool]
keep = "1d"
max_gb = 1
"""


def test_the_page_shows_the_files_as_they_are() -> None:
    """Whoever types the page has the example; the collector itself is under 100 lines."""
    page = (ROOT / "docs" / "add-a-collector.md").read_text()
    for name in FILES:
        assert (FOLDER / name).read_text() in page, name
    assert len((FOLDER / "line_collector.py").read_text().splitlines()) < 100


def test_the_example_keeps_every_law() -> None:
    """Its own tests, as its author would run them."""
    words = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-c", os.devnull, "-p", "no:cacheprovider", "."]
    said = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, timeout=110)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "14 passed" in said.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as an installer leaves it: the module, and its entry points beside it."""
    made = tmp_path / "site"
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    folder = made / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items()) for group, names in groups]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    (made / "line_collector.py").write_text((FOLDER / "line_collector.py").read_text())
    return made


def test_an_installed_collector_is_found_drafts_and_its_draft_is_accepted_unchanged(
    installed: Path, tmp_path: Path
) -> None:
    """`discover`, then `send --check` and `plan` of what it printed; nothing of the tree was changed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write({b"LIST\n": b"LEVEL FLOW\n", b"*IDN?\n": b"Acme,LX-1,77,2.0\n"}.get(line, b"4.25\n"))
        writer.close()

    async def command(words: Sequence[str]) -> str:
        path = os.pathsep.join((str(installed), os.environ.get("PYTHONPATH", "")))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "checkvalve", *words),
            env={**os.environ, "PYTHONPATH": path},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"lines://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        section = await command(["discover", "lines", url, "--name", "tank"])
        file = tmp_path / "sender.toml"
        file.write_text(HEAD + section)
        assert "1 asset, 2 tags" in await command(["send", "--check", str(file)])
        (device,) = json.loads(await command(["plan", "--json", str(file)]))["devices"]
        assert [one["what"] for one in device["requests"]] == ["READ LEVEL", "READ FLOW"]
        server.close()
        await server.wait_closed()

    asyncio.run(main())
