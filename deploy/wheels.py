"""Build the wheels: `checkvalve` with every room, and one a side that physically lacks the other side's.

    checkvalve        all rooms, for the demo, the simulator and an auditor
    checkvalve-high   protocol, collectors, sender, oneway, audit
    checkvalve-low    protocol, receiver, oneway, audit

Each is built by the project's own backend from a copy of the tree, with a pyproject.toml that names only its rooms and
only the libraries that those import; their bounds are the project's. The backend is one of the `dev` extra's packages,
so that nothing is fetched. Usage: python deploy/wheels.py all|high|low FOLDER
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = ("protocol", "oneway", "audit", "supervise.py", "checkvalve.py")
ROOMS = {"high": ("collectors", "sender", *SHARED), "low": ("receiver", *SHARED)}
"""Folders and modules of each side's wheel."""
_BOTH = ("cryptography", "msgpack", "numpy", "pydantic", "reedsolo", "rich", "typer", "zstandard")
LIBRARIES = {
    "high": (*_BOTH, "asyncua", "pycomm3", "pymodbus"),
    "low": (
        *_BOTH,
        "argon2-cffi",
        "influxdb-client",
        "jinja2",
        "markupsafe",
        "orjson",
        "pyotp",
        "segno",
        "starlette",
        "uvicorn",
    ),
}
"""What each side's rooms import; a test holds this against their source."""
EXTRAS = {"high": ("fast",), "low": ("fast", "kafka", "mqtt", "nats", "oidc", "parquet", "passkeys", "postgresql")}
"""What each side can do more, where a library is there."""
POINTS = {"high": "checkvalve.collectors", "low": "checkvalve.outputs"}
"""The group of entry points that each side announces: what it has, and what others may add to it."""


def build(side: str, folder: Path) -> Path:
    """Build one wheel.

    Args:
        side: `all`, `high` or `low`.
        folder: Where it is put.

    Returns:
        The wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkvalve-wheel-") as name:
        stage = ROOT
        if side != "all":
            stage = Path(name)
            _copy(side, stage)
        argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder.resolve())]
        subprocess.run(argv, cwd=stage, check=True, stdout=subprocess.DEVNULL)
    wanted = "checkvalve" if side == "all" else f"checkvalve_{side}"
    (built,) = [one for one in folder.glob("*.whl") if one.name.split("-")[0] == wanted]
    return built


def project(side: str) -> str:
    """The side's pyproject.toml."""
    held = tomllib.loads((ROOT / "pyproject.toml").read_text())
    whole: dict[str, Any] = held["project"]
    kept = ("version", "readme", "requires-python", "license", "license-files", "keywords", "classifiers")
    lines = ["[build-system]", *_pairs(held["build-system"]), "", "[project]", f'name = "checkvalve-{side}"']
    lines += _pairs({"description": f"{whole['description'].rstrip('.')} ({side} side)."})
    lines += _pairs({key: whole[key] for key in kept})
    bounds = {_name(one): one for one in whole["dependencies"]}
    lines += _pairs({"dependencies": [bounds[name] for name in sorted(LIBRARIES[side])]})
    lines += ["", "[project.optional-dependencies]"]
    lines += _pairs({extra: whole["optional-dependencies"][extra] for extra in EXTRAS[side]})
    lines += ["", "[project.scripts]", *_pairs(whole["scripts"])]
    group = POINTS[side]
    lines += ["", f'[project.entry-points."{group}"]', *_pairs(whole["entry-points"][group])]
    lines += ["", "[tool.hatch.build.targets.wheel]", *_pairs({"only-include": list(ROOMS[side])})]
    return "\n".join(lines) + "\n"


def _copy(side: str, stage: Path) -> None:
    leave = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    for room in ROOMS[side]:
        if room.endswith(".py"):
            shutil.copy2(ROOT / room, stage / room)
        else:
            shutil.copytree(ROOT / room, stage / room, ignore=leave)
    for name in ("README.md", "LICENSE", "NOTICE"):
        shutil.copy2(ROOT / name, stage / name)
    (stage / "pyproject.toml").write_text(project(side))


def _pairs(table: dict[str, Any]) -> list[str]:
    """Texts and lists of texts are written alike in TOML and JSON."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]


def _name(requirement: str) -> str:
    return requirement.split(">")[0].split("<")[0].split("=")[0].strip()


if __name__ == "__main__":
    sys.stdout.write(f"{build(sys.argv[1], Path(sys.argv[2]))}\n")
