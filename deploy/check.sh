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
exec "$PYTHON" -m pytest -m "not soak" -n 2 tests
