"""One parent, a few children: started by command line, started again when they die, ended with the right code.

A child that dies is started again after 0.2 s, doubling to 30 s while it keeps dying, back to 0.2 s once it has run
for a minute. Two exits end the parent, with their code: 2 (the operator's mistake) of a child that has not yet run for
a minute, since somebody is there to mend it, and 3 (a failing disk) of one marked vital. A mistake that comes later, in
a file or at an interface that somebody changed, ends nothing else: that child is tried again and again. SIGTERM and
SIGINT end the children in the order they are listed, one after another, so that what the first still writes is seen by
the next.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from protocol.errors import ConfigError

FIRST_WAIT, LONGEST_WAIT, HEALTHY = 0.2, 30.0, 60.0
"""Back-off of restarts, and the running time after which it begins anew [s]."""
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38  # linux/prctl.h
PATIENCE = 20.0
"""How long a child may take to end before it is killed [s]."""
ALONE = 5.0
"""How long children of a parent that was killed may take to let go of their folder [s]."""


@dataclass(slots=True)
class Child:
    """One process to be kept alive."""

    name: str
    argv: list[str]
    vital: bool = True
    """Exit 3 of it ends the parent."""
    process: subprocess.Popen[bytes] | None = None
    wait: float = FIRST_WAIT
    started: float = 0.0
    again_at: float = 0.0
    restarts: int = field(default=0)
    proven: bool = False
    """It has run for a minute once: its command line and its configuration were right."""


def command(*words: str) -> list[str]:
    """Command line of a Checkvalve subcommand with this interpreter; `-P` keeps the working folder off its path."""
    return [sys.executable, "-P", "-m", "checkvalve", *words]


def run(children: Sequence[Child], say: Callable[[str], None], *, tick: Callable[[], None] = lambda: None) -> int:
    """Keep the children alive until a signal or a final exit code.

    Args:
        children: In the order in which they are ended.
        say: Takes one line for people at each start again.
        tick: Called about five times a second.

    Returns:
        0 after a signal, else 2 or 3.
    """
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stop.append(got))
    try:
        while not stop:
            now = time.monotonic()
            for child in children:
                code = _look_after(child, now, say)
                if code is not None:
                    return code
            tick()
            time.sleep(0.05)
        return 0
    finally:
        for child in children:
            end(child)


def alone(path: Path, lock: Path) -> None:
    """See that no other process does with a state folder what is about to be started.

    Args:
        path: The configuration that was named, for the message.
        lock: What the child locks first; it need not be there yet.

    Raises:
        ConfigError: another one runs. Without this it would be tried again and again, beside the one that works.
    """
    ends = time.monotonic() + ALONE
    while True:
        try:
            held = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return  # none yet; what else is wrong with it the child says
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > ends:
                raise ConfigError(
                    f"it runs already: {lock.parent} is held by another process",
                    hint=f"`checkvalve status {path}` names it; stop that one first, or leave it running",
                ) from None
        finally:
            os.close(held)
        time.sleep(0.1)


def end(child: Child) -> int | None:
    """Ask a child to end, wait, kill it if it does not; returns its exit code."""
    if child.process is None:
        return None
    if child.process.poll() is None:
        child.process.terminate()
        try:
            child.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    return child.process.returncode


def start(argv: list[str], output: int | None = None) -> subprocess.Popen[bytes]:
    """A child that is asked to end when its parent dies, whatever killed the parent (prctl(2), PR_SET_PDEATHSIG).

    The kernel forgets the tie of a process that gains a capability, and a child of root gains whatever its parent gave
    up but could not take out of the bounding set. So no child gains any (PR_SET_NO_NEW_PRIVS).

    Args:
        argv: Its command line.
        output: Descriptor that it writes its output and its errors to; None: those of this process.
    """
    library, parent = ctypes.CDLL(None), os.getpid()

    def tie() -> None:
        library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        library.prctl(_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the child could ask
            os._exit(1)

    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=tie)


def _look_after(child: Child, now: float, say: Callable[[str], None]) -> int | None:
    if child.process is None:
        if now >= child.again_at:
            child.process, child.started = start(child.argv), now
        return None
    code = child.process.poll()
    healthy = now - child.started > HEALTHY
    child.proven = child.proven or healthy
    if code is None:
        return None
    child.process = None
    if (code == 2 and not child.proven) or (code == 3 and child.vital):
        return code
    if healthy:
        child.wait = FIRST_WAIT
    child.restarts += 1
    child.again_at = now + child.wait
    say(f"{child.name} ended ({_word(code)}); again in {child.wait:g} s")
    child.wait = min(child.wait * 2, LONGEST_WAIT)
    return None


def _word(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
