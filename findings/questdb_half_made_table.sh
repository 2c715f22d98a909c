#!/bin/sh
# A table that QuestDB was killed while making: listed, made "OK", and it takes no line.
#
# Version:  QuestDB 9.1.0 (Maven Central), Java 17 or later
# Expected: after `kill -9` during CREATE TABLE the table is there or it is not; `CREATE TABLE IF NOT EXISTS` makes it
#           where it is not, and its OK means that lines can be written.
# Seen:     one kill in a few leaves half a table: tables() lists it, all columns and keys stand there, count() is
#           0, CREATE TABLE IF NOT EXISTS says OK, and each line is refused with 500, for ever. DROP TABLE answers with
#           an error as well ("table does not exist"), and drops it: the next CREATE makes a whole one.
# Matters:  the OK of CREATE is no proof. wal_transactions('x') is: it is an error for half a table.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
mvn -q dependency:get -Dartifact=org.questdb:questdb:9.1.0 -Dtransitive=false -Dmaven.repo.local="$folder/maven" >/dev/null
cat > show.py <<'END'
import json, os, random, socket, subprocess, sys, threading, time, urllib.error, urllib.parse, urllib.request

JAR = "maven/org/questdb/questdb/9.1.0/questdb-9.1.0.jar"
MADE = (
    'CREATE TABLE IF NOT EXISTS "{}" (timestamp TIMESTAMP, asset SYMBOL, site SYMBOL, state SYMBOL, v LONG) '
    "TIMESTAMP(timestamp) PARTITION BY DAY WAL DEDUP UPSERT KEYS(timestamp, asset, site, state)"
)
KILLS = 60
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
URL = f"http://127.0.0.1:{PORT}"


def got(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def asked(statement):
    status, text = got(f"{URL}/exec?" + urllib.parse.urlencode({"query": statement}))
    try:
        told = json.loads(text)
    except ValueError:
        return status, text
    return status, told.get("error") or told.get("dataset") or told.get("ddl")


def written(name):
    line = f"{name},asset=a,site=s v=1i 1763884800000000000\n".encode()
    return got(urllib.request.Request(f"{URL}/write?precision=n", data=line, method="POST"))


def run():
    off = ("QDB_PG_ENABLED", "QDB_LINE_TCP_ENABLED", "QDB_HTTP_MIN_ENABLED", "QDB_TELEMETRY_ENABLED")
    told = {**os.environ, "QDB_HTTP_BIND_TO": f"127.0.0.1:{PORT}", **dict.fromkeys(off, "false")}
    command = ["java", "-Xmx1g", "-p", JAR, "-m", "io.questdb/io.questdb.ServerMain", "-d", "db"]
    server = subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        if asked("select 1")[0] == 200:
            return server
        time.sleep(0.1)
    server.kill()
    sys.exit("the server does not come up")


def making(kill, last):
    """Tables, one after another, until the server is gone."""
    for number in range(10_000):
        last[0] = f"t_{kill}_{number}"
        if asked(MADE.format(last[0]))[0] != 200:
            return


os.mkdir("db")
chance, server, seen = random.Random(1), run(), None
try:
    for kill in range(1, KILLS + 1):
        last = [""]
        maker = threading.Thread(target=making, args=(kill, last))
        maker.start()
        time.sleep(0.1 + chance.random() * 0.6)
        server.kill()
        server.wait()
        maker.join()
        server = run()
        name = last[0]
        listed = asked(f"select table_name from tables() where table_name = '{name}'")[1] == [[name]]
        made, count = asked(MADE.format(name)), asked(f'select count() from "{name}"')
        write = written(name)
        if listed and made == (200, "OK") and count == (200, [[0]]) and write[0] == 500:
            proof, dropped = asked(f"wal_transactions('{name}')"), asked(f'DROP TABLE "{name}"')
            again, after = asked(MADE.format(name)), written(name)
            print(f"kill {kill}: {name} is listed; CREATE TABLE IF NOT EXISTS: {made}; count(): {count}")
            print(f"a line:             {write[0]} {json.loads(write[1])['message']}")
            print(f"wal_transactions(): {proof}")
            print(f"DROP TABLE:         {dropped}")
            print(f"CREATE, and a line: {again}, {after[0]}")
            seen = proof[0] == 400 and dropped[0] == 400 and again == (200, "OK") and after[0] == 204
            break
finally:
    server.kill()
    server.wait()
print("expected: CREATE TABLE IF NOT EXISTS says OK for a table that takes lines")
sys.exit(0 if seen else 1)
END
echo "version  QuestDB 9.1.0"
python3 show.py
