# Sourced by run.sh: puts the checkout's csc on the PATH; without .venv, the one that is there already.
# shellcheck shell=bash
top=$(cd ../.. && pwd)
if [ -x "$top/.venv/bin/csc" ]; then
  export PATH="$top/.venv/bin:$PATH"
fi
if ! csc --version 2> /dev/null | grep -q '^csc, version'; then
  echo "csc is not installed: $top/run.sh does it; or make an environment of your own and pip install $top" >&2
  exit 1
fi
