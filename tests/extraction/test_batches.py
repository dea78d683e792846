"""Batches: a pure function of lengths and settings."""

from itertools import chain

import numpy as np
import pytest

from csc_cli.errors import ConfigError
from csc_cli.extraction.batches import LEAST_S, WHOLE_S, Batch, bucket_length, plan
from csc_cli.extraction.recordings import Recording
from csc_cli.kaldi.datadir import Utterance

RATE = 8000


def recording(name: str, samples: int, sample_rate: int = RATE) -> Recording:
    return Recording(Utterance(name, "s", f"{name}.wav"), sample_rate, samples)


def some_recordings(seed: int) -> list[Recording]:
    draw = np.random.default_rng(seed)
    rates = draw.choice([8000, 16000, 44100], 60)
    seconds = draw.gamma(1.5, 8, 60)
    return [recording(f"u{i}", int(s * r) + 1, int(r)) for i, (s, r) in enumerate(zip(seconds, rates))]


def ids(batches: list[Batch]) -> list[list[str]]:
    return [[item.id for item in batch.recordings] for batch in batches]


def test_a_bucket_holds_its_recording_with_little_padding():
    lengths = np.unique(np.geomspace(1, 60 * RATE, 3000).astype(int))
    buckets = [bucket_length(int(length), RATE) for length in lengths]
    assert buckets == sorted(buckets)
    for length, bucket in zip(lengths, buckets):
        assert bucket >= length
        assert bucket <= max(LEAST_S * RATE, 1.095 * length + 1)
        assert bucket_length(bucket, RATE) == bucket


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_input_changes_nothing(seed):
    recordings = some_recordings(seed)
    expected = ids(plan(recordings, RATE, 60))
    shuffled = [recordings[i] for i in np.random.default_rng(seed).permutation(len(recordings))]
    assert ids(plan(shuffled, RATE, 60)) == expected
    assert sorted(chain.from_iterable(expected)) == sorted(item.id for item in recordings)


@pytest.mark.parametrize("batch_seconds", [1e-3, 5, 60, 1000])
def test_no_batch_is_longer_than_asked_unless_it_is_one_recording(batch_seconds):
    for batch in plan(some_recordings(7), RATE, batch_seconds):
        assert len(batch.recordings) == 1 or len(batch.recordings) * batch.length <= batch_seconds * RATE
        assert batch.is_long == (batch.recordings[0].seconds > WHOLE_S)
        if batch.is_long:
            assert len(batch.recordings) == 1
        else:
            assert all(item.length(RATE) <= batch.length for item in batch.recordings)


@pytest.mark.parametrize("batch_seconds", [0, -1, float("nan")])
def test_impossible_batches_are_refused(batch_seconds):
    with pytest.raises(ConfigError, match="--batch-seconds"):
        plan([recording("a", 8000)], RATE, batch_seconds)
