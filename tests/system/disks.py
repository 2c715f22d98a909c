"""Small disks that can lose power: an ext4 image on a loop device, shut down at once with all that was not synced.

FS_IOC_SHUTDOWN (linux/fs.h, as xfstests' `godown` uses it) drops dirty pages and the file system's own unwritten log,
then every call fails with EIO; mounted again, ext4 recovers from its journal as after a power cut. Needs root and loop
devices; where they are not there, `available` says why.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2
SIZE = 192 << 20
"""Of an image [bytes]: it is sparse."""


class Disk:
    """One mounted image."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder
        folder.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-F", str(image))
        self.mount()

    def mount(self) -> None:
        """Mount it; after a power cut this recovers the file system."""
        _run("mount", "-o", "loop", str(self.image), str(self.folder))

    def cut_power(self) -> None:
        """All that was not synced is gone, every process there gets EIO."""
        held = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(held, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(held)

    def come_back(self) -> None:
        """After a power cut: what the device holds is mounted anew, and the file system recovers.

        From a copy of the image: another mount namespace may hold the old mount for a while, and a device that is
        mounted twice is one file system, which was shut down.
        """
        self.unmount()
        fresh = self.image.with_name(f"{self.image.name}.next")
        _run("cp", "--sparse=always", str(self.image), str(fresh))
        self.image.unlink()
        self.image = fresh.rename(self.image)
        self.mount()

    def unmount(self) -> None:
        """Let it go; its processes must have ended."""
        for _ in range(50):
            if subprocess.run(["umount", str(self.folder)], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        _run("umount", "-l", str(self.folder))


def available() -> str:
    """Empty where such disks can be made here, else why not."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not Path("/dev/loop-control").exists():
        return "no loop devices"
    return ""


@contextmanager
def disk(image: Path, folder: Path) -> Iterator[Disk]:
    """A disk at `folder` while the block lasts."""
    made = Disk(image, folder)
    try:
        yield made
    finally:
        made.unmount()


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
