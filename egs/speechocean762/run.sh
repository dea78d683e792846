#!/usr/bin/env bash
# Real speech: CSC trained on the train speakers of speechocean762 (read English by Mandarin speakers, phones), scored on
# the test speakers, clean and mixed; one to two hours of training on 2 cores.
# A second call skips what is whole; a stage that was interrupted is done again.
# Stage 5, which only runs where it is asked for, compares CSC with its rivals (conf/compare.yaml): days of one core, that
# can be stopped and gone on with at any time.
#
# Options:
#   --corpus PATH    the unpacked corpus; where it is not given, the corpus is downloaded to downloads/ (half a gigabyte)
#   --sha256 DIGEST  what the downloaded archive must be
#   --stage N        first stage, 0 to 5 (0)
#   --stop-stage M   last stage (4)
#   --nj N           processes that mix and extract (2)
#   --device D       where the network runs: auto, cpu, cuda, cuda:1 (auto)
#   --conf FILE      settings of the model and its training (../../conf/train/csc-speechocean762.yaml)
#   --trials-opts S  more options for csc trials
#   --dev-speakers N train speakers who are development in stage 5 (24)
#   --librispeech D  a data directory of other voices, for the second training set of stage 5; without it, that is left out
#   --compare-opts S more options for csc experiment, such as "--jobs 2" or "--dry-run"

set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
sha256=
# shellcheck disable=SC2034
stage=0 stop_stage=4
nj=2
device=auto
conf=../../conf/train/csc-speechocean762.yaml
trials_opts=
dev_speakers=24
librispeech=
compare_opts=
. ../../tools/recipe.sh
parse_options "$@"
. ./path.sh
read -ra trials <<< "$trials_opts"
read -ra compare <<< "$compare_opts"
download=false
if [ -n "$corpus" ]; then
  corpus=$(cd "$called_from" && cd "$corpus" && pwd)
else
  corpus=downloads/speechocean762
  download=true
fi

if run_stage 0 "prepare data"; then
  if $download; then
    step data/.done -- csc prepare speechocean762 --download ${sha256:+--sha256 "$sha256"} downloads data
  else
    step data/.done -- csc prepare speechocean762 "$corpus" data
  fi
fi

if run_stage 1 "simulate mixtures"; then
  step data/trials/.done data/.done -- csc trials "${trials[@]}" --nj "$nj" data/test data/trials
  # The training mixtures are drawn on the fly in stage 2; these are mixtures of the test speakers to listen to.
  step data/test_mix/.done data/.done -- csc simulate --write-audio --nj "$nj" data/test data/test_mix
fi

if run_stage 2 "pretrain"; then
  step exp/csc/.done "$conf" data/.done -- csc train --nj "$nj" --device "$device" "$conf" data/train exp/csc
  step exp/untrained/.done "$conf" data/.done -- csc train --max-steps 0 "$conf" data/train exp/untrained
fi

if run_stage 3 "extract embeddings"; then
  for model in csc untrained; do
    exp=exp/$model
    step $exp/xvectors_enroll/.done $exp/.done data/trials/.done -- \
      csc extract --nj "$nj" --device "$device" $exp data/trials/enroll $exp/xvectors_enroll
    step $exp/xvectors_test/.done $exp/.done data/trials/.done -- \
      csc extract --nj "$nj" --device "$device" --streams all $exp data/trials/test $exp/xvectors_test
    step $exp/separated/.done $exp/.done data/trials/.done -- \
      csc separate --float --nj "$nj" --device "$device" --utt2cond data/trials/utt2cond $exp data/trials/test $exp/separated
  done
fi

if run_stage 4 "score"; then
  for model in csc untrained; do
    exp=exp/$model
    step $exp/.scored $exp/xvectors_enroll/.done $exp/xvectors_test/.done -- \
      csc score cosine --streams $exp/xvectors_test/utt2streams data/trials/trials \
      $exp/xvectors_enroll/spk_xvector.scp $exp/xvectors_test/xvector.scp $exp/scores
  done
  # Its table stands in exp/results/results.md; the one below has the separation, too.
  step exp/results/.done exp/untrained/.scored exp/csc/.scored -- \
    csc evaluate --utt2cond data/trials/utt2cond --utt2spk data/trials/utt2spks \
    --name untrained --name csc data/trials/trials exp/{untrained,csc}/scores exp/results > /dev/null
  python3 ../../tools/results_table.py exp/results untrained=exp/untrained/separated csc=exp/csc/separated |
    tee exp/RESULTS.md
fi

if run_stage 5 "compare"; then
  # Development speakers are taken from the train speakers: data directories of their own, which no other stage uses.
  step data/compare/.done data/.done -- \
    csc prepare speechocean762 --dev-speakers "$dev_speakers" "$corpus" data/compare
  if [ -n "$librispeech" ]; then
    librispeech=$(cd "$called_from" && cd "$librispeech" && pwd)
    step data/compare/librispeech/.done data/compare/.done -- \
      csc data copy --spk-prefix ls --utt-prefix ls "$librispeech" data/compare/librispeech
    step data/compare/train_more/.done data/compare/librispeech/.done -- \
      csc data combine data/compare/train_more data/compare/train data/compare/librispeech
  fi
  for part in dev test; do
    for list in trials_$part trials_${part}_strangers; do
      held_back=0
      if [ "$list" != "trials_$part" ]; then held_back=0.2; fi
      step data/compare/"$list"/.done data/compare/.done -- \
        csc trials --set 'matched=[sex,age]' --set "held_back=$held_back" "${trials[@]}" --nj "$nj" \
        data/compare/$part data/compare/"$list"
    done
  done
  csc experiment --nj "$nj" --device "$device" "${compare[@]}" conf/compare.yaml
fi
