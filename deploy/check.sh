#!/bin/sh
# Everything `make test` runs. With CI=1 a skipped test is a failure (tests/conftest.py).
set -eu
cd "$(dirname "$0")/.."
bin=$(dirname "$PYTHON")
# compiled modules are kept: hundreds of processes of the tests load them again
unset PYTHONDONTWRITEBYTECODE
"$bin/ruff" check --quiet .
"$bin/ruff" format --check --quiet .
"$bin/lint-imports" --no-cache >/dev/null || "$bin/lint-imports" --no-cache
if [ "${LINT_ONLY:-}" ]; then exec "$bin/mypy" .; fi
deploy/test-packages.sh
# mypy uses one core: on the other one the tests are compiled once, instead of by each worker
"$PYTHON" -m pytest --collect-only -qq tests >/dev/null 2>&1 &
"$bin/mypy" . || { wait; exit 1; }
wait
# more workers than cores: a third of the time a test waits for a process, a timeout or a clock
exec "$PYTHON" -m pytest -m "not soak" -n $(($(getconf _NPROCESSORS_ONLN) * 2)) --maxprocesses 8 --dist worksteal tests
