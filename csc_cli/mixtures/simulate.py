"""A data directory -> mixtures in a folder: the entry function of `csc simulate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256 as sha256_of
from pathlib import Path

from csc_cli import config as configs
from csc_cli.errors import DataError
from csc_cli.files import sha256
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures.bulk import Plan
from csc_cli.mixtures.checksums import SUMS, listed
from csc_cli.mixtures.draw import draw_data_dir
from csc_cli.mixtures.known import SPEECH, measure
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.produce import PLAN, Job, Product, data_digest, jobs_of, produce
from csc_cli.mixtures.settings import MixtureConfig
from csc_cli.mixtures.store import detector
from csc_cli.mixtures.surroundings import Surroundings
from csc_cli.progress import note

WHOLE_UTTERANCES = "crop_s: null"
PRODUCT = Product()
NOWHERE = Surroundings()


def with_folders(config: MixtureConfig, noises: Path | None, rooms: Path | None) -> MixtureConfig:
    """The settings with noises and impulse responses of these folders.

    All noise is theirs unless `kinds` says otherwise, and where the settings have no rooms every mixture is in one.
    """
    noise, room = config.noise, config.room
    if noises is not None:
        kinds = noise.kinds if "recorded" in noise.kinds else ("recorded",)
        noise = replace(noise, data=str(noises), kinds=kinds)
    if rooms is not None:
        room = replace(room, data=str(rooms), probability=room.probability or 1.0)
    return replace(config, noise=noise, room=room)


def load_settings(path: Path | None, overrides: Sequence[str] = ()) -> MixtureConfig:
    """The settings of a file, or the defaults with whole utterances in place of crops."""
    if path is None:
        return configs.loads(MixtureConfig, WHOLE_UTTERANCES, "defaults", overrides)
    return configs.load(MixtureConfig, path, overrides)


def simulate_data_dir(
    data_dir: Path,
    out: Path,
    config: MixtureConfig,
    *,
    count: int | None = None,
    talkers: int | tuple[int, int] = 2,
    seed: int = 0,
    audio: bool = False,
    product: Product = PRODUCT,
    nj: int = 1,
) -> str:
    """Draw `count` mixtures (default: one for each utterance) and write mix.jsonl and, with `audio`, audio.

    Args:
        product: how, whether there is audio or not.

    Returns:
        A line for people.

    Raises:
        CscError: naming the line of mix.jsonl at which a source cannot be used.
    """
    data = DataDir.load(data_dir)
    count = len(data.utterances) if count is None else count
    if count < 1:
        raise DataError(f"{out}: {count} mixtures asked for; ask for at least one")
    vad = detector(data, config.activity)
    surroundings = Surroundings.of(config.noise, config.room)
    stamp = {
        "settings": configs.to_dict(config),
        "seed": seed,
        "count": count,
        "talkers": talkers,
        "data": data_digest(data),
    } | ({"vad": vad.digest()} if vad else {})
    stamp |= surroundings.stamp()
    jobs = partial(jobs_of, out, partial(draw_data_dir, data, config, seed, count, talkers), surroundings, vad)
    plan = None if audio else _plan(data, out, config, seed, talkers, count, product, vad, nj)
    left = produce(out, stamp, jobs, count, replace(product, audio=audio), nj, plan).told(out)
    return f"{out}: {count} mixtures of {_number(talkers)} talker(s); {PLAN} sha256 {sha256(out / PLAN)[:16]}{left}"


def _plan(
    data: DataDir, out: Path, config: MixtureConfig, seed: int, talkers: int | tuple[int, int], count: int,
    product: Product, vad: VadTable | None, nj: int,
) -> Plan:  # fmt: skip
    """The plan without audio. Where each utterance is likely to be needed, where speech is is measured first."""
    plan = Plan(str(data.path), config, seed, talkers, resample=product.resample)
    if count < len(data.utterances) or config.speeds != (1.0,) or not product.resample:
        return plan
    known = (data_digest(data), config.sample_rate, vad.digest() if vad else "")
    key = sha256_of(repr(known).encode()).hexdigest()
    measure(out / SPEECH, key, data, config.sample_rate, vad, nj)
    return replace(plan, table=out / SPEECH, key=key)


def _number(talkers: int | tuple[int, int]) -> str:
    return str(talkers) if isinstance(talkers, int) else f"{talkers[0]} to {talkers[1]}"


def render_plan(
    data_dir: Path, out: Path, plan: Path, *, surroundings: Surroundings = NOWHERE, product: Product = PRODUCT,
    nj: int = 1,
) -> str:  # fmt: skip
    """Write the audio of the mixtures of a given mix.jsonl, whose utterances are those of the data directory.

    Args:
        surroundings: where its noises and impulse responses are.

    Raises:
        CscError: naming the line of `plan` that is wrong, or whose source cannot be used.
    """
    data = DataDir.load(data_dir)
    around = surroundings.stamp()
    count = sum(1 for _ in read_mixtures(plan))  # all lines are checked before any work
    if not count:
        raise DataError(f"{plan}: is empty; it has no mixtures")

    def jobs() -> Iterator[Job]:
        for line, mixture in enumerate(read_mixtures(plan), start=1):
            names = [source.utterance for source in mixture.sources]
            if mixture.noise is not None and mixture.noise.kind == "babble":
                names += [clip.utterance for clip in mixture.noise.clips]
            utterances = tuple(data.by_id[name] for name in names if name in data.by_id)
            yield Job(f"{plan}:{line}", mixture, utterances, None, surroundings)

    digest = sha256(plan)
    if listed(plan.parent, plan.name) not in (None, digest):
        note(f"{plan}: is not the one that {plan.parent / SUMS} tells of; has it lost lines?")
    stamp = {"plan": digest, "data": data_digest(data), **around}
    left = produce(out, stamp, jobs, count, product, nj).told(out)
    return f"{out}: {count} mixtures of {plan}{left}"
