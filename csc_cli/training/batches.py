"""Round-robin batches: each utterance in several mixtures, each mixture a condition of its own.

mixture (i, r) = u_i + a u_((i + r) mod B), r = 1 ... M; some have other than two talkers, see
`RoundRobin.talkers`. A batch is a function of (seed, step) and the data alone; ranks take contiguous
parts of it, workers take steps.

Legend: B utterances, M conditions, C streams, T samples; a batch has B M mixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from csc_cli import seeds
from csc_cli.errors import CscError, DataError, some
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.plan import plan_mixture
from csc_cli.mixtures.render import render
from csc_cli.mixtures.store import AudioStore
from csc_cli.training.config import TrainConfig
from csc_cli.training.lost import Lost, Substitutes, fault


class MixtureBatch(NamedTuple):
    mixture: Tensor  # (B M, T)
    sources: Tensor  # (B M, C, T), zeros where a stream should be silent
    lengths: Tensor  # (B M,) samples
    labels: Tensor  # (B M, C) row of the inventory, -1 at silent streams
    ids: tuple[str, ...]  # the utterances of each mixture, a + between them
    lost: Lost = ()  # those that could not be read, in whose place others are

    @property
    def real(self) -> Tensor:
        """(B M, T), true at real samples."""
        return torch.arange(self.mixture.shape[1], device=self.lengths.device) < self.lengths[:, None]

    @property
    def active(self) -> Tensor:
        """(B M, C), true at streams with a talker."""
        return self.sources.square().sum(-1) > 0

    def to(self, device: torch.device) -> MixtureBatch:
        mixture, sources, lengths, labels = (tensor.to(device, non_blocking=True) for tensor in self[:4])
        return MixtureBatch(mixture, sources, lengths, labels, self.ids, self.lost)


@dataclass(frozen=True)
class Corpus:
    """What is trained on, what is held out, and which row each utterance belongs to."""

    train: tuple[Utterance, ...]
    held_out: tuple[Utterance, ...]
    rows: dict[tuple[str, float], int]  # (speaker or utterance, speed) -> row

    def label(self, config: TrainConfig, utterance: Utterance) -> str:
        """What the utterance's row stands for: its speaker or itself."""
        return utterance.speaker if config.inventory.label == "speaker" else utterance.id

    def row(self, config: TrainConfig, utterance: Utterance, speed: float) -> int:
        """The utterance's row, -1 where it has none (a held-out utterance among utterance rows)."""
        return self.rows.get((self.label(config, utterance), speed), -1)

    def held_out_rows(self, config: TrainConfig) -> list[int]:
        """The rows of which utterances are held out, each once."""
        rows = {self.row(config, utterance, 1.0) for utterance in self.held_out}
        return sorted(rows - {-1})


def make_corpus(data: DataDir, config: TrainConfig) -> Corpus:
    """Split off held-out utterances and number the rows.

    With utterance rows nothing looks at utt2spk: utterances are held out by their id alone.

    Raises:
        DataError: too few speakers or utterances for a batch.
    """
    speakers = config.inventory.label == "speaker"
    groups: dict[str, list[Utterance]] = {}
    for utterance in data.utterances:
        groups.setdefault(utterance.speaker if speakers else "", []).append(utterance)
    train: list[Utterance] = []
    held_out: list[Utterance] = []
    for name in sorted(groups):
        members = groups[name]
        # A speaker keeps at least two utterances to train on; one with fewer than three gives none away.
        count = min(round(config.batch.held_out * len(members)), max(0, len(members) - 2))
        chosen = set(seeds.generator(config.seed, "held out", name).permutation(len(members))[:count].tolist())
        for place, utterance in enumerate(members):
            (held_out if place in chosen else train).append(utterance)
    need = -(-config.batch.utterances // 2) if speakers else config.batch.utterances
    have = len(groups) if speakers else len(train)
    if have < need:
        what = "speakers" if speakers else "utterances"
        raise DataError(f"{data.path}: {have} {what}, but a batch needs {need}; lower batch.utterances")
    names = sorted(groups) if speakers else [utterance.id for utterance in train]
    rows = {(name, speed): 0 for speed in config.mixtures.speeds for name in names}
    return Corpus(tuple(train), tuple(held_out), {key: row for row, key in enumerate(rows)})


class RoundRobin(torch.utils.data.Dataset[MixtureBatch]):
    """The training batches, by step. `parted` lets one-talker mixtures in."""

    def __init__(self, config: TrainConfig, corpus: Corpus, store: AudioStore, part: tuple[int, int]) -> None:
        """`part` is (rank, world): this rank's share of each batch."""
        self.config, self.corpus, self.store, self.part = config, corpus, store, part
        self.parted = False
        self.substitutes = Substitutes(corpus.train, partial(corpus.label, config), config.seed, store)
        self.by_speaker: dict[str, list[Utterance]] = {}
        if config.inventory.label == "speaker":
            for utterance in corpus.train:
                self.by_speaker.setdefault(utterance.speaker, []).append(utterance)
        self.speakers = sorted(self.by_speaker)
        size = config.batch.mixtures
        if size % part[1]:
            raise DataError(f"batch: {size} mixtures cannot be shared by {part[1]} processes; change batch.utterances")

    def __len__(self) -> int:
        return self.config.optimiser.steps * self.config.batch.accumulate

    def __getitem__(self, step: int) -> MixtureBatch:
        batch, lost = self.substitutes.attempt(partial(self.make, step))
        return batch._replace(lost=lost)

    def make(self, step: int) -> MixtureBatch:
        """This rank's share of a batch; AudioError where an utterance cannot be read."""
        plans, labels = self.plan(step)
        share = len(plans) // self.part[1]
        mine = slice(self.part[0] * share, (self.part[0] + 1) * share)
        return render_batch(plans[mine], labels[mine], self.store, self.config.slots)

    def draw(self, step: int) -> list[tuple[Utterance, float]]:
        """B utterances with their speeds; a speaker's two stand B / 2 apart, so that they never meet."""
        config, rng = self.config, seeds.generator(self.config.seed, "batch", step)
        count, speeds = config.batch.utterances, config.mixtures.speeds
        if not self.by_speaker:
            chosen = rng.choice(len(self.corpus.train), count, replace=False)
            return [(self.corpus.train[index], speeds[rng.integers(len(speeds))]) for index in chosen]
        first: list[tuple[Utterance, float]] = []
        second: list[tuple[Utterance, float]] = []
        for index in rng.choice(len(self.speakers), -(-count // 2), replace=False):
            utterances = self.by_speaker[self.speakers[index]]
            one, two = rng.choice(len(utterances), 2, replace=len(utterances) < 2)
            speed = speeds[rng.integers(len(speeds))]
            first.append((utterances[one], speed))
            second.append((utterances[two], speed))
        return (first + second)[:count]

    def plan(self, step: int) -> tuple[list[Mixture], list[list[int]]]:
        """All mixtures of a step and, for each source, its row."""
        config = self.config
        drawn = self.substitutes.fill(step, self.draw(step))
        plans, labels = [], []
        for shift in range(1, config.batch.conditions + 1):
            for place in range(len(drawn)):
                rng = seeds.generator(config.seed, "mixture", step, place, shift)
                talkers = [drawn[(place + offset) % len(drawn)] for offset in self.talkers(shift, rng)]
                voices = babble_voices(
                    self.corpus.train, talkers, config, step, place, shift, usable=self.substitutes.usable
                )
                plans.append(plan_crop(f"{step}-{place}-{shift}", talkers, config, rng, self.store, voices))
                labels.append([self.corpus.row(config, *talker) for talker in talkers])
        return plans, labels

    def talkers(self, shift: int, rng: np.random.Generator) -> list[int]:
        """Who is heard in mixture (i, shift), as offsets from i: two, or as many as the shares of `batch` say.

        Further talkers stand at other offsets below B / 2. No two offsets then differ by B / 2, where a speaker's
        two utterances stand. Until the streams have parted no mixture has fewer than two talkers.
        """
        batch, draw = self.config.batch, rng.random()
        shares = ((1, batch.one_talker), (0, batch.no_talker), *enumerate(batch.more_talkers, start=3))
        count = 2
        for other, share in shares:
            if 0 <= draw < share:
                count = other
            draw -= share
        if count < 2:
            return [0][:count] if self.parted else [0, shift]
        others = [offset for offset in range(1, (batch.utterances - 1) // 2 + 1) if offset != shift]
        further = rng.choice(others, count - 2, replace=False).tolist() if count > 2 else []
        return [0, shift, *further]


class Carried(torch.utils.data.Dataset[MixtureBatch | CscError]):
    """The same batches, but an error comes as a value: a worker process would put a traceback in its message."""

    def __init__(self, batches: RoundRobin) -> None:
        self.batches = batches

    def __getitem__(self, step: int) -> MixtureBatch | CscError:
        try:
            return self.batches[step]
        except CscError as error:
            return error


def plan_crop(
    name: str,
    talkers: Sequence[tuple[Utterance, float]],
    config: TrainConfig,
    rng: np.random.Generator,
    store: AudioStore,
    voices: Sequence[Utterance] = (),
) -> Mixture:
    """A mixture of crops of `mixtures.crop_s` seconds of the given utterances at the given speeds; none: noise."""
    mixtures = config.mixtures
    if not talkers:
        mixtures = replace(mixtures, noise=replace(mixtures.noise, probability=1.0))
    utterances, speeds = [one for one, _ in talkers], [speed for _, speed in talkers]
    return plan_mixture(name, utterances, mixtures, rng, store, speeds=speeds, voices=voices)


def babble_voices(
    among: Sequence[Utterance], talkers: Sequence[tuple[Utterance, float]], config: TrainConfig, *key: str | int,
    usable: Callable[[Utterance], bool],
) -> list[Utterance]:  # fmt: skip
    """Random utterances for the babble of the mixture that `key` names, none where the settings have no babble.

    All are `usable`, and none is a talker's: of another speaker or, with utterance rows, where nothing looks at
    utt2spk, another utterance.

    Raises:
        DataError: nobody else is left.
    """
    noise, voices = config.mixtures.noise, []
    if "babble" not in noise.kinds or not noise.probability:
        return []
    speakers = config.inventory.label == "speaker"
    taken = {talker.speaker if speakers else talker.id for talker, _ in talkers}
    rng = seeds.generator(config.seed, "babble", *key)
    for _ in range(1000 * noise.babble[1]):
        one = among[int(rng.integers(len(among)))]
        if (one.speaker if speakers else one.id) not in taken and usable(one):
            voices.append(one)
        if len(voices) == noise.babble[1]:
            return voices
    raise DataError("mixtures.noise.kinds: nobody is left to babble behind the talkers; take babble out")


def held_out_batches(
    config: TrainConfig, corpus: Corpus, store: AudioStore, size: int, talkers: int = 2
) -> Iterator[MixtureBatch]:
    """Mixtures of `talkers` held-out talkers, the same at every call.

    The talkers are different speakers (with utterance rows, where nothing looks at utt2spk, different
    utterances), each drawn uniformly among all that have one held out. A mixture of one that cannot be read is left
    out.
    """
    groups: dict[str, list[Utterance]] = {}
    for utterance in corpus.held_out:
        groups.setdefault(corpus.label(config, utterance), []).append(utterance)
    names = sorted(groups)
    if len(names) < talkers:
        return
    plans, labels = [], []
    lost: dict[str, str] = {}
    for index in range(config.batch.held_out_mixtures):
        rng = seeds.generator(config.seed, "held-out mixture", index)
        chosen = [groups[names[place]] for place in rng.choice(len(names), talkers, replace=False)]
        heard = [(group[rng.integers(len(group))], 1.0) for group in chosen]
        faults = {one.id: fault(one, store) for one, _ in heard}
        if any(faults.values()):
            lost |= {name: message for name, message in faults.items() if message}
            continue
        voices = babble_voices(corpus.train, heard, config, "held out", index, usable=lambda one: not fault(one, store))
        plans.append(plan_crop(f"held-out-{index}", heard, config, rng, store, voices))
        labels.append([corpus.row(config, *talker) for talker in heard])
    for start in range(0, len(plans), size):
        part = slice(start, start + size)
        yield render_batch(plans[part], labels[part], store, config.slots)._replace(lost=tuple(lost.items()))


def render_batch(
    plans: Sequence[Mixture], labels: Sequence[Sequence[int]], store: AudioStore, streams: int
) -> MixtureBatch:
    """Render the mixtures and pad them to one length and to `streams` sources.

    Raises:
        DataError: a mixture has more talkers than streams.
    """
    longest = max(plan.length for plan in plans)
    mixture = np.zeros((len(plans), longest), np.float32)
    sources = np.zeros((len(plans), streams, longest), np.float32)
    rows = np.full((len(plans), streams), -1, np.int64)
    crowded = [plan.id for plan in plans if len(plan.sources) > streams]
    if crowded:
        raise DataError(f"more talkers than the model's {streams} streams in: {some(crowded)}")
    for place, plan in enumerate(plans):
        rendered = render(plan, store)
        mixture[place, : plan.length] = rendered.mixture
        sources[place, : len(plan.sources), : plan.length] = rendered.targets
        rows[place, : len(plan.sources)] = labels[place]
    lengths = torch.tensor([plan.length for plan in plans])
    ids = tuple("+".join(source.utterance for source in plan.sources) or plan.id for plan in plans)
    return MixtureBatch(torch.from_numpy(mixture), torch.from_numpy(sources), lengths, torch.from_numpy(rows), ids)
