"""Speaker verification while training goes on: EER on speakers who are not trained on, clean and mixed.

A small protocol of its own, a function of the data directory and the seed: each speaker enrolls with up to
`ENROLL` utterances and is tested on up to `TESTS` others, clean and mixed at 0 dB with another speaker; all
enrolled speakers meet all tests, and are targets wherever they are heard. Cosine, the best of the active streams.

Legend: C streams, E dimensions, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.metrics.detection import eer
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.plan import plan_mixture
from csc_cli.mixtures.render import render
from csc_cli.mixtures.settings import CodecConfig, GapConfig, LoudnessConfig, NoiseConfig, RoomConfig
from csc_cli.mixtures.store import AudioStore
from csc_cli.nn.model import SpeakerModel
from csc_cli.nn.precision import at_least_float32
from csc_cli.training.config import TrainConfig

ENROLL, TESTS = 3, 4
ACTIVE_DB = 15.0  # as `csc extract`: a stream counts if it lies at most so far below the recording
BATCH_S = 60.0  # of audio that the network takes at a time


@dataclass(frozen=True)
class Recording:
    plan: Mixture
    speakers: frozenset[str]
    condition: str  # enroll, clean, mixed


class Verification:
    """The recordings of the protocol, and the EERs of a model on them."""

    def __init__(self, data: DataDir, config: TrainConfig) -> None:
        """
        Raises:
            DataError: fewer than two speakers have two utterances.
        """
        self.store = AudioStore(data, config.model.sample_rate)
        self.settings = replace(
            config.mixtures,
            crop_s=None,
            mode="first",
            sir_db=(0.0, 0.0),
            speeds=(1.0,),
            noise=NoiseConfig(0.0),
            room=RoomConfig(),
            gaps=GapConfig(),
            codec=CodecConfig(),
            loudness=LoudnessConfig(),
        )
        self.seed, self.rate = config.seed, config.model.sample_rate
        self.recordings = sorted(self.draw(data), key=lambda item: (item.plan.length, item.plan.id))

    def draw(self, data: DataDir) -> list[Recording]:
        speakers = {speaker: ids for speaker, ids in data.spk2utt.items() if len(ids) > 1}
        if len(speakers) < 2:
            raise DataError(
                f"{data.path}: {len(speakers)} speaker(s) have two utterances; an EER needs two such speakers"
            )
        found = []
        for speaker, ids in speakers.items():
            order = seeds.generator(self.seed, "verification", speaker).permutation(len(ids))
            utterances = [data.by_id[ids[place]] for place in order]
            count = min(ENROLL, len(utterances) - 1)
            found += [self.record("enroll", [utterance]) for utterance in utterances[:count]]
            for utterance in utterances[count : count + TESTS]:
                rng = seeds.generator(self.seed, "verification interferer", utterance.id)
                others = sorted(speakers.keys() - {speaker})
                other = speakers[others[rng.integers(len(others))]]
                interferer = data.by_id[other[rng.integers(len(other))]]
                found += [self.record("clean", [utterance]), self.record("mixed", [utterance, interferer])]
        return found

    def record(self, condition: str, talkers: list[Utterance]) -> Recording:
        name = f"{condition}-{talkers[0].id}"
        rng = seeds.generator(self.seed, "verification recording", name)
        plan = plan_mixture(name, talkers, self.settings, rng, self.store)
        return Recording(plan, frozenset(talker.speaker for talker in talkers), condition)

    @torch.no_grad()
    def measure(self, model: SpeakerModel, autocast: torch.autocast) -> dict[str, float]:
        """`dev_eer_clean` and `dev_eer_mixed`, per cent; the model is in evaluation mode."""
        enrolled: dict[str, list[np.ndarray]] = {}
        tests: dict[str, list[tuple[np.ndarray, frozenset[str]]]] = {"clean": [], "mixed": []}
        for recording, vectors in self.embed(model, autocast):
            if recording.condition == "enroll":
                enrolled.setdefault(next(iter(recording.speakers)), []).append(vectors[0])
            else:
                tests[recording.condition].append((vectors, recording.speakers))
        names = sorted(enrolled)
        models = np.array([np.mean(enrolled[name], 0) for name in names])
        models /= np.maximum(np.linalg.norm(models, axis=1, keepdims=True), 1e-12)
        figures = {}
        for condition, items in tests.items():
            scores = np.array([(vectors @ models.T).max(0) for vectors, _ in items], np.float64)
            target = np.array([[name in speakers for name in names] for _, speakers in items])
            rate, _ = eer(scores.ravel(), target.ravel())
            figures[f"dev_eer_{condition}"] = round(100 * rate, 3)
        return figures

    def embed(self, model: SpeakerModel, autocast: torch.autocast) -> list[tuple[Recording, np.ndarray]]:
        """Unit vectors (C, E) of the active streams of each recording, the one of most energy first."""
        like = next(model.parameters())
        found = []
        for batch in self.batches():
            length = max(item.plan.length for item in batch)
            mixture = np.zeros((len(batch), length), np.float32)
            for row, item in zip(mixture, batch, strict=True):
                row[: item.plan.length] = render(item.plan, self.store).mixture
            lengths = torch.tensor([item.plan.length for item in batch], device=like.device)
            with autocast:
                encoded = model(torch.from_numpy(mixture).to(like), lengths)
            query, segments = at_least_float32(encoded.query), at_least_float32(encoded.segments)
            vectors = model.embed(query, segments, encoded.segment_mask[:, None]).float().cpu().numpy()
            energy = encoded.separated.float().square().sum(-1).cpu().numpy()  # (B, C)
            for item, own, loud, whole in zip(batch, vectors, energy, np.square(mixture).sum(1), strict=True):
                order = [c for c in np.argsort(-loud) if loud[c] >= whole * 10 ** (-ACTIVE_DB / 10)] or [loud.argmax()]
                found.append((item, own[order]))
        return found

    def batches(self) -> list[list[Recording]]:
        """Recordings of like length, so many that they fill BATCH_S."""
        batches: list[list[Recording]] = [[]]
        for item in self.recordings:
            if (len(batches[-1]) + 1) * item.plan.length > BATCH_S * self.rate and batches[-1]:
                batches.append([])
            batches[-1].append(item)
        return batches
