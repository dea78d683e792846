# Sourced, in the top folder of the checkout, by run.sh and tests/run.sh: make_environment EXTRA installs csc[EXTRA]
# in the virtual environment .venv, unless that is done. PYTHON=... names the Python to take; pip's own
# settings (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, ...) apply as usual.
# shellcheck shell=bash

find_python() {
  local name
  for name in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
      echo "$name"
      return
    fi
  done
  echo "no Python 3.11 or newer${PYTHON:+ by the name $PYTHON}: install one, or name it, as in PYTHON=python3.12" >&2
  return 1
}

make_environment() {
  local extra=$1 stamp key python
  stamp=.venv/.installed-$extra
  key=$(cat setup.py constraints.txt | cksum)
  if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && .venv/bin/csc --version > /dev/null 2>&1; then
    return
  fi
  if ! .venv/bin/python -m pip --version > /dev/null 2>&1; then
    python=$(find_python)
    echo "$(date '+%F %T') making .venv with $("$python" --version)" >&2
    rm -rf .venv
    if ! "$python" -m venv .venv; then
      rm -rf .venv
      echo "cannot make .venv: on Debian and Ubuntu, install the package python3-venv" >&2
      return 1
    fi
  fi
  echo "$(date '+%F %T') installing csc[$extra]" >&2
  # torch is named beside all the rest: a torch that pip picks on its own may be another, much larger build.
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt "$(grep '^torch==' constraints.txt)" --editable ".[$extra]"
  echo "$key" > "$stamp"
}
