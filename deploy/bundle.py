"""`make bundle SIDE=high|low`: one archive that installs a side on a machine that has no network.

    install.sh            refuses another Python, another machine, altered files; then installs
    TARGET                what it was made for: side, version, Python, machine
    wheels/               this side's wheel and every library, as files; bootstrap/ has the installer, pip
    requirements.lock     each of them with its version and SHA-256: nothing else is installed
    systemd/ nftables/ sysctl/ completion/ examples/ docs/; the low side's grafana/ prometheus/
    sbom.cdx.json         CycloneDX 1.5: what is in it, with hashes and licences
    vex/                  what is known of weaknesses in it: CSAF 2.0 and CycloneDX (vex.py)
    licences/             each library's own licence texts, and THIRD-PARTY.txt, one line each
    SHA256SUMS            over all of it

Versions are those installed beside this program, which are the ones that were tested. The package index is asked once,
here, by pip. Usage: python deploy/bundle.py high|low FOLDER
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import uuid
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import vex
from wheels import EXTRAS, ROOT, build

EXAMPLES = {"high": "sender.toml", "low": "receiver.toml"}
DOCS = ("install.md", "commands.md", "one-way.md", "diodes.md")
_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "COPYRIGHT")
_SPACE = uuid.UUID("6e5c1f7c-5e2b-5c80-9a57-1f0c6c9d2b11")
"""Namespace of our document numbers: the same content has the same number (RFC 9562, version 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One wheel, as its own metadata tell it."""

    file: str
    name: str
    version: str
    licence: str
    sha256: str
    requires: tuple[str, ...]
    """Names of what it needs."""
    texts: tuple[tuple[str, bytes], ...]
    """Licence files: name, content."""


def read_part(wheel: Path) -> Part:
    """Look into a wheel."""
    with zipfile.ZipFile(wheel) as held:
        names = held.namelist()
        (about,) = [name for name in names if name.count("/") == 1 and name.endswith(".dist-info/METADATA")]
        told = HeaderParser().parsestr(held.read(about).decode())
        texts = [name for name in names if _is_text(name)]
        found = tuple((name.replace("/", "__"), held.read(name)) for name in texts)
    return Part(
        file=wheel.name,
        name=_plain(told["Name"]),
        version=told["Version"],
        licence=_licence(told),
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        requires=tuple(_required(line) for line in told.get_all("Requires-Dist", []) if "extra ==" not in line),
        texts=found,
    )


def lock(parts: list[Part]) -> str:
    """requirements.lock, for pip's --require-hashes."""
    return "".join(f"{one.name}=={one.version} --hash=sha256:{one.sha256}\n" for one in parts)


def sbom(side: str, parts: list[Part]) -> dict[str, Any]:
    """The bill of materials (CycloneDX 1.5, JSON); no time in it, so that the same parts give the same bytes."""
    own = next(one for one in parts if one.name == f"checkvalve-{side}")
    others = [one for one in parts if one is not own]
    known = {one.name: _purl(one) for one in parts}
    number = uuid.uuid5(_SPACE, lock(parts))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": _component(own, "application")},
        "components": [_component(one, "library") for one in others],
        "dependencies": [
            {"ref": known[one.name], "dependsOn": sorted({known[name] for name in one.requires if name in known})}
            for one in parts
        ],
    }


def third_party(parts: list[Part]) -> str:
    """One line a library."""
    return "".join(f"{one.name} {one.version}: {one.licence}\n" for one in parts)


def sums(folder: Path) -> str:
    """SHA256SUMS of everything in a folder, as sha256sum(1) checks it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )


def target(side: str, version: str) -> str:
    """What install.sh compares the machine with: KEY=VALUE lines."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    told = {"side": side, "version": version, "python": python, "implementation": sys.implementation.name}
    told |= {"system": platform.system(), "machine": platform.machine()}
    return "".join(f"{key}={value}\n" for key, value in told.items())


def fill(side: str, folder: Path, wheels: Path) -> Path:
    """Everything of the bundle besides the wheels themselves, which are there already.

    Args:
        side: `high` or `low`.
        folder: The bundle's.
        wheels: This side's wheel and every library.

    Returns:
        SHA256SUMS.
    """
    parts = sorted((read_part(one) for one in wheels.glob("*.whl")), key=lambda part: part.name)
    own = next(one for one in parts if one.name == f"checkvalve-{side}")
    (folder / "requirements.lock").write_text(lock(parts))
    bill = sbom(side, parts)
    (folder / "sbom.cdx.json").write_text(json.dumps(bill, indent=1) + "\n")
    (folder / "vex").mkdir()
    known = vex.read_known()
    (folder / "vex" / vex.csaf_name(side, own.version)).write_text(vex.text(vex.csaf(side, parts, known)))
    (folder / "vex/vex.cdx.json").write_text(vex.text(vex.cyclonedx(parts, known, bill)))
    (folder / "TARGET").write_text(target(side, own.version))
    for part in parts:
        texts = folder / "licences" / f"{part.name}-{part.version}"
        texts.mkdir(parents=True)
        for name, content in part.texts:
            (texts / name).write_bytes(content)
    (folder / "licences/THIRD-PARTY.txt").write_text(third_party([one for one in parts if one is not own]))
    here = ROOT / "deploy"
    for name in ("install.sh", "own-keys.sh", f"link-{side}.env", *(["add-collector.sh"] if side == "high" else [])):
        shutil.copy2(here / "bundle" / name, folder / name)
    shutil.copytree(here / "systemd" / side, folder / "systemd")
    shutil.copytree(here / "completion", folder / "completion")
    if side == "low":
        shutil.copytree(here / "grafana", folder / "grafana", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(here / "prometheus", folder / "prometheus")
    for kind in ("nftables", "sysctl"):
        (folder / kind).mkdir()
        for one in (here / kind).glob(f"checkvalve-{side}.*"):
            shutil.copy2(one, folder / kind)
    (folder / "examples").mkdir()
    shutil.copy2(ROOT / "examples" / EXAMPLES[side], folder / "examples")
    (folder / "docs").mkdir()
    for name in DOCS:
        shutil.copy2(ROOT / "docs" / name, folder / "docs")
    shutil.copytree(ROOT / "docs/life", folder / "docs/life")
    out = folder / "SHA256SUMS"
    out.write_text(sums(folder))
    return out


def pack(folder: Path, archive: Path) -> None:
    """The folder as .tar.gz: sorted, owned by root, without times, so that the same content gives the same bytes."""

    def plain(one: tarfile.TarInfo) -> tarfile.TarInfo:
        one.uid = one.gid = one.mtime = 0
        one.uname = one.gname = "root"
        one.mode = 0o755 if one.isdir() or one.name.endswith(".sh") else 0o644
        return one

    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", recursive=False, filter=plain)
    archive.write_bytes(gzip.compress(held.getvalue(), mtime=0))


def make(side: str, out: Path) -> Path:
    """Build, fetch, fill, pack; returns the archive."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkvalve-bundle-") as name:
        work = Path(name)
        own = build(side, work / "own")
        version = read_part(own).version
        tag = f"py{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"
        folder = work / f"checkvalve-{side}-{version}-{tag}"
        wheels = folder / "wheels"
        tested = work / "tested.txt"
        tested.write_text(_tested())
        _pip(wheels, "--constraint", str(tested), f"{own}[{','.join(EXTRAS[side])}]")
        _pip(folder / "bootstrap", "--no-deps", "pip")
        fill(side, folder, wheels)
        archive = out / f"{folder.name}.tar.gz"
        pack(folder, archive)
    return archive


def _pip(folder: Path, *words: str) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*argv, "--only-binary", ":all:", "--dest", str(folder), *words], check=True)


def _tested() -> str:
    """Every installed library at its version, as constraints."""
    found = {_plain(one.name): one.version for one in metadata.distributions()}
    leave = ("checkvalve", "pip")
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name not in leave)


def _component(part: Part, kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "bom-ref": _purl(part),
        "name": part.name,
        "version": part.version,
        "purl": _purl(part),
        "hashes": [{"alg": "SHA-256", "content": part.sha256}],
        "licenses": [{"license": {"name": part.licence}}],
    }


def _purl(part: Part) -> str:
    return f"pkg:pypi/{part.name}@{part.version}"


def _licence(told: Any) -> str:
    """As the wheel says it: an expression, else classifiers, else the first line of its text."""
    if told["License-Expression"]:
        return str(told["License-Expression"])
    classed = [line.split(" :: ")[-1] for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    return "; ".join(classed) or (told["License"] or "not stated").strip().splitlines()[0]


def _is_text(name: str) -> bool:
    base = name.rsplit("/", 1)[-1].upper()
    return base.startswith(_TEXTS) and not base.endswith((".PY", ".PYC", ".PYI"))


def _required(line: str) -> str:
    name = ""
    for letter in line.strip():
        if not (letter.isalnum() or letter in "-_."):
            break
        name += letter
    return _plain(name)


def _plain(name: str) -> str:
    """PEP 503."""
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in EXAMPLES:
        sys.exit("which side? make bundle SIDE=high, or SIDE=low")
    sys.stdout.write(f"{make(sys.argv[1], Path(sys.argv[2]))}\n")
