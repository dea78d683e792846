#!/usr/bin/env bash
# Synthetic speakers, mixtures of two, CSC trained, embedded and scored, with no download: about a quarter of an hour
# on 2 cores. Ends with a table of the trained model, of the same model untrained, and of mean pitch alone.
# A second call skips what is whole; a stage that was interrupted is done again.
#
# Options:
#   --stage N        first stage, 0 to 4 (0)
#   --stop-stage M   last stage (4)
#   --nj N           processes that speak, mix and extract (2)
#   --device D       where the network runs: auto, cpu, cuda, cuda:1 (auto)
#   --conf FILE      settings of the model and its training (../../conf/train/csc-mini.yaml)
#   --synth-opts S   more options for csc prepare synth, such as "--train-speakers 30 --utterances 4"
#   --trials-opts S  more options for csc trials

set -euo pipefail
cd "$(dirname "$0")"
# shellcheck disable=SC2034
stage=0 stop_stage=4
nj=2
device=auto
conf=../../conf/train/csc-mini.yaml
synth_opts=
trials_opts=
. ../../tools/recipe.sh
parse_options "$@"
. ./path.sh
read -ra synth <<< "$synth_opts"
read -ra trials <<< "$trials_opts"

if run_stage 0 "prepare data"; then
  step data/.done -- csc prepare synth "${synth[@]}" --nj "$nj" data
fi

if run_stage 1 "simulate mixtures"; then
  step data/trials/.done data/.done -- csc trials "${trials[@]}" --nj "$nj" data/test data/trials
  # The training mixtures are drawn on the fly in stage 2; these are mixtures of the dev speakers to listen to.
  step data/dev_mix/.done data/.done -- csc simulate --write-audio --nj "$nj" data/dev data/dev_mix
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
  for part in enroll test; do
    step exp/mean_pitch/xvectors_$part/.done data/trials/.done -- \
      python3 local/mean_pitch.py data/trials/$part exp/mean_pitch/xvectors_$part
  done
fi

if run_stage 4 "score"; then
  for model in csc untrained; do
    exp=exp/$model
    step $exp/.scored $exp/xvectors_enroll/.done $exp/xvectors_test/.done -- \
      csc score cosine --streams $exp/xvectors_test/utt2streams data/trials/trials \
      $exp/xvectors_enroll/spk_xvector.scp $exp/xvectors_test/xvector.scp $exp/scores
  done
  step exp/mean_pitch/.scored exp/mean_pitch/xvectors_enroll/.done exp/mean_pitch/xvectors_test/.done -- \
    csc score cosine data/trials/trials exp/mean_pitch/xvectors_enroll/spk_xvector.scp \
    exp/mean_pitch/xvectors_test/xvector.scp exp/mean_pitch/scores
  # Its table stands in exp/results/results.md; the one below has the separation, too.
  step exp/results/.done exp/untrained/.scored exp/csc/.scored exp/mean_pitch/.scored -- \
    csc evaluate --utt2cond data/trials/utt2cond --utt2spk data/trials/utt2spks \
    --name untrained --name csc --name "mean pitch" data/trials/trials exp/{untrained,csc,mean_pitch}/scores exp/results > /dev/null
  python3 ../../tools/results_table.py exp/results untrained=exp/untrained/separated csc=exp/csc/separated |
    tee exp/RESULTS.md
fi
