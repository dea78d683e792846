"""Held-out mixtures to listen to and to look at while training goes on: sounds, embeddings, attention.

A few held-out talkers meet in a round-robin, so that each is heard in several mixtures. The same at every call.

Legend: B mixtures, C streams, S segments, T samples, E dimensions, V vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from csc_cli import seeds
from csc_cli.kaldi.datadir import Utterance
from csc_cli.mixtures.store import AudioStore
from csc_cli.nn.encoder import segment_spans
from csc_cli.nn.model import CscModel
from csc_cli.nn.pit import assign, best_permutation
from csc_cli.nn.precision import at_least_float32
from csc_cli.nn.si_snr import pairwise_si_snr
from csc_cli.training.batches import Corpus, MixtureBatch, babble_voices, plan_crop, render_batch
from csc_cli.training.config import TrainConfig
from csc_cli.training.lost import fault
from csc_cli.training.step import Stepper
from csc_cli.training.streams import heard_cost

TALKERS, SHIFTS = 8, 3  # so many mixtures at most: their product
HEARD = 2  # mixtures whose sounds and attention are kept

Arrays = Mapping[str, np.ndarray]
Draw = Callable[[Arrays], Mapping[str, np.ndarray]]  # to pictures (H, W, 3) by name


class Examples(NamedTuple):
    """What a model makes of the mixtures; streams stand in the order of the talkers."""

    sample_rate: int
    sounds: dict[str, np.ndarray]  # by name: (T,); none where nothing is separated
    truth: dict[str, np.ndarray]  # the mixtures and their true sources, which do not change
    arrays: dict[str, np.ndarray]  # vectors (V, E), speakers (V,); attention (HEARD, C, heads, S) and spans_s (S, 2)

    @property
    def is_finite(self) -> bool:
        """Whether there is something to hear and to see: a network that has diverged makes NaN of it."""
        numbers = [one for one in (*self.sounds.values(), *self.arrays.values()) if one.dtype.kind == "f"]
        return all(bool(np.isfinite(one).all()) for one in numbers)


def draw_examples(config: TrainConfig, corpus: Corpus, store: AudioStore) -> MixtureBatch | None:
    """The mixtures; None where fewer than two talkers have a held-out utterance, or the network has one stream."""
    if config.model.streams < 2:
        return None

    def usable(utterance: Utterance) -> bool:
        return not fault(utterance, store)

    groups: dict[str, list[int]] = {}
    for place, utterance in enumerate(corpus.held_out):
        groups.setdefault(corpus.label(config, utterance), []).append(place)
    names = sorted(groups)
    rng = seeds.generator(config.seed, "examples")
    chosen = [corpus.held_out[groups[names[place]][0]] for place in rng.permutation(len(names))[:TALKERS]]
    chosen = [utterance for utterance in chosen if usable(utterance)]
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for shift in range(1, SHIFTS + 1):
        for first in range(len(chosen)):
            pair = first, (first + shift) % len(chosen)
            if pair[0] != pair[1]:
                pairs.setdefault(frozenset(pair), pair)
    if not pairs:
        return None
    heard = [[(chosen[place], 1.0) for place in pair] for pair in pairs.values()]
    plans = []
    for index, talkers in enumerate(heard):
        voices = babble_voices(corpus.train, talkers, config, "example", index, usable=usable)
        plans.append(plan_crop(f"example-{index}", talkers, config, rng, store, voices))
    return render_batch(plans, [[-1] * len(pair) for pair in heard], store, config.slots)


@torch.no_grad()
def make_examples(stepper: Stepper, batch: MixtureBatch, speakers: Mapping[str, str]) -> Examples:
    """What the model makes of the mixtures; `speakers` says whose each utterance is."""
    model, config = stepper.learner.model.eval(), stepper.config.model
    placed = stepper.placed(batch)
    with stepper.autocast:
        encoded = model(placed.mixture, placed.lengths)
    separated, segments = at_least_float32(encoded.separated), at_least_float32(encoded.segments)
    query = at_least_float32(encoded.query)
    snr = pairwise_si_snr(separated, at_least_float32(placed.sources), placed.real)
    permutation = best_permutation(heard_cost(snr, placed.active))
    vectors = assign(model.embed(query, segments, encoded.segment_mask[:, None]), permutation)
    talkers = [name.split("+") for name in batch.ids]
    arrays = {
        "vectors": vectors[:, :2].flatten(0, 1).float().cpu().numpy(),
        "speakers": np.array([speakers[name] for pair in talkers for name in pair]),
    }
    if isinstance(model, CscModel):
        weights = model.readout(query, segments, encoded.segment_mask[:, None]).weights
        arrays["attention"] = assign(weights, permutation)[:HEARD, :2].cpu().numpy()
        arrays["spans_s"] = np.array(segment_spans(model.encoder.config, segments.shape[2])) / config.sample_rate
        arrays["names"] = np.array([[f"{speakers[name]} ({name})" for name in pair] for pair in talkers[:HEARD]])
    sounds: dict[str, np.ndarray] = {}
    truth: dict[str, np.ndarray] = {}
    streams = assign(separated, permutation).cpu()
    for place, pair in list(enumerate(talkers))[:HEARD]:
        truth[f"example {place + 1}/mixture"] = loud(batch.mixture[place])
        for stream, name in enumerate(pair):
            truth[f"example {place + 1}/true {speakers[name]}"] = loud(batch.sources[place, stream])
            if config.separates:
                sounds[f"example {place + 1}/separated {speakers[name]}"] = loud(streams[place, stream])
    return Examples(config.sample_rate, sounds, truth, arrays)


def loud(samples: torch.Tensor) -> np.ndarray:
    """Samples (T,) with a peak of 0.9: what SI-SNR trains has any level."""
    peak = samples.abs().max().clamp(min=1e-8)
    return (0.9 * samples / peak).float().numpy()
