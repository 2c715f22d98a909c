#!/bin/sh
# Two times in a CSV file become one: DuckDB and polars guess microseconds for a column that has nanoseconds.
#
# Versions: DuckDB 2.0.1, polars 2.1.0, pyarrow 26.0.1
# Expected: 08:00:00.123456789Z and 08:00:00.123456999Z are two times. All three readers have a type for nanoseconds with
#           a zone, so that a guess keeps them, or leaves the column as text.
# Seen:     DuckDB's read_csv takes TIMESTAMP WITH TIME ZONE, polars' try_parse_dates takes Datetime("us"): the last three
#           digits go without a word, and both rows say 08:00:00.123456. pyarrow takes nanoseconds. Asked for by name
#           (`types={'time': 'TIMESTAMPTZ_NS'}`, `schema_overrides={"time": Datetime("ns", "UTC")}`) both are exact.
# Matters:  a join of a CSV export with a Parquet export of the same samples finds nothing, and an order of events that
#           lie within a microsecond is lost. Name the type, or take Parquet.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1

cat > show.py <<'END'
import sys
from importlib.metadata import version

import duckdb
import polars
import pyarrow.csv

with open("a.csv", "w") as file:
    file.write("time\n2025-11-23T08:00:00.123456789Z\n2025-11-23T08:00:00.123456999Z\n")


def duck(more=""):
    return [one for (one,) in duckdb.sql(f"SELECT epoch_ns(time) FROM read_csv('a.csv'{more})").fetchall()]


def bear(**more):
    return polars.read_csv("a.csv", **more)["time"].dt.timestamp("ns").to_list()


exact = [1763884800123456789, 1763884800123456999]
cut = [1763884800123456000, 1763884800123456000]
arrow = pyarrow.csv.read_csv("a.csv")["time"].cast("int64").to_pylist()
guessed = {"duckdb": duck(), "polars": bear(try_parse_dates=True), "pyarrow": arrow}
named = {
    "duckdb": duck(", types={'time': 'TIMESTAMPTZ_NS'}"),
    "polars": bear(schema_overrides={"time": polars.Datetime("ns", "UTC")}),
}
print("versions", *(f"{one} {version(one)}" for one in guessed))
print("expected", exact, "from each")
print("seen    ", "guessed", guessed, "- named", named)
known = guessed == {"duckdb": cut, "polars": cut, "pyarrow": exact} and set(map(tuple, named.values())) == {tuple(exact)}
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python show.py
