# The checks that run nothing of ours; each is run, and all must pass. In the repository's top directory.
set -u
failed=0
check() { "$@" || { echo "static: $* failed" >&2; failed=1; }; }
[ -e pyproject.toml ] || { echo "static: no pyproject.toml" >&2; exit 1; }
check ruff check .
check ruff format --check .
check mypy --cache-dir=/dev/null # a cache once kept saying that a module was missing which had come since
check mypy --cache-dir=/dev/null --python-version 3.13 tests/lab tests/vps/{__init__,server,browser,box}.py tests/conftest.py tests/real/test_lab.py # machines need a newer os module
! grep -q '^\[tool.importlinter' pyproject.toml || check lint-imports --no-cache
exit $failed
