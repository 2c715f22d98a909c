#!/bin/sh
# PRAGMA incremental_vacuum(1000) frees one page: Python's sqlite3, by execute().
#
# Version:  Python 3.11.7, SQLite 3.40.1
# Expected: execute("PRAGMA incremental_vacuum(100)") and then fetchall() give 100 free pages back to the disk.
# Seen:     one. SQLite frees a page a step and answers with a row that has no columns; Python takes a statement without
#           columns for ended after its first step, and fetchall() has nothing to go on with. executescript() steps to
#           the end, and frees 100.
# Matters:  a file that is to shrink by the hour keeps its size for ever, without an error: a day of 10,000 free pages
#           needs 10,000 calls. Nothing tells it but PRAGMA freelist_count.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"

cat > show.py <<'END'
import platform
import sqlite3
import sys


def free(connection):
    return connection.execute("PRAGMA freelist_count").fetchone()[0]


connection = sqlite3.connect("a.db", isolation_level=None)
connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
connection.execute("CREATE TABLE held (body BLOB)")
connection.executemany("INSERT INTO held VALUES (?)", [(bytes(3000),)] * 500)
connection.execute("DELETE FROM held")
before = free(connection)
connection.execute("PRAGMA incremental_vacuum(100)").fetchall()
by_execute = before - free(connection)
connection.executescript("PRAGMA incremental_vacuum(100)")
by_script = before - by_execute - free(connection)
print("version ", "Python", platform.python_version(), "SQLite", sqlite3.sqlite_version)
print("expected", "100 of", before, "free pages given back by each")
print("seen    ", "execute:", by_execute, "executescript:", by_script)
sys.exit(0 if (by_execute, by_script) == (1, 100) else "the behaviour has changed")
END
python3 show.py
