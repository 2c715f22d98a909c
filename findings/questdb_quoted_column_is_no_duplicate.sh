#!/bin/sh
# ADD COLUMN IF NOT EXISTS with the column's name in quotes: QuestDB does not see that it exists.
#
# Version:  QuestDB 9.1.0 (Maven Central), Java 17 or later
# Expected: a name in quotes is the same name: where the column is there, IF NOT EXISTS makes the statement do nothing.
# Seen:     without quotes it says OK, again and again; in quotes it adds the column the first time, and from then on is
#           refused: "duplicate column", in tables with and without WAL.
# Matters:  a program that quotes every name, as one should, cannot run its preparation of tables twice.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
mvn -q dependency:get -Dartifact=org.questdb:questdb:9.1.0 -Dtransitive=false -Dmaven.repo.local="$folder/maven" >/dev/null
cat > show.py <<'END'
import json, os, socket, subprocess, sys, time, urllib.error, urllib.parse, urllib.request

JAR = "maven/org/questdb/questdb/9.1.0/questdb-9.1.0.jar"
OFF = ("QDB_PG_ENABLED", "QDB_LINE_TCP_ENABLED", "QDB_HTTP_MIN_ENABLED", "QDB_TELEMETRY_ENABLED")
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]


def asked(statement):
    url = f"http://127.0.0.1:{PORT}/exec?" + urllib.parse.urlencode({"query": statement})
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.loads(answer.read()).get("ddl")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()).get("error")
    except OSError as error:
        return 0, str(error)


os.mkdir("db")
told = {**os.environ, "QDB_HTTP_BIND_TO": f"127.0.0.1:{PORT}", **dict.fromkeys(OFF, "false")}
command = ["java", "-Xmx1g", "-p", JAR, "-m", "io.questdb/io.questdb.ServerMain", "-d", "db"]
server = subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seen = []
try:
    for _ in range(1200):
        if asked("select 1")[0] == 200:
            break
        time.sleep(0.1)
    for kind in ("WAL", "BYPASS WAL"):
        table = kind.replace(" ", "_").lower()
        asked(f"CREATE TABLE {table} (ts TIMESTAMP, v DOUBLE) TIMESTAMP(ts) PARTITION BY DAY {kind}")
        for name in ("plain", "plain", '"quoted"', '"quoted"'):
            answer = asked(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name} SYMBOL")
            print(f"{kind:<10}  ADD COLUMN IF NOT EXISTS {name:<8}  {answer[0]} {answer[1]}")
            seen.append(answer)
finally:
    server.kill()
    server.wait()
print("expected: four times OK, twice")
ok, no = (200, "OK"), (400, "duplicate column [name=quoted]")
sys.exit(0 if seen == [ok, ok, ok, no] * 2 else 1)
END
echo "version  QuestDB 9.1.0"
python3 show.py
