#!/bin/sh
# Everything `make test` runs. With CI=1 a skipped test is a failure (tests/conftest.py).
set -eu
cd "$(dirname "$0")/.."
bin=$(dirname "$PYTHON")
"$bin/ruff" check --quiet .
"$bin/ruff" format --check --quiet .
"$bin/lint-imports" --no-cache >/dev/null || "$bin/lint-imports" --no-cache
"$bin/mypy" .
[ "${LINT_ONLY:-}" ] && exit 0
deploy/test-packages.sh
# more workers than cores: a third of the time a test waits for a process, a timeout or a clock
exec "$PYTHON" -m pytest -m "not soak" -n $(($(getconf _NPROCESSORS_ONLN) * 2)) --maxprocesses 8 --dist worksteal tests
