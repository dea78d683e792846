"""Windows, their order of streams, and the fading between them."""

import numpy as np
import pytest

from csc_cli.extraction.batches import HOP_S, WINDOW_S
from csc_cli.extraction.stitch import StreamOrder, crossfade, windows


@pytest.mark.parametrize("samples", [1, 10, 11, 20, 21, 30, 31, 995, 1000])
def test_windows_cover_the_recording_and_at_most_two_overlap(samples):
    spans = windows(samples, 1)
    count = np.zeros(samples, int)
    for start, stop in spans:
        assert 0 < stop - start <= WINDOW_S
        count[start:stop] += 1
    assert set(count) <= {1, 2}
    assert [start for start, _ in spans] == [HOP_S * i for i in range(len(spans))]
    assert all(stop - start > HOP_S for start, stop in spans[1:]), "no window is a mere rest"


@pytest.mark.parametrize("samples", [15, 20, 21, 30, 47, 103])
def test_what_all_windows_agree_on_comes_out_unchanged(samples):
    rate = 5
    signal = np.random.default_rng(samples).normal(size=(2, samples * rate + 3)).astype(np.float32)
    pieces = (signal[:, a:b].copy() for a, b in windows(signal.shape[1], rate))
    joined = np.concatenate(list(crossfade(pieces, HOP_S * rate)), 1)
    np.testing.assert_allclose(joined, signal, atol=1e-6)


def test_the_fade_has_no_step():
    rate = 100
    pieces = (np.full((1, b - a), float(i % 2)) for i, (a, b) in enumerate(windows(50 * rate, rate)))
    joined = np.concatenate(list(crossfade(pieces, HOP_S * rate)), 1)[0]
    assert np.abs(np.diff(joined)).max() < 2 / (HOP_S * rate)
    assert joined.min() == 0 and joined.max() > 0.999


@pytest.mark.parametrize("seed", range(5))
def test_permuted_streams_are_put_back(seed):
    draw = np.random.default_rng(seed)
    talkers = np.linalg.qr(draw.normal(size=(16, 3)))[0].T
    order, first = StreamOrder(), None
    for _ in range(30):
        permutation = draw.permutation(3)
        vectors = talkers[permutation] + 0.15 * draw.normal(size=(3, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        taken = permutation[order.place(vectors, draw.uniform(0.2, 1, 3))]
        first = taken if first is None else first
        np.testing.assert_array_equal(taken, first)


def test_a_stream_in_which_nobody_speaks_decides_nothing():
    order = StreamOrder()
    a, b, junk = np.eye(3)
    assert order.place(np.stack([a, b]), np.ones(2)).tolist() == [0, 1]
    # Talker a alone, in the second place; the empty stream's vector looks more like a than a does.
    a_now = (a + 0.8 * junk) / np.linalg.norm(a + 0.8 * junk)
    assert order.place(np.stack([a, a_now]), np.array([1e-4, 1.0])).tolist() == [1, 0]
    assert order.place(np.stack([b, a]), np.ones(2)).tolist() == [1, 0]


def test_a_silent_window_keeps_the_order():
    order = StreamOrder()
    order.place(np.eye(2), np.ones(2))
    assert order.place(np.eye(2)[::-1], np.zeros(2)).tolist() == [0, 1]
    assert order.place(np.eye(2)[::-1], np.ones(2)).tolist() == [1, 0]
