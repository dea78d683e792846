#!/usr/bin/env bash
# Installs csc into .venv and runs the recipe egs/mini from end to end; options are passed on to it:
#   ./run.sh [--stage N] [--stop-stage M] [--nj N] [--device auto|cpu|cuda]

set -euo pipefail
cd "$(dirname "$0")"
case " $* " in
  *' --help '* | *' -h '*) exec egs/mini/run.sh --help ;;
esac
. tools/environment.sh
make_environment synth
exec egs/mini/run.sh "$@"
