"""The network on batches: what stands beside a recording, or behind it, changes nothing."""

import numpy as np
import pytest
import torch

from csc_cli.extraction.network import read_out, run
from csc_cli.nn.model import load_model


@pytest.fixture
def model(make_model_dir):
    return load_model(make_model_dir())


def signals(seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [
        draw.normal(0, level, n).astype(np.float32) for level, n in ((0.1, 4000), (1e-3, 7), (0.5, 2999), (0.2, 800))
    ]


def test_a_batch_of_one_is_a_batch_of_many(model):
    together = run(model, signals(), 4363)
    for samples, output in zip(signals(), together):
        alone = run(model, [samples], len(samples))[0]
        assert output.separated.shape == (2, len(samples))
        for a, b in zip(alone, output):
            np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)


def test_streams_and_noise_add_up_to_the_recording(model):
    for samples, output in zip(signals(1), run(model, signals(1), 4000)):
        np.testing.assert_allclose(output.separated.sum(0) + output.noise, samples, atol=1e-6)


def test_a_recording_that_is_not_there_changes_no_byte_of_the_others(model):
    whole = run(model, signals(), 4000)
    missing = run(model, [np.zeros(0, np.float32), *signals()[1:]], 4000)
    for a, b in zip(whole[1:], missing[1:]):
        assert all(x.tobytes() == y.tobytes() for x, y in zip(a, b))


def test_vectors_are_the_readout_of_the_segments(model):
    for output in run(model, signals(2), 4000):
        for vector, segments in zip(output.vectors, output.segments):
            np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-5)
            np.testing.assert_allclose(read_out(model, segments), vector, atol=1e-5)


def test_the_number_of_threads_changes_no_byte_and_is_put_back(model):
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(run(model, signals(), 4000)[0])
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert all(x.tobytes() == y.tobytes() for x, y in zip(*results))
