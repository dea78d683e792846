"""What is measured on utterances that are never trained on: SI-SNRi, the bound, silence of the empty streams."""

from __future__ import annotations

import torch

from csc_cli.mixtures.store import AudioStore
from csc_cli.nn.contrastive import entropy
from csc_cli.training import distributed
from csc_cli.training.batches import Corpus, MixtureBatch, held_out_batches
from csc_cli.training.config import TrainConfig
from csc_cli.training.lost import LostCount
from csc_cli.training.objective import Learner
from csc_cli.training.rivals import RivalLearner
from csc_cli.training.step import Stepper
from csc_cli.training.streams import permutation_nats


class HeldOut:
    """The held-out mixtures, rank by rank a part, and the figures of a learner on them."""

    def __init__(
        self, stepper: Stepper, config: TrainConfig, corpus: Corpus, store: AudioStore, lost: LostCount
    ) -> None:
        self.stepper, self.config, self.corpus, self.store, self.lost = stepper, config, corpus, store, lost
        self.size = max(1, config.batch.mixtures // distributed.world())

    @property
    def learner(self) -> Learner | RivalLearner:
        return self.stepper.learner

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """`held_out_si_snri` (dB), `held_out_ceiling` and `held_out_bound` (nats), `held_out_silent_db`."""
        self.learner.eval()
        sums = torch.zeros(4)
        for index, batch in enumerate(held_out_batches(self.config, self.corpus, self.store, self.size)):
            self.lost.add(batch.lost)
            if index % distributed.world() == distributed.rank():
                sums += self.learner.measure(self.stepper.placed(batch), self.stepper.autocast).cpu()
        gain, streams, loss, rows = distributed.total(sums).tolist()
        figures: dict[str, float] = {}
        if streams:
            figures["held_out_si_snri"] = round(gain / streams, 5)
        if rows:
            ceiling = self.ceiling(self.corpus.held_out_rows(self.config))
            figures["held_out_ceiling"] = round(ceiling, 5)
            count = self.config.model.streams
            if count > 1 and (self.config.objective.separation == "none" or not self.config.model.separates):
                ceiling -= permutation_nats(count)  # the permutation is chosen by the labels
            figures["held_out_bound"] = round(ceiling - loss / rows, 5)
        return {**figures, **self.silence()}

    def silence(self) -> dict[str, float]:
        """The median energy of the empty streams of one-talker mixtures, dB relative to the mixture."""
        if not isinstance(self.learner, Learner) or self.config.objective.separation == "none":
            return {}
        levels = torch.zeros(self.config.batch.held_out_mixtures)
        place = 0
        for index, batch in enumerate(held_out_batches(self.config, self.corpus, self.store, self.size, talkers=1)):
            if index % distributed.world() == distributed.rank():
                found = self.level(self.learner, batch)
                levels[place : place + len(found)] = found
            place += len(batch.ids)
        levels = distributed.total(levels)
        return {"held_out_silent_db": round(float(levels[:place].quantile(0.5)), 3)} if place else {}

    def level(self, learner: Learner, batch: MixtureBatch) -> torch.Tensor:
        return learner.measure_silent(self.stepper.placed(batch), self.stepper.autocast).cpu()

    def ceiling(self, rows: list[int] | None = None) -> float:
        """H(K) in nats of those of `rows` (default: all) that take part: each set is drawn from uniformly."""
        visited = self.learner.taking_part().cpu()
        visited = visited if rows is None else visited[rows]
        return entropy(visited.float()) if visited.any() else 0.0
