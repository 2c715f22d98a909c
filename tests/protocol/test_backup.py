"""A side in one file: what is taken of it while it runs, that every byte is looked at, and the folder made of it."""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import checkvalve
from protocol import keymaking
from protocol.backup import archive
from protocol.backup import cli as backup_cli
from protocol.backup.choose import Chosen, walk
from protocol.backup.restore import restore
from protocol.errors import ConfigError
from protocol.store.reader import walk as read_all
from protocol.store.record import record
from protocol.store.segment_store import Store

STREAM = b"stream-a"
BLOCK = b"CB\x01\x03" + STREAM + bytes(24) + b"content"


def one(number: int) -> object:
    """A record of a block."""
    block = BLOCK[:12] + number.to_bytes(8, "big") + BLOCK[20:]
    return record(STREAM, number, 1, 0, block, time_ns=1)


@pytest.fixture
def side() -> Iterator[Path]:
    """A low side's folder, as it lies there while processes run; pytest's own folders are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-backup-") as name:
        Path(name).chmod(0o755)
        yield filled(Path(name) / "low")


def filled(folder: Path) -> Path:
    """All that such a folder has."""
    keymaking.make("low", folder / "keys/low")
    (folder / "receiver.toml").write_text('[inlet]\nlisten = "127.0.0.1:1"\n[keys]\nown = "keys/low"\nsenders = "x"\n')
    (folder / "web.token").write_text("secret")
    (folder / "web.token").chmod(0o600)
    state = folder / "state"
    (state / "history").mkdir(parents=True)
    (state / "accepted").mkdir()
    (state / "accepted/place.json").write_text("{}")
    (state / "history/2026-10.db").write_bytes(b"no database any more" * 100)
    for name in ("lock", "status-catch.json", "accept.json", "floor.json", "floor.json.new", "emit.lock"):
        (state / name).write_text("{}")
    os.mkfifo(state / "doorbell-historian")
    (state / "planted.json").symlink_to("/etc/passwd")
    state.chmod(0o2770)
    return folder


def made(side: Path, name: str = "a.tar", *, secrets: bool = False) -> Path:
    """A backup of it."""
    path = side.parent / name
    archive.write(side, "receiver.toml", "low", path, secrets=secrets, version="1")
    return path


def fill(store: Store, numbers: range) -> None:
    """Append and sync."""
    for number in numbers:
        store.append(one(number))  # type: ignore[arg-type]
    store.sync()


def test_what_is_restored_is_what_was_there(side: Path) -> None:
    """Content, modes and times, the set-group bit too; keys only with their own archive; news, requests, links not."""
    data, secrets = made(side), made(side, "k.tar", secrets=True)
    assert stat.S_IMODE(data.stat().st_mode) == 0o600
    back = side.parent / "back"
    restore([data, secrets], back)
    expected = {
        "receiver.toml", "web.token", "keys/low.pub", "keys/low/catch.pub", "keys/low/open.pub", "keys/low/catch.key",
        "keys/low/open.key", "state/floor.json", "state/accepted/place.json", "state/history/2026-10.db",
    }  # fmt: skip
    assert {str(path.relative_to(back)) for path in back.rglob("*") if path.is_file()} == expected
    for name in (*expected, "state", "state/history", "keys/low"):
        then, now = (side / name).stat(), (back / name).stat()
        assert (then.st_mode, then.st_uid) == (now.st_mode, now.st_uid), name
        if name in expected:
            assert (side / name).read_bytes() == (back / name).read_bytes()
            assert int(then.st_mtime) == int(now.st_mtime)
    restore([data], side.parent / "without")
    assert not list((side.parent / "without").rglob("*.key"))
    assert not list((side.parent / "without").rglob("*.token"))


def test_what_people_sign_in_with_lies_with_the_private_keys(side: Path) -> None:
    """Hashes, seeds of codes and the pages' own key are in no archive that others read; both together are the side."""
    names = ("people.db", "portal.key", "break-glass.json")
    with sqlite3.connect(side / "state/people.db") as people:
        people.execute("CREATE TABLE secret (seed TEXT)")
        people.execute("INSERT INTO secret VALUES ('JBSWY3DPEHPK3PXP')")
    people.close()
    for name in names[1:]:
        (side / "state" / name).write_text("secret")
    data, keys = made(side), made(side, "keys.tar", secrets=True)
    for path, here in ((data, False), (keys, True)):
        with tarfile.open(path) as tar:
            found = {member.name for member in tar}
        assert [f"state/{name}" in found for name in names] == [here] * 3
        assert (b"JBSWY3DPEHPK3PXP" in path.read_bytes()) == here
        assert ("state/accepted/place.json" in found) != here
    restore([data, keys], side.parent / "again")
    with sqlite3.connect(side.parent / "again/state/people.db") as people:
        assert people.execute("SELECT seed FROM secret").fetchall() == [("JBSWY3DPEHPK3PXP",)]
    people.close()


def test_a_store_that_is_written_meanwhile_is_taken_up_to_where_it_was_synced(side: Path) -> None:
    """Records appended while the walk is under way, segments closed and dropped: no damage in what is restored."""
    store = Store(side / "state/journal", segment_bytes=2000)
    fill(store, range(40))
    store.note_index()
    files, numbers = {}, iter(range(40, 4000))
    for held in walk(side, secrets=False, told=Chosen()):
        if stat.S_ISREG(held.about.st_mode):
            files[held.name] = held.data if held.data is not None else os.pread(held.file, held.size, 0)
        store.append(one(next(numbers)))  # type: ignore[arg-type]
        store.sync()
        store.note_index()
    copy = side.parent / "copy"
    for name, content in files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
    store.close()
    again = Store(copy / "state/journal", segment_bytes=2000)
    assert (again.damaged, again.lost, again.unsure, again.cut_bytes) == ([], {}, False, 0)
    again.close()
    seen: list[int] = []
    read_all(copy / "state/journal", lambda place, held: seen.append(held.number))
    assert len(seen) >= 40
    assert sorted(seen) == list(range(len(seen)))


def test_databases_of_a_folder_are_copied_as_they_were_at_one_moment(side: Path) -> None:
    """A writer that moves rows from one file to the other meanwhile: none is lost; and what it does not wait for."""
    folder = side / "state/history"
    current, month = (sqlite3.connect(folder / name, isolation_level=None) for name in ("current.db", "2026-11.db"))
    for file in (current, month):
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    current.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
    told = archive._copied  # the writer works between the two copies

    def moving(*words: object) -> bool:
        done = told(*words)  # type: ignore[arg-type]
        month.executemany("INSERT OR IGNORE INTO t VALUES (?)", [(n,) for n in range(100)])
        current.execute("DELETE FROM t")
        return done

    archive._copied, path = moving, side.parent / "a.tar"  # type: ignore[assignment]
    try:
        made(side)
    finally:
        archive._copied = told
    restore([path], side.parent / "back")
    rows = {}
    for name in ("current.db", "2026-11.db"):
        file = sqlite3.connect(side.parent / "back/state/history" / name)
        rows[name] = file.execute("SELECT count(*) FROM t").fetchone()[0]
        file.close()
    assert rows == {"current.db": 100, "2026-11.db": 0}
    for file in (current, month):
        file.close()


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_an_archive_that_is_not_what_was_written_makes_nothing(side: Path, at: float) -> None:
    """A flipped byte, and an archive that was cut short: refused, and no folder stands there."""
    path = made(side)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    start = whole.index(b"[inlet]")
    flipped[start + round(at * 20)] ^= 1
    for bad in (bytes(flipped), whole[: round(whole.index(b"CHECKVALVE-BACKUP.json") * at) // 512 * 512]):
        path.write_bytes(bad)
        with pytest.raises(ConfigError, match="is not what was written|no CHECKVALVE|no whole tar"):  # noqa: RUF043
            restore([path], side.parent / "back")
        assert not (side.parent / "back").exists()


@pytest.mark.parametrize("name", ["../out", "/etc/out", "keys/../../out"])
def test_an_archive_that_somebody_else_made_writes_nowhere_else(side: Path, name: str) -> None:
    """Names that lead out of the folder, links and devices are refused."""
    path = side.parent / "bad.tar"
    for kind in (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE):
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo(name if kind == tarfile.REGTYPE else "keys/x")
            member.type, member.linkname = kind, "/etc"
            tar.addfile(member, io.BytesIO(b""))
        with pytest.raises(ConfigError, match="is no file of a backup"):
            restore([path], side.parent / "to/back")
    assert not (side.parent / "out").exists()


def test_every_wrong_turn_has_a_next_step(side: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, what is wrong, and what to do; nothing was written over."""
    data, secrets = made(side), made(side, "k.tar", secrets=True)
    before = data.read_bytes()
    config, there = str(side / "receiver.toml"), side.parent / "there"
    there.mkdir()
    for words, told in (
        (["backup", config, str(data)], "is not replaced"),
        (["backup", config, str(side / "b.tar")], "which it is a backup of"),
        (["backup", config, str(side.parent / "no/b.tar")], "cannot be written"),
        (["backup", str(side / "none.toml"), str(side.parent / "b.tar")], "none.toml"),
        (["restore", str(data), "--to", str(there)], f"mv {there} {there}.before"),
        (["restore", str(data)], "where to?"),
        (["restore", str(secrets), "--to", str(side.parent / "x")], "only keys are in"),
        (["restore", str(data), str(data), "--to", str(side.parent / "x")], "is in two of these"),
        (["restore", str(side / "receiver.toml"), "--check"], "no whole tar"),
        (["restore", str(side), "--check"], "is a folder"),
        (["restore", str(side / "none.tar"), "--check"], "there is no"),
    ):
        assert checkvalve.main(words) == 2, words
        err = capsys.readouterr().err
        assert told in err, err
    assert data.read_bytes() == before
    assert sorted(path.name for path in side.parent.iterdir()) == ["a.tar", "k.tar", "low", "there"]
    assert checkvalve.main(["restore", str(data), str(secrets), "--check"]) == 0
    assert "sound; receiver.toml of the low side" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_restores_belongs_to_whom_it_belonged(side: Path) -> None:
    """Owners and groups of files and folders; a database of another user leaves nothing of root's beside it."""
    folder = side / "state/history"
    file = sqlite3.connect(folder / "current.db", isolation_level=None)
    file.execute("PRAGMA journal_mode=WAL")
    file.execute("CREATE TABLE t (n)")
    file.close()
    for path in (side / "state", folder, folder / "current.db"):
        os.chown(path, 64_321, 64_322)
    restore([made(side)], side.parent / "back")
    for name in ("state", "state/history", "state/history/current.db"):
        held = (side.parent / "back" / name).stat()
        assert (held.st_uid, held.st_gid) == (64_321, 64_322)
    assert {path.stat().st_uid for path in folder.glob("current.db*")} == {64_321}


def test_an_archive_beside_the_side_may_be_named_from_within_it(side: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`../b.tar` lies outside, and is made; a way round that ends inside is refused."""
    monkeypatch.chdir(side)
    backup_cli.backup(Path("receiver.toml"), Path("../b.tar"))
    assert (side.parent / "b.tar").is_file()
    with pytest.raises(ConfigError, match="would lie in"):
        backup_cli.backup(Path("receiver.toml"), Path(f"../{side.name}/state/b.tar"))
