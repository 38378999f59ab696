# The checks that run nothing of ours; each is run, and all must pass. In the repository's top directory.
# KEPT_TYPES: a folder in which mypy may keep what it found out. Without, none: one once kept saying that a module was
# missing which had come since.
set -u
failed=0
check() { "$@" || { echo "static: $* failed" >&2; failed=1; }; }
[ -e pyproject.toml ] || { echo "static: no pyproject.toml" >&2; exit 1; }
check ruff check .
check ruff format --check .
check mypy --cache-dir="${KEPT_TYPES:-/dev/null}"
check mypy --cache-dir="${KEPT_TYPES:-/dev/null}" --python-version 3.13 tests/lab tests/vps/{__init__,server,browser,box}.py tests/conftest.py tests/real/test_lab.py tests/laws tests/real/test_{laws,fail2ban}.py tests/test_gixy.py # machines need a newer os module
! grep -q '^\[tool.importlinter' pyproject.toml || check lint-imports --no-cache
check python tests/lab/no_module_state.py
check python tests/lab/sizes.py
exit $failed
