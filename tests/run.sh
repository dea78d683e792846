#!/usr/bin/env bash
# Installs csc with what the tests need into .venv and runs pytest; arguments are passed on.
#   tests/run.sh                    all but what is slow
#   tests/run.sh --long             all
#   tests/run.sh --long -m long     what is slow alone
#   tests/run.sh -m kaldi           what runs Kaldi's own scripts (KALDI_ROOT)
# Shared test data are looked for in the folder that CSC_SHARED names, else in `shared` beside the checkout; tests
# that need them skip where there are none.

set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh
make_environment test
arguments=()
for argument; do
  case "$argument" in
    --long) arguments+=(-m "not kaldi") ;;
    *) arguments+=("$argument") ;;
  esac
done
exec .venv/bin/python -m pytest "${arguments[@]}"
