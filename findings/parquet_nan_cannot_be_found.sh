#!/bin/sh
# The NaN is in the file, and no question finds it: DuckDB on Parquet written by pyarrow.
#
# Versions: pyarrow 26.0.1 as writer, DuckDB 2.0.1 as reader
# Expected: the column 1.0, 2.0, NaN has one row for which isnan() holds, and in DuckDB's order of numbers, where NaN is
#           the greatest, the maximum NaN and one row greater than 5. A file and a table in memory answer alike.
# Seen:     asked of the table in memory it is so. Asked of the file: no row isnan(), none greater than 5, maximum 2.0,
#           while a plain SELECT shows the NaN. The writer leaves NaN out of its least and greatest value, as the
#           Parquet format wants; the reader takes those for the bounds of all values and does not look. With
#           `PRAGMA disable_optimizer` all three answers are right.
# Matters:  counting the bad samples of an archive gives 0. Write null for "no number", and keep the quality beside it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1

cat > show.py <<'END'
import sys
from importlib.metadata import version

import duckdb
import pyarrow
import pyarrow.parquet

rows = pyarrow.table({"v": [1.0, 2.0, float("nan")]})
pyarrow.parquet.write_table(rows, "a.parquet")
QUESTIONS = ["count(*) FROM {} WHERE isnan(v)", "count(*) FROM {} WHERE v > 5", "max(v)::VARCHAR FROM {}"]


def ask(connection, source):
    return [connection.sql("SELECT " + one.format(source)).fetchall()[0][0] for one in QUESTIONS]


plain = duckdb.connect()
memory, file = ask(plain, "rows"), ask(plain, "'a.parquet'")
shown = [str(one) for (one,) in plain.sql("SELECT v FROM 'a.parquet'").fetchall()]
slow = duckdb.connect()
slow.execute("PRAGMA disable_optimizer")
unhurried = ask(slow, "'a.parquet'")
print("versions", "pyarrow", version("pyarrow"), "- duckdb", version("duckdb"))
print("expected", [1, 1, "nan"], "for", [one.format("it") for one in QUESTIONS])
print("seen    ", "memory", memory, "- file", file, "- its rows", shown, "- without the optimizer", unhurried)
known = memory == [1, 1, "nan"] and file == [0, 0, "2.0"] and shown == ["1.0", "2.0", "nan"]
sys.exit(0 if known and unhurried == memory else "the behaviour has changed")
END
v/bin/python show.py
