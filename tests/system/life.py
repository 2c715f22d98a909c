"""A site whose pages of docs/life/ are followed: what stands in their blocks is run as it stands there.

A block of a page begins with the machine that it is typed on, `# high`, `# low` or `# safe`. Names of places become
those of the test (`Site.places`); `sudo`, `systemctl` and `checkvalve` are small scripts in front of the path.
`systemctl` starts the four processes as the units do, of publish the historian alone, and waits for each as Type=notify
does. Every block must end with exit 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from plant import Plant, Sample, plant, until

from protocol import keys
from protocol.content.sample import Flag
from protocol.opening_keys import load_opening
from receiver.outputs.base import BatchBody
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener

ROOT = Path(__file__).parents[2]
LIFE = ROOT / "docs/life"
_BLOCK = re.compile(r"^```sh\n# (high|low|safe)\n(.*?)^```", re.MULTILINE | re.DOTALL)

SYSTEMCTL = """#!/bin/sh
set -eu
verb=$1; shift
here={here} run={run} python={python}
lives() {{ [ -e "$run/$1" ] && readlink "/proc/$(cat "$run/$1")/exe" >/dev/null; }}
parts=
for unit; do
    case ${{unit%.*}} in
        checkvalve-high) parts="$parts poll emit" ;;
        checkvalve-low) parts="$parts catch publish" ;;
        checkvalve-setup-*) ;;
        checkvalve-*) unit=${{unit#checkvalve-}}; parts="$parts ${{unit%.service}}" ;;
        *) echo "no unit is called $unit" >&2; exit 5 ;;
    esac
done
case $verb in
    is-active) for part in $parts; do lives $part || exit 3; done ;;
    stop|restart)
        for part in $parts; do ! lives $part || kill -TERM "$(cat "$run/$part")"; done
        for part in $parts; do while lives $part; do sleep 0.05; done; done ;;
esac
case $verb in start|restart)
    for part in $parts; do
        ! lives $part || continue
        case $part in
            poll|emit) words="send $here/sender.toml --only $part" ;;
            catch) words="receive $here/receiver.toml --only catch" ;;
            publish) words="receive $here/receiver.toml --only historian" ;;
        esac
        setsid "$python" -P -m checkvalve $words >>"$run/$part.log" 2>&1 </dev/null &
        echo $! > "$run/$part"
    done
    for part in $parts; do
        status=$part
        [ $part != publish ] || status=historian
        while ! grep -qs "\\"pid\\": $(cat "$run/$part")," "$here/state/status-$status.json"; do
            lives $part || {{ tail -n 5 "$run/$part.log" >&2; exit 1; }}
            sleep 0.05
        done
    done
esac
"""


@dataclass(slots=True)
class Site:
    """Two machines, a safe, and what is carried between them."""

    made: Plant
    places: dict[str, str]
    """What stands on a page (a regular expression), and what stands for it here, for both machines."""
    environment: dict[str, str]
    """Of every command, besides the test's own."""

    def page(self, name: str) -> list[tuple[str, str]]:
        """Machine and text of each block of a page, in order."""
        return _BLOCK.findall((LIFE / name).read_text())

    def follow(self, name: str, **more: str) -> None:
        """Do what a page says, from start to end."""
        for machine, text in self.page(name):
            self.run(machine, text, more)

    def section(self, name: str, heading: str, more: Mapping[str, str] | None = None) -> None:
        """Do what one part of a page says."""
        text = (LIFE / name).read_text()
        start = text.index(f"## {heading}\n") + 3
        end = text.find("\n## ", start)
        blocks = _BLOCK.findall(text[start : end if end > 0 else None])
        assert blocks, (name, heading)
        for machine, block in blocks:
            self.run(machine, block, more or {})

    def run(self, machine: str, text: str, more: Mapping[str, str] = MappingProxyType({})) -> str:
        """One block, on one machine; what it said."""
        for shape, real in {**self.places, **more}.items():
            text = re.sub(shape, lambda _, real=real: real, text)  # type: ignore[misc]
        here = self.made.folder / machine
        text = re.sub(r"/var/lib/checkvalve", str(here), text)
        text = re.sub(r"/etc/checkvalve", str(self.made.folder / f"{machine}-etc"), text)
        environment = {
            **os.environ,
            **self.environment,
            "PATH": f"{self.made.folder / 'bin' / machine}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["sh", "-eu", "-c", text],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=environment,
            cwd=self.made.folder,
        )
        assert done.returncode == 0, f"{machine}\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def systemctl(self, machine: str, verb: str, *units: str) -> None:
        """As a page would type it."""
        self.run(machine, " ".join(["systemctl", verb, *units]))

    def samples(self, store: Path, keys_folder: str = "low/keys/low") -> Counter[Sample]:
        """What a segment store holds, opened with the keys of a folder."""
        held = load_opening(self.made.folder / keys_folder)
        publics = [key for path in self.made.folder.glob("*/keys/high*.pub") for key in keys.load_public(path)]
        opener = Opener(
            store,
            None,
            own=held[0],
            others=held[1:],
            signers={key.id: key for key in publics if key.kind == "sign"},
            scope=Scope(),
            now=0.0,
            wall_ns=time.time_ns(),
        )
        out: Counter[Sample] = Counter()
        moved = True
        while moved:
            blocks, moved = opener.step(0.0)
            for one in blocks:
                if isinstance(one.body, BatchBody):
                    rows = [row for row in one.body.columns.rows() if not row.flags & Flag.REFRESH]
                    out.update((one.stream.tags[row.tag].name, row.time_ns, row.value) for row in rows)
        opener.close()
        return out

    def all_published_once(self, keys_folder: str = "low/keys/low", *, besides: Counter[Sample] | None = None) -> int:
        """Polling stops; everything that was spooled is in the history once, then. Returns how many samples.

        Args:
            keys_folder: Of the keys that open what is in the spool.
            besides: What else must be there.
        """
        self.systemctl("high", "stop", "checkvalve-poll")
        expected = self.samples(self.made.state("high") / "spool", keys_folder) | (besides or Counter())
        until(lambda: not expected - Counter(self.made.history()), f"not all of {len(expected)} samples came")
        published = Counter(self.made.history())
        assert max(published.values()) == 1
        return len(expected)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A plant whose sides are run by `systemctl`; all of it runs, and data arrive, before this is handed over."""
    with plant(folder, repeat=("1s", "3s")) as made:
        running = prepare(made)
        try:
            running.systemctl("low", "start", "checkvalve-low.target")
            running.systemctl("high", "start", "checkvalve-high.target")
            until(lambda: made.published() > 0, "nothing was published")
            yield running
        finally:
            for machine in ("high", "low"):
                running.systemctl(machine, "stop", f"checkvalve-{machine}.target")


def prepare(made: Plant) -> Site:
    """A plant's folders with what a site has besides; nothing is started."""
    folder = made.folder
    places = {
        r"/mnt/backup": str(folder / "backup"),
        r"/media/stick": str(folder / "stick"),
        r"/media/safe": str(folder / "safe"),
        r"/opt/checkvalve/bin/checkvalve-own-keys": "checkvalve-own-keys",
    }
    for name in ("backup", "stick", "safe", "high-etc", "low-etc"):
        (folder / name).mkdir(exist_ok=True)
    for machine in ("high", "low", "safe"):
        _shims(folder, machine)
    return Site(made, places, {})


def _shims(folder: Path, machine: str) -> None:
    bin_, here = folder / "bin" / machine, folder / machine
    bin_.mkdir(parents=True)
    run = folder / f"run-{machine}"
    run.mkdir()
    scripts = {
        "sudo": '#!/bin/sh\nexec "$@"\n',
        "checkvalve": f'#!/bin/sh\nexec {sys.executable} -P -m checkvalve "$@"\n',
        "checkvalve-own-keys": "#!/bin/sh\n",
        "systemctl": SYSTEMCTL.format(here=here, run=run, python=sys.executable),
    }
    for name, text in scripts.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
