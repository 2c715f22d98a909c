"""Upgrade and rollback: what older builds left is gone on with by this one, and the other way round; the two pages.

`tests/vectors/state_COMMIT.tar.xz` is what a build left in both sides' folders when its machines lost power
(`make_state.py`): blocks that were published, journaled only, sent to nobody, never sent. Where the repository's
history is at hand, the oldest of those builds is started on the state of the newest.
"""

from __future__ import annotations

import ensurepip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from life import ROOT, Site, prepare
from plant import Plant, free, until

import bundle
import wheels

VECTORS = ROOT / "tests/vectors"
STATES = sorted(VECTORS.glob("state_*.tar.xz"))
COUNTS = {"01461fc": 110, "4903935": 128, "c3ac9c9": 116}
"""Samples in the spool of each."""
OLDEST, NEWEST = "01461fc", "c3ac9c9"


def left_by(build: str, folder: Path) -> Site:
    """A site with what that build left, on ports that are free here."""
    with tarfile.open(VECTORS / f"state_{build}.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    link, page = free(socket.SOCK_DGRAM), free(socket.SOCK_STREAM)
    for name in ("high/sender.toml", "low/receiver.toml"):
        path = folder / name
        text = re.sub(r'(to|listen) = "127\.0\.0\.1:\d+"', rf'\1 = "127.0.0.1:{link}"', path.read_text(), count=1)
        path.write_text(re.sub(r"(?s)(\[portal\].*?127\.0\.0\.1:)\d+", rf"\g<1>{page}", text))
    for path in folder.glob("*/keys/*/*.key"):
        path.chmod(0o600)
    return prepare(Plant(folder, None))


def goes_on(site: Site, build: str) -> None:
    """Both sides are started; everything that was ever spooled is in the history, once."""
    before = site.samples(site.made.state("high") / "spool")
    assert len(before) == COUNTS[build]
    assert 0 < len(site.made.history()) < len(before)
    try:
        site.systemctl("low", "start", "checkvalve-low.target")
        site.systemctl("high", "start", "checkvalve-high.target")
        until(lambda: not before - Counter(site.made.history()), "not all that was spooled is published")
        site.all_published_once(besides=before)
        assert not list(site.made.folder.glob("*/state/**/*.damaged-*"))
        for part in ("catch", "historian"):
            told = json.loads((site.made.state("low") / f"status-{part}.json").read_text())
            assert [line for line in told.get("warnings", ()) if "damaged" in line or "again" in line] == []
    finally:
        for machine in ("high", "low"):
            site.systemctl(machine, "stop", f"checkvalve-{machine}.target")


def test_the_set_of_states_is_whole() -> None:
    """Each has its count, and no more than tens of kB."""
    assert [path.name for path in STATES] == [f"state_{build}.tar.xz" for build in COUNTS]
    assert sum(path.stat().st_size for path in STATES) < 100_000


@pytest.mark.timeout(200)
@pytest.mark.parametrize("build", list(COUNTS))
def test_what_an_older_build_left_is_gone_on_with(tmp_path: Path, build: str) -> None:
    """Every sample of its spool is published, once; nothing of it is called damaged."""
    goes_on(left_by(build, tmp_path), build)


def in_repository(commit: str) -> bool:
    """Whether that build can be taken out of the repository; in a copy without history it cannot."""
    git = shutil.which("git")
    words = ["cat-file", "-e", f"{commit}^{{commit}}"]
    return git is not None and subprocess.run([git, *words], cwd=ROOT, check=False, capture_output=True).returncode == 0


@pytest.mark.timeout(200)
@pytest.mark.parametrize("build", [one for one in (OLDEST,) if in_repository(one)] or ["this one"])
def test_an_older_build_goes_on_with_what_this_one_left(tmp_path: Path, build: str) -> None:
    """rollback.md: the state stays as it is. Without the repository's history this build stands for the older one."""
    site = left_by(NEWEST, tmp_path / "site")
    if build != "this one":
        (tmp_path / "build").mkdir()
        held = subprocess.run(["git", "archive", build], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "x", "-C", str(tmp_path / "build")], input=held.stdout, check=True)
        site.environment["PYTHONPATH"] = str(tmp_path / "build")
    goes_on(site, NEWEST)


MACHINE = """set -eu
mount --make-rprivate /
for folder in /srv /opt /var/lib /usr/local/bin /usr/share/bash-completion /usr/share/zsh /usr/share/fish; do
    [ ! -d $folder ] || mount -t tmpfs tmpfs $folder
done
mkdir /srv/python /srv/etc /var/lib/checkvalve
mount --bind '{python}' /srv/python
cp -a /etc/. /srv/etc
mount --bind /srv/etc /etc
mkdir -p /etc/systemd/system
cp -a '{state}/high/.' /var/lib/checkvalve/
cd '{folder}'
at() {{ readlink "$1" || true; }}
program() {{ echo "$1: $(at /opt/checkvalve) before: $(at /opt/checkvalve.builds/previous)"; }}
sudo sh old/install.sh --python /srv/python/bin/python{version} >/dev/null
touch active
program first
chown -R checkvalve-poll /var/lib/checkvalve/state/spool
stat -c '%U %G %a %n' /var/lib/checkvalve/state /var/lib/checkvalve/state/spool
: > systemctl.log
({upgrade})
program upgraded
cat systemctl.log; : > systemctl.log
! sudo sh picky/install.sh --python /srv/python/bin/python{version} 2>said
cat said
program refused
ls /opt/checkvalve.builds
cat systemctl.log
({back})
program back
cat systemctl.log
({back})
program forward
echo 'raise RuntimeError("no such processor")' | tee /opt/checkvalve.builds/0.1.0-1/lib/*/*/protocol/limits.py
! sudo sh /opt/checkvalve/share/install.sh --back 2>said
cat said
program refused
"""
SYSTEMCTL = """#!/bin/sh
case $1 in
    is-active) [ -e active ] || [ -e ../active ] ;;
    stop|start) echo "$* with $(readlink /opt/checkvalve)" >> '{folder}/systemctl.log' ;;
esac
"""


def bundle_of(wheel: Path, folder: Path, **changed: str) -> Path:
    """The high side's bundle, its own wheel alone, with modules that say something else."""
    (folder / "wheels").mkdir(parents=True)
    with zipfile.ZipFile(wheel) as held, zipfile.ZipFile(folder / "wheels" / wheel.name, "w") as written:
        for one in held.infolist():
            text = changed.get(one.filename.replace("/", "__").removesuffix(".py"))
            data = held.read(one) if text is None else text.encode()
            if not one.filename.endswith("RECORD"):
                written.writestr(one, data)
            else:
                written.writestr(one, "")
    bundle.fill("high", folder, folder / "wheels")
    (pip,) = Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")
    (folder / "bootstrap").mkdir()
    shutil.copy2(pip, folder / "bootstrap")
    (folder / "SHA256SUMS").write_text(bundle.sums(folder))
    return folder


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="users, units and mounts take root")
def test_an_upgrade_is_tried_before_it_is_made_and_one_command_goes_back(tmp_path: Path) -> None:
    """upgrade.md and rollback.md on a machine of their own, with users and units; of systemctl the calls are kept."""
    site = left_by(NEWEST, tmp_path / "site")
    folder = tmp_path / "machine"
    wheel = wheels.build("high", folder)
    bundle_of(wheel, folder / "old")
    bundle_of(wheel, folder / "new")
    check = "def load(*_, **__):\n    raise ConfigError('outlet.to: not for this build')\n"
    source = (ROOT / "sender/poll/config.py").read_text()
    bundle_of(wheel, folder / "picky", sender__poll__config=f"{source}\n\n{check}")
    (folder / "bin").mkdir()
    for name, text in (("sudo", '#!/bin/sh\nexec "$@"\n'), ("systemctl", SYSTEMCTL.format(folder=folder))):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = f" --python /srv/python/bin/python{version}"
    ((_, upgrade),) = site.page("upgrade.md")
    ((_, back),) = site.page("rollback.md")
    upgrade = re.sub(r"/media/stick/checkvalve-high-\S+", str(folder / "new"), upgrade)
    upgrade = upgrade.replace("sh install.sh", f"sh install.sh{python}").replace("/mnt/backup", str(folder))
    script = MACHINE.format(
        python=sys.base_prefix, version=version, state=site.made.folder, folder=folder, upgrade=upgrade, back=back
    )
    libraries = {"PYTHONPATH": sysconfig.get_path("purelib")}  # this bundle has none
    path = {"PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(
        ["unshare", "--mount", "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, **libraries, **path},
    )
    said = done.stdout
    assert done.returncode == 0, said[-3000:] + done.stderr[-3000:]
    builds = "checkvalve.builds/0.1.0-"
    assert f"first: {builds}1 before: \n" in said
    assert "root checkvalve 2770 /var/lib/checkvalve/state\n" in said
    assert f"upgraded: {builds}2 before: 0.1.0-1\n" in said
    assert f"stop checkvalve-high.target with {builds}1\nstart checkvalve-high.target with {builds}2\n" in said
    assert "no such processor" in said
    assert "outlet.to: not for this build" in said
    assert said.count(f"refused: {builds}2 before: 0.1.0-1\n") == 2, "nothing was changed"
    assert "0.1.0-1\n0.1.0-2\nprevious\n" in said
    assert f"back: {builds}1 before: 0.1.0-2\n" in said
    assert f"forward: {builds}2 before: 0.1.0-1\n" in said
    assert (folder / "before-upgrade.tar").exists()
