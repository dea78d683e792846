#!/usr/bin/env bash
# Downloads and unpacks speechocean762 (https://www.openslr.org/101, about half a gigabyte) into the folder OUT.
# An interrupted download goes on where it stopped.
#
# Usage: local/download.sh [--url URL] [--sha256 DIGEST] OUT

set -euo pipefail
url=https://www.openslr.org/resources/101/speechocean762.tar.gz
sha256=
while [ $# -gt 1 ]; do
  case "$1" in
    --url) url=$2 ;;
    --sha256) sha256=$2 ;;
    *) echo "$0: no option $1" >&2 && exit 2 ;;
  esac
  shift 2
done
if [ $# != 1 ] || [[ $1 == -* ]]; then
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
out=$1
archive=$out/$(basename "$url")
mkdir -p "$out"
if [ ! -e "$archive" ]; then
  if command -v curl > /dev/null; then
    curl --fail --location --retry 5 --continue-at - --output "$archive.part" "$url"
  else
    wget --continue --tries 5 --output-document "$archive.part" "$url"
  fi
  mv "$archive.part" "$archive"
fi
digest=$(python3 -c 'import sys; from csc_cli.files import sha256; print(sha256(sys.argv[1]))' "$archive")
if [ -n "$sha256" ] && [ "$digest" != "$sha256" ]; then
  echo "$archive: SHA-256 is $digest, not $sha256: damaged or another release; remove it and try again" >&2
  exit 1
fi
echo "$archive: SHA-256 $digest" >&2
rm -rf "$out/.unpacking"
mkdir "$out/.unpacking"
tar -xzf "$archive" -C "$out/.unpacking"
for entry in "$out/.unpacking"/*; do
  rm -rf "${out:?}/$(basename "$entry")"
  mv "$entry" "$out"
done
rmdir "$out/.unpacking"
