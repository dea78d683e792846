# Sourced by the recipes' run.sh, from the recipe's folder, after its settings (stage, stop_stage, nj and others).
# shellcheck shell=bash disable=SC2154

# Every setting `some_name=...` that stands above can be given as `--some-name VALUE`, as with Kaldi's parse_options.sh;
# --help prints the comment at the head of the script.
parse_options() {
  local name
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' run.sh
        exit 0
        ;;
      --*)
        name=${1#--}
        name=${name//-/_}
        if ! [[ $name =~ ^[a-z][a-z0-9_]*$ ]] || [ -z "${!name+set}" ]; then
          echo "$0: no option $1 (--help lists them)" >&2
          exit 2
        fi
        if [ $# -lt 2 ]; then
          echo "$0: $1 needs a value" >&2
          exit 2
        fi
        printf -v "$name" '%s' "$2"
        shift 2
        ;;
      *)
        echo "$0: unexpected argument $1 (--help lists the options)" >&2
        exit 2
        ;;
    esac
  done
  for name in stage stop_stage nj; do
    if ! [[ ${!name} =~ ^[0-9]+$ ]]; then
      echo "$0: --${name//_/-} ${!name}: must be a whole number" >&2
      exit 2
    fi
  done
}

# The banner of a stage that is to run; false for one that is not.
run_stage() {
  [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
  echo "$(date '+%F %T') stage $1: $2" >&2
}

# step MARK INPUT... -- COMMAND...: runs the command, shown as a person would type it, and leaves the file MARK when it
# has ended well. It is skipped while MARK is newer than all inputs. csc writes its files whole or not at all, so a step
# that was interrupted can simply be done again.
step() {
  local mark=$1 whole=true
  shift
  [ -e "$mark" ] || whole=false
  while [ "$1" != -- ]; do
    if ! [ -e "$1" ]; then
      echo "$0: $1 is missing: run the stage that makes it first" >&2
      return 1
    fi
    if [ "$1" -nt "$mark" ]; then whole=false; fi
    shift
  done
  shift
  if $whole; then
    echo "# is whole: $*" >&2
    return
  fi
  rm -f "$mark"
  echo "+ $*" >&2
  "$@"
  touch "$mark"
}
