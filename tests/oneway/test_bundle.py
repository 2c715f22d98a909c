"""What one side installs: its own rooms and their libraries, nothing of the other side, only from the files given."""

from __future__ import annotations

import ast
import ensurepip
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import bundle
import wheels
from protocol import keymaking

ROOT = Path(__file__).parent.parent.parent
SIDES = ("high", "low")
FOREIGN = {"high": {"receiver", "simulator", "bench", "tests"}, "low": {"sender", "collectors", "simulator", "bench"}}
IMPORTED = {
    "argon2": "argon2-cffi",
    "pydantic_core": "pydantic",
    "urllib3": "influxdb-client",
    "influxdb_client": "influxdb-client",
    "nats": "nats-py",
    "paho": "paho-mqtt",
    "confluent_kafka": "confluent-kafka",
}
"""Modules whose distribution is called otherwise, or comes with another."""
BY_FILE = {"pyeclib", "pyarrow"}
"""Libraries of an extra: what needs them does without."""
WEB = {"starlette", "uvicorn", "jinja2", "influxdb-client", "h11", "httptools", "websockets", "urllib3", "orjson"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All three wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    return {side: wheels.build(side, folder) for side in ("all", *SIDES)}


@pytest.mark.parametrize("side", SIDES)
def test_a_sides_wheel_physically_lacks_the_other_side(built: dict[str, Path], side: str) -> None:
    """No file of another room is in it, and every file of its own rooms is."""
    with zipfile.ZipFile(built[side]) as held, zipfile.ZipFile(built["all"]) as whole:
        names, everything = set(held.namelist()), set(whole.namelist())
        described = held.read(f"checkvalve_{side}-0.1.0.dist-info/METADATA").decode()
    rooms = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert rooms == set(wheels.ROOMS[side])
    assert not rooms & FOREIGN[side]
    assert {name for name in everything if name.split("/")[0] in rooms} == {
        name for name in names if ".dist-info" not in name
    }
    required = {line.split(": ")[1] for line in described.splitlines() if line.startswith("Requires-Dist")}
    assert not {name for name in required if name.split(">")[0].split("<")[0] in WEB} or side == "low"


@pytest.mark.parametrize("side", SIDES)
def test_a_sides_libraries_are_those_it_imports(side: str) -> None:
    """None too few and none too many, by the source of its rooms."""
    found: set[str] = set()
    for room in wheels.ROOMS[side]:
        path = ROOT / room
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
    ours = {Path(room).stem for room in wheels.ROOMS[side]}
    outside = {name for name in found if name not in sys.stdlib_module_names and name not in ours}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {wheels._name(one).split("[")[0] for name in wheels.EXTRAS[side] for one in extras[name]} - BY_FILE
    assert {IMPORTED.get(name, name) for name in outside} - BY_FILE == set(wheels.LIBRARIES[side]) | asked


def test_bounds_are_the_projects() -> None:
    """Each side's requirements stand word for word in the project's."""
    for side in SIDES:
        mine = tomllib.loads(wheels.project(side))["project"]
        whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert set(mine["dependencies"]) <= set(whole["dependencies"])
        assert mine["requires-python"] == whole["requires-python"]
        assert mine["entry-points"] == {wheels.POINTS[side]: whole["entry-points"][wheels.POINTS[side]]}


@pytest.fixture(scope="module")
def small(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the high side's own wheel alone: everything of it but the libraries."""
    folder = tmp_path_factory.mktemp("bundle") / "checkvalve-high"
    (folder / "wheels").mkdir(parents=True)
    shutil.copy2(built["high"], folder / "wheels")
    bundle.fill("high", folder, folder / "wheels")
    return folder


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    """One that may be spoilt."""
    return shutil.copytree(small, tmp_path / "bundle")


def install(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The bundle's own script, files only."""
    argv = ["sh", str(folder / "install.sh"), "--files-only", "--prefix", str(folder.parent / "to"), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)


def test_the_bill_of_materials_names_every_wheel(small: Path) -> None:
    """CycloneDX 1.5 with a purl, a hash and a licence for each, the same bytes for the same parts."""
    told = json.loads((small / "sbom.cdx.json").read_text())
    (wheel,) = (small / "wheels").iterdir()
    own = told["metadata"]["component"]
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.5")
    assert own["purl"] == "pkg:pypi/checkvalve-high@0.1.0"
    assert own["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
    assert own["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert {one["ref"] for one in told["dependencies"]} == {own["bom-ref"]}
    parts = [bundle.read_part(wheel)]
    assert bundle.sbom("high", parts) == told
    assert [name.rsplit("__", 1)[-1] for name, _ in parts[0].texts] == ["LICENSE", "NOTICE"]


def test_what_is_known_of_weaknesses_lies_beside_the_bill(small: Path) -> None:
    """Two documents, of this bundle: the high side has no library of the pages, and that is what they say."""
    assert {path.name for path in (small / "vex").iterdir()} == {"checkvalve-vex-high-0_1_0.json", "vex.cdx.json"}
    advisory = json.loads((small / "vex/checkvalve-vex-high-0_1_0.json").read_text())
    assert {flag["label"] for one in advisory["vulnerabilities"] for flag in one["flags"]} == {"component_not_present"}
    (helper,) = (
        one["branches"][0]["branches"][0]["product"]["product_identification_helper"]
        for one in advisory["product_tree"]["branches"]
    )
    (wheel,) = (small / "wheels").iterdir()
    assert helper["hashes"][0]["file_hashes"][0]["value"] == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_the_low_side_brings_the_dashboards_of_its_stores(built: dict[str, Path], small: Path, tmp_path: Path) -> None:
    """Queries, sources, dashboards and alert rules, no compiled file; the high side has none of them."""
    (tmp_path / "wheels").mkdir()
    shutil.copy2(built["low"], tmp_path / "wheels")
    bundle.fill("low", tmp_path, tmp_path / "wheels")
    there = {path.relative_to(tmp_path / "grafana").as_posix() for path in (tmp_path / "grafana").rglob("*.*")}
    assert {"README.md", "dashboards.yaml", "datasources/questdb.yaml", "dashboards/questdb/tag.json"} <= there
    assert not any(name.endswith(".pyc") for name in there)
    assert (tmp_path / "prometheus/checkvalve.rules.yml").exists()
    assert not [one for one in ("grafana", "prometheus") if (small / one).exists()]


def test_every_file_is_summed(small: Path) -> None:
    """SHA256SUMS has each file once, and the archive of the same files is the same bytes."""
    listed = [line.split("  ")[1] for line in (small / "SHA256SUMS").read_text().splitlines()]
    there = {path.relative_to(small).as_posix() for path in small.rglob("*") if path.is_file()}
    assert set(listed) == there - {"SHA256SUMS"}
    assert len(listed) == len(set(listed))
    first, second = small.parent / "1.tar.gz", small.parent / "2.tar.gz"
    bundle.pack(small, first)
    os.utime(small / "TARGET", (1, 1))
    bundle.pack(small, second)
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        assert {name.split("/")[0] for name in tar.getnames()} == {small.name}


@pytest.mark.parametrize("mask", [0o027, 0o077, 0o022])
def test_what_is_installed_can_be_read_by_the_services_whatever_umask_root_has(copy: Path, mask: int) -> None:
    """Also where the archive was unpacked with modes that only root can read."""
    for path in [with_pip(copy), *copy.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o700)
    before = os.umask(mask)
    try:
        done = install(copy, "--python", sys.executable)
    finally:
        os.umask(before)
    to = copy.parent / "to"
    assert done.returncode == 0, done.stderr
    assert (to / "share" / "sbom.cdx.json").exists()
    assert (to / "share" / "vex" / "vex.cdx.json").exists()
    assert [str(path) for path in [to, *to.rglob("*")] if not path.is_symlink() and not _open(path)] == []


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_stop_at_the_moment_of_the_switch_leaves_a_whole_program(copy: Path, shell: str) -> None:
    """Ctrl-C as the link is renamed: it names the new program, which stays; nothing else of the attempt does."""
    tools, to = copy.parent / "tools", copy.parent / "to"
    tools.mkdir()
    (tools / "mv").write_text('#!/bin/sh\n/bin/mv "$@"\nkill -INT $PPID\nsleep 0.2\n')
    (tools / "mv").chmod(0o755)
    argv = [shell, str(with_pip(copy) / "install.sh"), "--files-only", "--prefix", str(to), "--python", sys.executable]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(tools)}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert done.returncode == 130, done.stderr
    assert subprocess.run([to / "bin/python", "-c", ""], check=False).returncode == 0
    assert [path.name for path in tools.iterdir()] == ["mv"]


def test_two_installations_at_once_are_refused(copy: Path) -> None:
    """The second one ends with the next step, and changes nothing."""
    builds = copy.parent / "to.builds"
    builds.mkdir()
    with (builds / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = install(copy, "--python", sys.executable)
    assert done.returncode == 2
    assert "another install.sh is at work" in done.stderr
    assert "next step: wait for its end" in done.stderr
    assert [path.name for path in builds.iterdir()] == [".lock"]


def _open(path: Path) -> bool:
    """Any user can read this file, or enter and list this folder."""
    return path.stat().st_mode & (0o055 if path.is_dir() else 0o044) == (0o055 if path.is_dir() else 0o044)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("machine", "aarch64", "this bundle is for aarch64, this machine is"),
        ("python", "3.99", "this bundle is for cpython 3.99"),
        ("implementation", "pypy", "this bundle is for pypy"),
        ("system", "Plan9", "this bundle is for Plan9"),
    ],
)
def test_another_machine_or_python_is_refused(copy: Path, key: str, value: str, told: str) -> None:
    """Exit 2 with what it is for and what was found; nothing is written."""
    target = (copy / "TARGET").read_text().splitlines()
    (copy / "TARGET").write_text(
        "".join(f"{key}={value}\n" if line.startswith(f"{key}=") else f"{line}\n" for line in target)
    )
    done = install(copy, "--python", sys.executable)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not (copy.parent / "to").exists()


@pytest.mark.parametrize("name", ["requirements.lock", "wheels/checkvalve_high-0.1.0-py3-none-any.whl", "own-keys.sh"])
def test_an_altered_file_is_refused(copy: Path, name: str) -> None:
    """One byte more in any file, and nothing is installed."""
    with (copy / name).open("ab") as file:
        file.write(b"\n")
    done = install(copy, "--python", sys.executable)
    assert done.returncode == 2
    assert name in done.stderr
    assert not (copy.parent / "to").exists()


def test_another_programs_folder_is_not_emptied(copy: Path) -> None:
    """A prefix that holds something else is refused, and what it held stays."""
    other = copy.parent / "to"
    other.mkdir()
    (other / "precious").write_text("x")
    done = install(copy, "--python", sys.executable)
    assert (done.returncode, "holds something else" in done.stderr) == (2, True)
    assert (other / "precious").exists()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's wheel, made as docs/add-a-collector.md says, without an index."""
    folder = tmp_path_factory.mktemp("collector")
    source = shutil.copytree(ROOT / "examples/line-collector", folder / "line-collector")
    words = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run([sys.executable, "-m", "pip", "--isolated", *words], check=True, env=NOWHERE, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


NOWHERE = {**os.environ, "PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9"}
"""An environment in which pip may ask nobody."""


def with_pip(folder: Path) -> Path:
    """The bundle with Python's own pip in the place of the fetched one."""
    (pip,) = Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")
    (folder / "bootstrap").mkdir(exist_ok=True)
    shutil.copy2(pip, folder / "bootstrap")
    (folder / "SHA256SUMS").write_text(bundle.sums(folder))
    return folder


def add(to: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """What an installed machine has for it."""
    argv = ["sh", str(to / "bin/checkvalve-add-collector"), *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, env=NOWHERE)


def test_a_collector_of_ones_own_is_added_offline_and_outlives_the_next_bundle(copy: Path, collector: Path) -> None:
    """Its word is known to the high side; installing the bundle again keeps it; the auditor is told."""
    to = copy.parent / "to"
    assert install(with_pip(copy), "--python", sys.executable).returncode == 0
    done = add(to, collector)
    assert (done.returncode, done.stdout) == (0, "collector lines: checkvalve-lines 0.1.0\n"), done.stderr
    assert add(to, collector).returncode == 0  # made again under the same version
    again = install(copy, "--python", sys.executable)
    assert "collector lines: checkvalve-lines 0.1.0" in again.stdout, again.stderr
    sender = copy.parent / "sender.toml"
    sender.write_text(LINES)
    path = {**NOWHERE, "PYTHONPATH": sysconfig.get_path("purelib")}  # libraries: this bundle has none
    for words, told in (
        (["plan", str(sender)], "READ LEVEL"),
        (["audit", "code"], "lines (checkvalve-lines"),
    ):
        argv = [str(to / "bin/python"), "-P", "-m", "checkvalve", *words]
        ran = subprocess.run(argv, capture_output=True, text=True, env=path, check=False, timeout=60)
        assert told in ran.stdout, ran.stdout + ran.stderr


LINES = """site = "s"
[outlet]
to = "127.0.0.1:5005"
rate_mbit = 1
[keys]
own = "keys/high"
receivers = ["keys/low.pub"]
[spool]
keep = "1d"
max_gb = 1
[[asset]]
name = "tank-3"
collector = "lines"
url = "lines://10.0.0.12:5555"
[[asset.scan]]
every = "1s"
tags = [{ name = "level", at = "LEVEL", type = "float64", unit = "m" }]
"""


def test_what_is_no_collectors_wheel_is_refused_with_the_next_step(copy: Path, collector: Path) -> None:
    """A folder, another file, none, and a wheel that would replace what is installed: exit 2, nothing is changed."""
    to = copy.parent / "to"
    assert install(with_pip(copy), "--python", sys.executable).returncode == 0
    other = copy.parent / "checkvalve_high-9.9-py3-none-any.whl"
    with zipfile.ZipFile(other, "w") as wheel:
        about = "checkvalve_high-9.9.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: checkvalve-high\nVersion: 9.9\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    for words, told in (
        ([], "which wheel?"),
        ([collector.parent / "line-collector"], "pip wheel --no-deps"),
        ([__file__], "is no wheel"),
        ([copy / "none.whl"], "there is no"),
        ([collector, other], "nothing was added"),
    ):
        done = add(to, *words)
        assert (done.returncode, told in done.stderr) == (2, True), done.stdout + done.stderr
    assert not (to / "share/collectors").exists()
    assert list(to.rglob("line_collector.py")) == []


def test_a_collector_of_ones_own_is_installed_into_a_checkout_offline(tmp_path: Path) -> None:
    """As docs/add-a-collector.md says after `make venv`: nothing has to be resolved or fetched."""
    source = shutil.copytree(ROOT / "examples/line-collector", tmp_path / "line-collector")
    words = ["install", "--no-build-isolation", "--target", str(tmp_path / "site"), str(source)]
    argv = [sys.executable, "-m", "pip", "--isolated", *words]
    done = subprocess.run(argv, capture_output=True, text=True, env=NOWHERE, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/line_collector.py").exists()


def test_the_tested_versions_are_what_is_fetched() -> None:
    """The constraints hold every library of both sides at the version that these tests run with."""
    held = dict(line.split("==") for line in bundle._tested().splitlines())
    for name in {*wheels.LIBRARIES["high"], *wheels.LIBRARIES["low"]}:
        assert held[name] == metadata.version(name)
    assert "checkvalve" not in held


def missing() -> str | None:
    """Why no namespace without routes can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "a network namespace takes root and iproute2"
    return None


@pytest.mark.soak
@pytest.mark.skipif(missing() is not None, reason=f"no namespace: {missing()}")
@pytest.mark.parametrize("side", SIDES)
def test_a_whole_bundle_installs_without_a_network(tmp_path: Path, side: str) -> None:
    """Made with the package index, installed in a namespace without routes; it runs, and lacks the other side."""
    archive = bundle.make(side, tmp_path / "out")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.glob("checkvalve-*")
    fetched = {bundle.read_part(one).name for one in (folder / "wheels").iterdir()}
    if side == "high":
        assert not fetched & WEB
    namespace = f"cvbundle{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        inside = ["ip", "netns", "exec", namespace]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        routes = subprocess.run([*inside, "ip", "route"], capture_output=True, text=True, check=True).stdout
        assert routes == ""
        to = tmp_path / "to"
        argv = [*inside, "sh", str(folder / "install.sh"), "--files-only", "--prefix", str(to)]
        done = subprocess.run([*argv, "--python", sys.executable], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            whole = [*inside, str(to / "bin/python"), "-P", "-m", "checkvalve", *words]
            return subprocess.run(whole, capture_output=True, text=True, check=False, cwd=tmp_path)

        assert run("--version").stdout == f"checkvalve-{side} 0.1.0\n"
        assert run("keys", "new", side, str(tmp_path / "keys")).returncode == 0
        other = ("receive" if side == "high" else "send", "x.toml")
        assert "is not part of this installation" in run(*other).stderr
        selftest = run("audit", "selftest", "--json")
        assert selftest.returncode == 0, selftest.stdout[-2000:] + selftest.stderr
        code = json.loads(run("audit", "code", "--libraries", "--json").stdout)
        answers = {one["id"]: one["status"] for one in code["checks"]}
        assert answers["SRC-1"] == answers["SRC-2"] == "PASS"
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=False)


@pytest.mark.parametrize("side", SIDES)
def test_each_key_is_given_to_the_one_process_that_needs_it(tmp_path: Path, side: str) -> None:
    """By what stands in it: also those of a second folder, an open key under another name, and one out of the safe."""
    for folder in (side, f"{side}-2"):
        keymaking.make(side, tmp_path / "keys" / folder)
    if side == "low":
        shutil.copy2(tmp_path / "keys/low/open.key", tmp_path / "keys/low-2/open-before.key")
        keymaking.make("recovery", tmp_path / "safe")
        shutil.copy2(tmp_path / "safe/recovery.key", tmp_path / "keys/low-2")
    (tmp_path / "keys" / side / "web.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "chown").write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/given"\n')
    (tmp_path / "chown").chmod(0o755)
    argv = ["sh", str(ROOT / "deploy/bundle/own-keys.sh"), str(tmp_path / "keys")]
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 0, done.stderr
    assert "web.key holds no key of Checkvalve" in done.stderr
    given = dict(line.split(" ")[::-1] for line in (tmp_path / "given").read_text().splitlines())
    users = {"sign": "poll", "link-sign": "emit", "catch": "catch", "open": "publish", "open-before": "publish"}
    users["recovery"] = "publish"
    keys = [path for path in (tmp_path / "keys").rglob("*.key") if path.name != "web.key"]
    assert {str(path): given[str(path)] for path in keys} == {
        str(path): f"checkvalve-{users[path.stem]}:checkvalve" for path in keys
    }
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


@pytest.mark.parametrize("side", SIDES)
def test_a_folder_of_init_that_was_moved_into_place_can_be_read_and_written_by_the_services(
    tmp_path: Path, side: str
) -> None:
    """As docs/life/replaced.md does it, by a root who keeps everything to himself (umask 077)."""
    name, store, first = {
        "high": ("sender.toml", "poll", "spool"),
        "low": ("receiver.toml", "catch", "journal"),
    }[side]
    home = tmp_path / "home"
    keymaking.make(side, home / "keys" / side)
    home.chmod(0o700)
    (home / name).write_text("")
    (home / name).chmod(0o600)
    (tmp_path / "chown").write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/given"\n')
    (tmp_path / "chown").chmod(0o755)
    argv = ["sh", "-c", 'umask 077; exec sh "$0" "$1"', str(ROOT / "deploy/bundle/own-keys.sh"), str(home / "keys")]
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):  # again, with what is there by then
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=path)
        assert done.returncode == 0, done.stderr
    given = (tmp_path / "given").read_text().splitlines()
    assert f"root:checkvalve {home} {home / name}" in given
    assert given.count(f"root:checkvalve {home / 'state'}") == 1
    assert given.count(f"checkvalve-{store}:checkvalve {home / 'state' / first}") == 1
    modes = {path: path.stat().st_mode & 0o7777 for path in (home, home / name, home / "state", home / "state" / first)}
    assert list(modes.values()) == [0o750, 0o640, 0o2770, 0o2750]
