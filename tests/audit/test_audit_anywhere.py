"""What an auditor runs on their own machine works where there is no POSIX system."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from capture_files import FORMS, HIGH, data, write

from audit.samples import make_stores

_FOREIGN = """
import json, sys
import cryptography.hazmat.primitives.hpke, msgpack, numpy, typer.testing, zstandard  # these ask sys.platform first
POSIX = ["fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "curses", "readline", "spwd", "nis",
         "posixpath_", "ossaudiodev", "crypt", "_posixshmem"]
asked = []
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in POSIX:
            caller = sys._getframe(1)
            while caller and "importlib" in caller.f_code.co_filename: caller = caller.f_back
            asked.append((name, caller.f_globals.get("__name__", "?") if caller else "?"))
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in POSIX: sys.modules.pop(name, None)
sys.meta_path.insert(0, Refuse())
import os, mmap, signal, socket
for name in ["fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "setuid", "setgid", "chown", "getloadavg",
             "uname", "sysconf", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "posix_fallocate", "pread", "pwrite",
             "sched_setaffinity", "mkfifo", "killpg", "wait4"]:
    if hasattr(os, name): delattr(os, name)
for name in ["MADV_DONTNEED", "PROT_READ", "MAP_PRIVATE"]:
    if hasattr(mmap, name): delattr(mmap, name)
class Map(mmap.mmap):
    @property
    def madvise(self): raise AttributeError("madvise")
mmap.mmap = Map
for name in ["AF_UNIX", "AF_PACKET", "AF_NETLINK"]:
    if hasattr(socket, name): delattr(socket, name)
for name in ["SIGKILL", "SIGHUP", "SIGCHLD", "pthread_sigmask"]:
    if hasattr(signal, name): delattr(signal, name)
import checkvalve
code = checkvalve.main(sys.argv[1:])
ours = [one for one in asked if one[1].split(".")[0] in ("audit", "protocol", "checkvalve")]
print(json.dumps({"code": code, "ours": ours}), file=sys.stderr)
"""


def _run(words: list[str]) -> tuple[int, str]:
    """Exit code and output of a command on a machine that lacks what is POSIX-only."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _FOREIGN, *words], capture_output=True, text=True, timeout=100, check=False
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["ours"] == [], told
    assert done.returncode == 0, done.stderr
    return int(told["code"]), done.stdout + done.stderr


def test_capture_journal_report_diff_explain_and_incident_need_no_posix_system(tmp_path: Path) -> None:
    """One after the other, as an auditor does: each works and asks for no module that is not everywhere."""
    kept = tmp_path / "kept"
    (tmp_path / "link.pcap").write_bytes(write(FORMS[0], [data()] * 5))
    stores = make_stores(tmp_path / "stores", seed=4)
    assert _run(["audit", "capture", str(tmp_path / "link.pcap"), "--high", HIGH, "--keep", str(kept)])[0] == 0
    pair = [str(stores.high), str(stores.low)]
    assert _run(["audit", "journal", *pair, "--key", str(stores.key), "--keep", str(kept)])[0] == 0
    code, out = _run(["audit", "report", str(kept), "--out", str(tmp_path / "out")])
    assert (code, "report.html" in out) == (0, True)
    assert _run(["audit", "diff", str(kept), str(kept)])[0] == 0
    code, out = _run(["audit", "explain", "RT-2"])
    assert (code, "rp_filter" in out) == (0, True)
    assert _run(["audit", "questions"])[0] == 0
    assert _run(["audit", "incident", "--aware", "now", "--out", str(tmp_path / "incident")])[0] == 0


def test_the_machine_without_posix_is_one() -> None:
    """The positive control: what does need one fails there."""
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            _FOREIGN.replace("import checkvalve\n", "import protocol.process.confine, fcntl\n"),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert "No module named 'fcntl'" in done.stderr
