"""A list of trials -> the same trials in adverse conditions: the entry function of `csc trials --from`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from csc_cli import config as configs
from csc_cli.files import open_atomic, sha256
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.text import read_map, write_map
from csc_cli.mixtures.listed import Form, Listed, read_list
from csc_cli.mixtures.listed_draws import enroll_draws, test_draws
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.presets import ListConfig
from csc_cli.mixtures.produce import PLAN, Product, data_digest, jobs_of, produce
from csc_cli.mixtures.readme import list_readme, rows_by_condition
from csc_cli.mixtures.split import refuse_shared_ids
from csc_cli.mixtures.surroundings import Surroundings


def make_listed_trials(
    trials: Path,
    data_dir: Path,
    out: Path,
    config: ListConfig,
    *,
    form: Form = "kaldi",
    preset: str = "",
    seed: int = 0,
    interferers: Path | None = None,
    audio: bool = True,
    nj: int = 1,
) -> str:
    """Write the parts out/enroll and out/test, and out/{trials,utt2cond,utt2spks,utt2overlap,README.md}.

    Args:
        trials: the list, Kaldi's or (by `form`) VoxCeleb's.
        data_dir: the recordings that it names.
        preset: its name, for the README.
        interferers: other people, who alone interfere.
        audio: write the recordings, or only their mix.jsonl.

    Returns:
        Lines for people.

    Raises:
        CscError: of the list (naming its line), of a recording (naming its line of mix.jsonl), nobody to interfere.
    """
    data = DataDir.load(data_dir)
    pool = DataDir.load(interferers) if interferers else data
    if interferers:
        refuse_shared_ids(data, pool)
    listed = read_list(trials, form, data)
    stamp = {"settings": configs.to_dict(config), "seed": seed, "data": data_digest(data), "list": sha256(trials)}
    stamp |= {"form": form} | ({"interferers": data_digest(pool)} if interferers else {})
    surroundings = Surroundings(config.noise.data)
    stamp |= surroundings.stamp()
    mixed = config.enrollment == "mixture"
    parts = (
        ("enroll", enroll_draws, Product(audio=audio, references=mixed, own_speaker=mixed)),
        ("test", test_draws, Product(audio=audio, overlap=True)),
    )
    totals = (len({one.id for ones in listed.enroll.values() for one in ones}), len(listed.tests))
    for (part, draws, product), total in zip(parts, (totals[0], totals[1] * len(config.conditions)), strict=True):
        made = sorted(draws(listed, pool, config, seed), key=lambda draw: draw.id)
        produce(out / part, stamp, partial(jobs_of, out / part, partial(iter, made), surroundings), total, product, nj)
    return _write(out, trials, listed, config, preset, seed, data, pool)


def _write(
    out: Path, source: Path, listed: Listed, config: ListConfig, preset: str, seed: int, data: DataDir, pool: DataDir
) -> str:
    heard = {part: {mixture.id: mixture for mixture in read_mixtures(out / part / PLAN)} for part in ("enroll", "test")}
    tests = heard["test"]
    overlaps = read_map(out / "test" / "utt2overlap")
    conditions = {id: mixture.condition for id, mixture in tests.items()}
    write_map(out / "utt2cond", conditions)
    write_map(out / "utt2spks", {id: [one.speaker for one in mixture.sources] for id, mixture in tests.items()})
    write_map(out / "utt2overlap", overlaps)
    counts: Counter[tuple[str, bool]] = Counter()
    with open_atomic(out / "trials") as stream:
        for enrollment, test, target, condition in pairs(listed, config):
            counts[condition, target] += 1
            stream.write(f"{enrollment} {test} {'target' if target else 'nontarget'}\n")
    rows = rows_by_condition(conditions, overlaps, counts, config.conditions)
    with open_atomic(out / "README.md") as stream:
        stream.write(list_readme(out, source, preset, len(heard["enroll"]), rows, config, seed, data, pool))
    first = f"{out}: {len(listed.trials)} trials of {source}; {len(heard['enroll'])} enrollments"
    return "\n".join([first, *map(str, rows)])


def pairs(listed: Listed, config: ListConfig) -> Iterator[tuple[str, str, bool, str]]:
    """(enrollment, test recording, whether a talker is in both, condition), in the list's order by condition.

    Interferers are never of a speaker whom the recording meets, and those of enrollments never interfere with tests:
    so the list's own key holds, and an enrollment's interferer is nowhere a target.
    """
    for condition in config.conditions:
        for name, test, target in listed.trials:
            recording = f"{test}-{condition}"
            if config.enrollment == "single":
                yield name, recording, target, condition
                continue
            for one in listed.enroll[name]:
                if config.trials == "any":
                    yield f"{one.id}-mixed", recording, target, condition
                else:
                    yield f"{one.id}-mixed-s1", recording, target, condition
                    yield f"{one.id}-mixed-s2", recording, False, condition
