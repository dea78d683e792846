"""Which stream is whose, by brute force."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from csc_cli.training.streams import heard_cost, mean_of_segments, permutation_nats


@pytest.mark.parametrize(("streams", "talkers"), [(2, 2), (3, 2), (4, 2), (3, 3), (3, 1), (1, 1)])
def test_choice_of_streams_for_talkers_tells_the_log_of_how_many_there_are(streams: int, talkers: int) -> None:
    choices = len(list(itertools.permutations(range(streams), talkers)))
    assert permutation_nats(streams, talkers) == pytest.approx(math.log(choices) / talkers)


def test_silent_references_have_no_say() -> None:
    snr = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    active = torch.tensor([[True, False, True], [False, False, False]])
    cost = heard_cost(snr, active)
    assert torch.equal(cost[0, :, [0, 2]], -snr[0, :, [0, 2]])
    assert not cost[0, :, 1].any() and not cost[1].any()


def test_mean_of_segments_is_that_of_the_real_ones_of_the_assigned_stream() -> None:
    each = torch.randn(2, 3, 4, 3, generator=torch.Generator().manual_seed(1))  # estimates, segments, references
    mask = torch.tensor([[True, False, True, True], [False, False, False, False]])
    speakers = torch.tensor([[2, 0, 1], [0, 1, 2]])
    found = mean_of_segments(each, mask, speakers)
    for reference, estimate in enumerate(speakers[0].tolist()):
        expected = (each[0, estimate, [0, 2, 3], reference]).mean()
        torch.testing.assert_close(found[0, reference], expected)
    assert not found[1].any()
    assert torch.equal(mean_of_segments(None, mask, speakers), torch.zeros(2, 3))
