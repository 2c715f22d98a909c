#!/bin/sh
# `a and on (__name__, x) b` compares no names: VictoriaMetrics.
#
# Version:  VictoriaMetrics 1.79.5, beside Prometheus 2.42.0 (both of Debian 12, unpacked here and not installed)
# Expected: nothing, since no element of `b` is called `a`: `on` compares the labels that it lists, and Prometheus does.
# Seen:     `a`. The name is left out of what is compared, without an error; `on (x)` gives the same.
# Matters:  a filter that is to keep each field of a sample for itself (`_v`, `_v_e9`) keeps all of them, so an old outlier
#           stands as the newest value. label_copy(q, "__name__", "field") on both sides makes it a label like others.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
apt-get download -qq victoria-metrics=1.79.5* prometheus=2.42.0* >/dev/null 2>&1
for one in ./*.deb; do dpkg -x "$one" there; done
cat > show.py <<'END'
import json, os, socket, subprocess, sys, time, urllib.parse, urllib.request

T = int(time.time()) - 60
QUERIES = ("a and on (__name__, x) b", "a and on (x) b")


def free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def names(port, query):
    asked = urllib.parse.urlencode({"query": query, "time": T + 1})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=5) as answer:
        return [one["metric"].get("__name__", "") for one in json.load(answer)["data"]["result"]]


def run(command, port, path):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
            return server
        except OSError:
            time.sleep(0.1)
    server.kill()
    sys.exit("a server does not come up")


seen = {}
port = free()
victoria = run(["there/usr/bin/victoria-metrics", "-storageDataPath=vm", f"-httpListenAddr=127.0.0.1:{port}"], port, "/health")
try:
    url = f"http://127.0.0.1:{port}/api/v1/import/prometheus?timestamp={T * 1000}"
    urllib.request.urlopen(url, data=b'a{x="1"} 1\nb{x="1"} 1\n', timeout=5)
    urllib.request.urlopen(f"http://127.0.0.1:{port}/internal/force_flush", timeout=5)
    seen["VictoriaMetrics"] = [names(port, one) for one in QUERIES]
finally:
    victoria.kill()
with open("om.txt", "w") as file:
    file.write(f'# TYPE a gauge\na{{x="1"}} 1 {T}\n# TYPE b gauge\nb{{x="1"}} 1 {T}\n# EOF\n')
subprocess.run(["there/usr/bin/promtool", "tsdb", "create-blocks-from", "openmetrics", "om.txt", "prom"], check=True, stdout=subprocess.DEVNULL)
open("prometheus.yml", "w").close()
port = free()
told = ["--config.file=prometheus.yml", "--storage.tsdb.path=prom", f"--web.listen-address=127.0.0.1:{port}"]
prometheus = run(["there/usr/bin/prometheus", *told], port, "/-/ready")
try:
    seen["Prometheus"] = [names(port, one) for one in QUERIES]
finally:
    prometheus.kill()
for name, answers in seen.items():
    for query, answer in zip(QUERIES, answers):
        print(f"{name:16s} {query:26s} -> {answer}")
print("expected: the first query gives nothing, in both")
as_described = seen == {"VictoriaMetrics": [["a"], ["a"]], "Prometheus": [[], ["a"]]}
sys.exit(0 if as_described else 1)
END
printf 'version  %s\n' ./*.deb
python3 show.py
