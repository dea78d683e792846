"""Round-robin batches: who meets whom, what is held out, what ranks, workers and the curriculum change."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.render import render
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.surroundings import Surroundings, loaded
from csc_cli.training.batches import Carried, RoundRobin, held_out_batches, make_corpus
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

Make = Callable[..., RoundRobin]


@pytest.fixture
def make(config: Callable[..., TrainConfig], make_data_dir: Callable[..., Path], tmp_path: Path) -> Make:
    def build(*overrides: str, part: tuple[int, int] = (0, 1), parted: bool = False) -> RoundRobin:
        if not (tmp_path / "voices").exists():
            make_data_dir("voices", speakers=9, utterances=4)
        settings = config(*overrides)
        data = DataDir.load(tmp_path / "voices")
        batches = RoundRobin(settings, make_corpus(data, settings), AudioStore(data, 8000), part)
        batches.parted = parted
        return batches

    return build


def speaker_of(utterance: str) -> str:
    return utterance.split("-")[0]


@pytest.mark.parametrize(("utterances", "conditions"), [(4, 1), (6, 2), (8, 3), (16, 7), (8, 1)])
def test_each_utterance_meets_its_m_followers_once_and_never_its_own_speaker(
    make: Make, utterances: int, conditions: int
) -> None:
    batches = make(f"batch.utterances={utterances}", f"batch.conditions={conditions}")
    for step in range(3):
        plans, labels = batches.plan(step)
        assert len(plans) == utterances * conditions
        pairs = [tuple(source.utterance for source in plan.sources) for plan in plans]
        assert len({frozenset(pair) for pair in pairs}) == len(pairs), "no pair twice"
        assert all(speaker_of(one) != speaker_of(two) for one, two in pairs)
        assert set(Counter(one for pair in pairs for one in pair).values()) == {2 * conditions}
        speakers = Counter(speaker_of(one) for one in {one for pair in pairs for one in pair})
        assert set(speakers.values()) == {2}, "two utterances a speaker"
        order = [pair[0] for pair in pairs[:utterances]]
        for shift in range(conditions):
            row = pairs[shift * utterances : (shift + 1) * utterances]
            assert row == [(one, order[(i + shift + 1) % utterances]) for i, one in enumerate(order)]
        for plan, rows in zip(plans, labels, strict=True):
            assert rows == [batches.corpus.rows[speaker_of(s.utterance), 1.0] for s in plan.sources]


@pytest.mark.parametrize(("utterances", "conditions"), [(5, 2), (7, 1), (4, 2), (2, 1), (6, 3), (4, 0)])
def test_batches_in_which_a_pair_or_a_speaker_would_meet_twice_are_refused(
    config: Callable[..., TrainConfig], utterances: int, conditions: int
) -> None:
    with pytest.raises(ConfigError, match="utterances"):
        config(f"batch.utterances={utterances}", f"batch.conditions={conditions}")


def test_each_condition_has_its_own_crop_level_channel_and_noise(make: Make) -> None:
    plans, _ = make("batch.utterances=6", "batch.conditions=2", "mixtures.noise.probability=1").plan(0)
    for key in {source.utterance for plan in plans for source in plan.sources}:
        heard = [source for plan in plans for source in plan.sources if source.utterance == key]
        assert len(heard) == 4
        assert len({one.start for one in heard}) > 1
        assert len({one.level_db for one in heard}) == len({one.channel for one in heard}) == 4
    assert len({plan.noise.seed for plan in plans}) == len(plans)


def test_batches_are_a_function_of_seed_and_step(make: Make) -> None:
    one, two, other = make(), make(), make("seed=1")
    for _ in range(2):  # asked for in another order, and again
        for step in (3, 0, 1):
            a, b = one[step], two[step]
            assert torch.equal(a.mixture, b.mixture) and torch.equal(a.labels, b.labels) and a.ids == b.ids
    assert not torch.equal(one[0].mixture, one[1].mixture)
    assert not torch.equal(one[0].mixture, other[0].mixture)


def test_ranks_share_a_batch_without_overlap(make: Make) -> None:
    settings = ("batch.utterances=6", "batch.conditions=2")
    whole = make(*settings)[2]
    parts = [make(*settings, part=(rank, 3))[2] for rank in range(3)]
    assert torch.equal(torch.cat([part.mixture for part in parts]), whole.mixture)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    assert [key for part in parts for key in part.ids] == list(whole.ids)
    with pytest.raises(DataError, match="5 processes"):
        make(*settings, part=(0, 5))


def test_mixture_is_the_sum_of_its_sources_and_noise_is_what_is_left(make: Make) -> None:
    quiet = make("mixtures.noise.probability=0")[0]
    torch.testing.assert_close(quiet.sources.sum(1), quiet.mixture, atol=1e-6, rtol=0)
    noisy = make("mixtures.noise.probability=1")[0]
    assert ((noisy.mixture - noisy.sources.sum(1)).square().mean(1) > 0).all()
    assert noisy.lengths.tolist() == [4000] * 4


def test_one_talker_mixtures_come_in_when_the_streams_have_parted(make: Make) -> None:
    settings = ("batch.utterances=8", "batch.conditions=3", "batch.one_talker=0.4")
    before, after = make(*settings), make(*settings, parted=True)
    alone = total = 0
    for step in range(8):
        a, b = before[step], after[step]
        assert (a.sources.square().sum(-1) > 0).all() and (a.labels >= 0).all()
        silent = ~(b.sources.square().sum(-1) > 0)
        assert torch.equal(silent, b.labels < 0)
        assert not silent[:, 0].any()
        alone, total = alone + int(silent[:, 1].sum()), total + len(b.ids)
        for place in range(len(b.ids)):  # a mixture that keeps its talkers is the one of before
            if not silent[place].any():
                assert torch.equal(a.mixture[place], b.mixture[place])
    assert 0.28 < alone / total < 0.52


CROWD = ("model.encoder.streams=4", "batch.more_talkers=[0.25, 0.15]", "batch.one_talker=0.2", "batch.no_talker=0.15")


@pytest.mark.parametrize(("utterances", "conditions"), [(8, 3), (8, 1), (14, 2)])
def test_mixtures_of_none_to_four_talkers_never_join_a_speakers_two_utterances(
    make: Make, utterances: int, conditions: int
) -> None:
    batches = make(*CROWD, f"batch.utterances={utterances}", f"batch.conditions={conditions}", parted=True)
    counts: Counter[int] = Counter()
    for step in range(30):
        plans, labels = batches.plan(step)
        drawn = [utterance.id for utterance, _ in batches.draw(step)]
        assert len(plans) == utterances * conditions
        for index, (plan, rows) in enumerate(zip(plans, labels, strict=True)):
            heard = [source.utterance for source in plan.sources]
            counts[len(heard)] += 1
            assert len({speaker_of(one) for one in heard}) == len(heard)
            assert rows == [batches.corpus.rows[speaker_of(one), 1.0] for one in heard]
            place, shift = index % utterances, index // utterances + 1
            assert heard[:2] == [drawn[place], drawn[(place + shift) % utterances]][: len(heard)]
            assert plan.noise is not None or heard, "noise alone is never nothing"
    total = sum(counts.values())
    for count, share in ((0, 0.15), (1, 0.2), (2, 0.25), (3, 0.25), (4, 0.15)):
        assert counts[count] / total == pytest.approx(share, abs=0.07), count


def test_before_the_streams_have_parted_no_mixture_has_fewer_than_two_talkers(make: Make) -> None:
    settings = (*CROWD, "batch.utterances=8", "batch.conditions=3")
    before, after = make(*settings), make(*settings, parted=True)
    for step in range(5):
        for one, two in zip(before.plan(step)[0], after.plan(step)[0], strict=True):
            assert len(one.sources) == max(2, len(two.sources))
            if len(two.sources) > 1:
                assert one == two


def test_silent_streams_of_a_batch_are_zeros_without_a_label(make: Make) -> None:
    batches = make(*CROWD, "batch.utterances=8", "batch.conditions=3", parted=True)
    batch = batches[0]
    plans, labels = batches.plan(0)
    for place, (plan, rows) in enumerate(zip(plans, labels, strict=True)):
        count = len(plan.sources)
        assert batch.labels[place].tolist() == rows + [-1] * (4 - count)
        power = batch.sources[place].square().sum(-1)
        assert (power[:count] > 0).all() and not power[count:].any()
        assert batch.mixture[place].any()
        if not plan.noise:
            torch.testing.assert_close(batch.sources[place].sum(0), batch.mixture[place], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("batch.more_talkers=[0.2]", "batch.utterances=6"), "streams"),
        (("model.encoder.streams=3", "batch.more_talkers=[0.2]"), "at least 5 utterances"),
        (("batch.no_talker=0.1", "mixtures.noise.probability=0"), "silence"),
        (("batch.no_talker=0.5", "batch.one_talker=0.6"), "add up to 1.1"),
        (("batch.no_talker=-0.1",), "no_talker"),
        (("model.encoder.streams=3", "batch.utterances=6", "batch.more_talkers=[1.2]"), "more_talkers"),
    ],
)
def test_impossible_numbers_of_talkers_are_refused(
    config: Callable[..., TrainConfig], settings: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config(*settings)


@pytest.mark.parametrize("talkers", [1, 2, 3])
def test_held_out_mixtures_have_the_talkers_that_were_asked_for(make: Make, talkers: int) -> None:
    batches = make("model.encoder.streams=3", "batch.held_out=0.25", "batch.held_out_mixtures=6")
    heard = list(held_out_batches(batches.config, batches.corpus, batches.store, 4, talkers=talkers))
    labels = torch.cat([batch.labels for batch in heard])
    assert len(labels) == 6 and (labels[:, :talkers] >= 0).all() and (labels[:, talkers:] == -1).all()


@pytest.mark.parametrize("label", ["speaker", "utterance"])
def test_held_out_utterances_are_never_trained_on(make: Make, label: str) -> None:
    batches = make(f"inventory.label={label}", "batch.held_out=0.25")
    trained = {s.utterance for step in range(80) for plan in batches.plan(step)[0] for s in plan.sources}
    held_out = {utterance.id for utterance in batches.corpus.held_out}
    assert len(held_out) == 9 and not trained & held_out
    assert trained | held_out == {utterance.id for utterance in batches.corpus.train} | held_out
    heard = list(held_out_batches(batches.config, batches.corpus, batches.store, 3))
    assert sum(len(batch.ids) for batch in heard) == 4
    labels = torch.cat([batch.labels for batch in heard])
    assert (labels >= 0).all() if label == "speaker" else (labels == -1).all()
    again = list(held_out_batches(batches.config, batches.corpus, batches.store, 2))
    assert torch.equal(torch.cat([b.mixture for b in heard]), torch.cat([b.mixture for b in again]))


def test_held_out_talkers_are_two_different_ones_drawn_alike_often(make: Make) -> None:
    batches = make("batch.held_out=0.25", "batch.held_out_mixtures=300")
    labels = torch.cat([b.labels for b in held_out_batches(batches.config, batches.corpus, batches.store, 50)])
    assert (labels[:, 0] != labels[:, 1]).all()
    counts = labels.flatten().bincount(minlength=9)
    assert len(counts) == 9 and int(counts.min()) > 40 and int(counts.max()) < 95  # 67 are expected


def test_all_speakers_and_utterances_are_drawn_alike_often(make: Make) -> None:
    batches = make("batch.held_out=0")
    counts = Counter(s for step in range(300) for s in {p.sources[0].utterance for p in batches.plan(step)[0]})
    assert len(counts) == 36
    assert min(counts.values()) > 15 and max(counts.values()) < 60  # 33 are expected
    speakers = np.array([sum(counts[f"spk{s}-utt{u}"] for u in range(4)) for s in range(9)])
    assert speakers.min() > 95 and speakers.max() < 175  # 133 are expected


def test_each_speed_is_a_speaker_of_its_own(make: Make) -> None:
    batches = make("mixtures.speeds=[1.0, 0.9]")
    assert sorted(batches.corpus.rows.values()) == list(range(18))
    plans, labels = batches.plan(1)
    seen = set()
    for plan, rows in zip(plans, labels, strict=True):
        for source, row in zip(plan.sources, rows, strict=True):
            assert batches.corpus.rows[source.speaker, source.speed] == row
            seen.add(source.speed)
    # Both utterances that a speaker brings are at one speed, or they would not belong to one row.
    for step in range(10):
        drawn = batches.draw(step)
        assert [speed for _, speed in drawn[:2]] == [speed for _, speed in drawn[2:]]


def test_speaker_with_one_utterance_brings_it_twice_and_keeps_it(
    config: Callable[..., TrainConfig], make_data_dir: Callable[..., Path]
) -> None:
    settings = config("batch.held_out=0.9")
    data = DataDir.load(make_data_dir("ones", speakers=3, utterances=1))
    corpus = make_corpus(data, settings)
    assert len(corpus.train) == 3 and not corpus.held_out
    batches = RoundRobin(settings, corpus, AudioStore(data, 8000), (0, 1))
    batch = batches[0]
    assert len(batch.ids) == 4 and (batch.labels[:, 0] != batch.labels[:, 1]).all()
    assert list(held_out_batches(settings, corpus, batches.store, 4)) == []


def test_too_few_speakers_are_refused_with_the_setting_to_change(
    config: Callable[..., TrainConfig], make_data_dir: Callable[..., Path]
) -> None:
    data = DataDir.load(make_data_dir("few", speakers=2, utterances=3))
    with pytest.raises(DataError, match=r"2 speakers.*batch needs 3.*batch\.utterances"):
        make_corpus(data, config("batch.utterances=6"))
    with pytest.raises(DataError, match=r"6 utterances.*batch needs 8.*batch\.utterances"):
        make_corpus(data, config("inventory.label=utterance", "batch.utterances=8", "batch.held_out=0"))
    blind = config("inventory.label=utterance", "batch.utterances=5", "batch.held_out=0")
    assert len(make_corpus(data, blind).rows) == 6


@pytest.mark.parametrize("fault", ["nan", "silent", "missing", "truncated"])
def test_recording_that_cannot_be_used_is_named(make: Make, tmp_path: Path, fault: str) -> None:
    make()
    victim = tmp_path / "voices" / "wav" / "spk4-utt1.wav"
    shutil.copy(victim, tmp_path / "kept.wav")
    samples = soundfile.read(victim, dtype="float32")[0]
    if fault == "nan":
        samples[100] = np.nan
        soundfile.write(victim, samples, 8000, subtype="FLOAT")
    elif fault == "silent":
        soundfile.write(victim, 0 * samples, 8000)
    elif fault == "truncated":
        victim.write_bytes(victim.read_bytes()[:60])
    else:
        victim.unlink()
    batches = make("batch.held_out=0")
    lost = dict(pair for step in range(40) for pair in batches[step].lost)
    assert lost.keys() == {"spk4-utt1"} and "spk4-utt1" in lost["spk4-utt1"]


@pytest.mark.parametrize(("world", "workers", "first"), [(1, 1, 0), (1, 2, 2), (2, 0, 0), (3, 2, 3), (6, 2, 1)])
def test_ranks_and_workers_draw_each_mixture_of_all_steps_once(
    make: Make, world: int, workers: int, first: int
) -> None:
    """From any step on, as after a resume: parts of all ranks together are the batches of one process."""
    settings = ("batch.utterances=6", "batch.conditions=2", "optimiser.steps=5")
    whole = [make(*settings)[step] for step in range(first, 5)]
    ranks = []
    for rank in range(world):
        batches = Carried(make(*settings, part=(rank, world)))
        ranks.append(list(DataLoader(batches, batch_size=None, sampler=range(first, 5), num_workers=workers)))
    for step, expected in enumerate(whole):
        parts = [rank[step] for rank in ranks]
        assert all(len(part.ids) == 12 // world for part in parts)
        assert [name for part in parts for name in part.ids] == list(expected.ids)
        for field in ("mixture", "sources", "lengths", "labels"):
            assert torch.equal(torch.cat([getattr(part, field) for part in parts]), getattr(expected, field)), field


def test_batches_in_rooms_over_noise_and_babble_give_the_early_parts_to_learn(
    make: Make, make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    noises = make_data_dir("noises", speakers=1, utterances=3)
    batches = make(
        "batch.utterances=4", "mixtures.noise.probability=1", "mixtures.noise.kinds=[recorded,babble]",
        f"mixtures.noise.data={noises}", "mixtures.room.probability=1", f"mixtures.room.data={noises}",
        "mixtures.room.target=early",
    )  # fmt: skip
    mixtures = batches.config.mixtures
    batches.store.surroundings = Surroundings.of(mixtures.noise, mixtures.room)
    plans, _ = batches.plan(0)
    assert {plan.noise.kind for step in range(4) for plan in batches.plan(step)[0] if plan.noise} == {
        "recorded",
        "babble",
    }
    for plan in plans:
        talkers = {source.speaker for source in plan.sources}
        if plan.noise is not None and plan.noise.kind == "babble":
            assert talkers.isdisjoint(speaker_of(clip.utterance) for clip in plan.noise.clips)
    batch = batches[0]
    for place, plan in enumerate(plans):
        rendered = render(plan, batches.store)
        assert np.array_equal(batch.mixture[place].numpy(), rendered.mixture)
        assert np.array_equal(batch.sources[place, : len(plan.sources)].numpy(), rendered.targets)
        assert not np.array_equal(rendered.targets, rendered.sources)
    again = make("batch.utterances=4").plan(0)[0]
    assert [[s.utterance for s in plan.sources] for plan in plans] == [[s.utterance for s in p.sources] for p in again]


def test_folders_of_noises_and_rooms_are_found_at_the_start_and_part_of_what_is_resumed(
    make_trainer: Callable[..., Trainer], make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    noises = make_data_dir("noises", speakers=1, utterances=3)
    with pytest.raises(DataError, match=r"noise\.data: .*absent"):
        make_trainer(f"mixtures.noise.data={tmp_path}/absent", "mixtures.noise.kinds=[recorded]")
    with pytest.raises(DataError, match=r"room\.data: .*absent"):
        make_trainer(f"mixtures.room.data={tmp_path}/absent", "mixtures.room.probability=1")
    plain = make_trainer(name="plain").identity
    setting = (f"mixtures.noise.data={noises}", "mixtures.noise.kinds=[recorded]")
    noisy = make_trainer(*setting, name="noisy").identity
    (noises / "utt2spk").write_text("".join(f"{line}x\n" for line in (noises / "utt2spk").read_text().splitlines()))
    (noises / "spk2utt").unlink()
    loaded.cache_clear()
    other = make_trainer(*setting, name="other").identity
    assert len({plain, noisy, other}) == 3
