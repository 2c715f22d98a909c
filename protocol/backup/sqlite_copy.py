"""SQLite files of a running process, copied as they were at one moment.

A read transaction is begun in each of them, one straight after the other, and only then are their pages copied
(sqlite.org/backup.html), which may take long: the writer goes on meanwhile and waits for nobody. Of the history
`current.db` comes first. A month that has a chunk more than `current.db` knows is what a kill leaves between two steps,
and the historian drops that chunk at its next start.

SQLite opens files by name, and may make an index beside its log. So root opens them as the user that owns the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

from protocol.backup.choose import rank
from protocol.errors import ConfigError
from protocol.process.as_owner import as_owner

_ENDINGS = ("", "-wal", "-shm", "-journal")


class Moment:
    """The databases of a folder, as they are now."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: Theirs.

        Raises:
            ConfigError: one cannot be opened.
        """
        self._held: dict[str, sqlite3.Connection] = {}
        self.damaged: list[str] = []
        """Files whose pages cannot be copied: their bytes are taken as they stand."""
        for path in sorted(folder.glob("*.db"), key=lambda path: rank(path.name)):
            try:
                with as_owner(path.lstat()):
                    self._held[path.name] = _begun(path)
            except FileNotFoundError:
                continue  # retention took it meanwhile
            except PermissionError:
                hint = "its owner must be able to enter every folder above it, as the service does"
                raise ConfigError(f"{path} cannot be read by the user that it belongs to", hint=hint) from None
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise ConfigError(f"{path} cannot be read: {error}", hint="try again in a moment") from None
                self.damaged.append(path.name)

    def copy(self, name: str, to: Path) -> bool:
        """Copy one of them into a new file; False where it is damaged.

        Raises:
            OSError: no room.
        """
        source = self._held.pop(name, None)
        if source is None:
            return False
        try:
            with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as copied:
                source.backup(copied)
        except sqlite3.OperationalError as error:
            raise OSError(0, str(error)) from None
        except sqlite3.DatabaseError:
            self.damaged.append(name)
            return False
        finally:
            source.close()
        return True

    def close(self) -> None:
        """Let go of what was not copied."""
        for one in self._held.values():
            one.close()


def _begun(path: Path) -> sqlite3.Connection:
    for ending in _ENDINGS:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(Path(f"{path}{ending}").lstat().st_mode):
                raise sqlite3.OperationalError(f"{path.name}{ending} is no plain file")
    opened = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)
    try:
        opened.execute("BEGIN")
        opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        opened.close()
        raise
    return opened
