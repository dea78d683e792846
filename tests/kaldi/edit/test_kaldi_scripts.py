"""The same directories through Kaldi's own scripts, where KALDI_ROOT names a Kaldi (nothing of it need be built)."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.checks import Asked, check_data_dir, listing
from csc_cli.kaldi.edit.combine import combine_data_dirs
from csc_cli.kaldi.edit.fix import fix_data_dir
from csc_cli.kaldi.edit.rename import Affixes, copy_data_dir
from csc_cli.kaldi.edit.split import split_data_dir
from csc_cli.kaldi.edit.subset import Choice, subset_data_dir

pytestmark = pytest.mark.kaldi
SEEDS = range(12)
Kaldi = Callable[..., bool]


@pytest.fixture
def kaldi(tmp_path: Path) -> Kaldi:
    """Run a script of utils/; whether it succeeded."""
    root = os.environ.get("KALDI_ROOT", "")
    utils = Path(root) / "egs" / "wsj" / "s5" / "utils"
    if not root or not utils.is_dir():
        pytest.skip("KALDI_ROOT names no Kaldi")
    (tmp_path / "utils").symlink_to(utils)
    (tmp_path / "path.sh").write_text('export PATH="$PWD/utils:$PATH" LC_ALL=C\n')

    def run(script: str, *arguments: object) -> bool:
        path = f"{tmp_path}/utils:{os.environ['PATH']}"
        command = [f"utils/{script}", *map(str, arguments)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": path})
        # validate_data_dir.sh ends with status 0 on one of its errors.
        return ended.returncode == 0 and (not script.startswith("validate") or "Successfully" in ended.stdout)

    return run


def make(path: Path, seed: int, *, segments: bool, prefix: str = "", every: bool = True) -> Path:
    """A random data directory without audio; `every`: with all tables."""
    draw = random.Random(seed)
    path.mkdir()
    speakers = sorted({f"{prefix}{draw.choice('abXY_0')}{draw.randint(0, 999)}" for _ in range(draw.randint(3, 12))})
    own = {speaker: [f"{speaker}-{index:03d}" for index in range(draw.randint(1, 9))] for speaker in speakers}
    # As LC_ALL=C sorts them: by utterance; an id's end sorts before '-' and all that may follow.
    utterances = sorted((key, speaker) for speaker, keys in own.items() for key in keys)
    tables = {"utt2spk": dict(utterances), "spk2utt": {speaker: " ".join(keys) for speaker, keys in own.items()}}
    recordings = [key for key, _ in utterances]
    if segments:
        recordings = [f"{prefix}rec{index:03d}" for index in range(max(1, len(utterances) // 3))]
        tables["segments"] = {}
        for index, (key, _) in enumerate(utterances):
            start = draw.randint(0, 500) / 100
            place = recordings[index] if index < len(recordings) else draw.choice(recordings)
            tables["segments"][key] = f"{place} {start} {start + draw.randint(50, 300) / 100:.2f}"
        tables["reco2file_and_channel"] = {key: f"{key} {draw.choice('AB')}" for key in recordings}
    tables["wav.scp"] = {
        key: draw.choice((f"/my data/{key}.wav", f"sph2pipe -f wav {key}.sph |")) for key in recordings
    }
    names = ["text", "utt2dur", "utt2num_frames", "feats.scp"] + ["vad.scp", "utt2lang", "utt2uniq"] * every
    for name in names:
        tables[name] = {key: str(draw.randint(1, 99)) for key, _ in utterances}
    tables["spk2gender"] = {speaker: draw.choice("mf") for speaker in speakers}
    tables["reco2dur"] = {key: str(draw.randint(900, 999) / 100) for key in recordings}
    for name, table in tables.items():
        (path / name).write_text("".join(f"{key} {table[key]}\n" for key in sorted(table)))
    return path


def files(path: Path) -> dict[str, list[list[str]]]:
    """The fields of each line of each file; blanks at the ends and between do not count."""
    return {file.name: [line.split() for line in file.open()] for file in path.iterdir() if file.is_file()}


@pytest.mark.parametrize("seed", SEEDS)
def test_subset(kaldi: Kaldi, tmp_path: Path, seed: int) -> None:
    source, draw = make(tmp_path / "source", seed, segments=bool(seed % 2)), random.Random(seed)
    count = len((source / "utt2spk").read_text().splitlines())
    for how in ("spread", "first", "last", "shortest", "per-spk", "speakers"):
        number = draw.randint(1, 4 if how == "per-spk" else count)
        assert kaldi("subset_data_dir.sh", *[f"--{how}"] * (how != "spread"), source, number, tmp_path / f"k-{how}")
        subset_data_dir(source, tmp_path / how, Choice(number, how))  # type: ignore[arg-type]
        assert files(tmp_path / how) == files(tmp_path / f"k-{how}"), (how, number)
    for what, column in (("utt", 0), ("spk", 1)):
        ids = [line.split()[column] for line in (source / "utt2spk").open()]
        (tmp_path / "list").write_text("".join(f"{key} x\n" for key in [*draw.sample(ids, 2), "nobody"]))
        assert kaldi("subset_data_dir.sh", f"--{what}-list", tmp_path / "list", source, tmp_path / f"k-{what}")
        lists = {f"{what}_list": tmp_path / "list"}
        subset_data_dir(source, tmp_path / what, Choice(**lists))  # type: ignore[arg-type]
        assert files(tmp_path / what) == files(tmp_path / f"k-{what}"), what


@pytest.mark.parametrize("seed", SEEDS)
def test_copy_combine_split(kaldi: Kaldi, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    source = make(tmp_path / "source", seed, segments=bool(seed % 2))
    assert kaldi("copy_data_dir.sh", "--utt-prefix", "p-", "--spk-prefix", "p-", source, tmp_path / "k-copy")
    copy_data_dir(source, tmp_path / "copy", Affixes("p-", "", "p-"))
    assert files(tmp_path / "copy") == files(tmp_path / "k-copy")
    others = [make(tmp_path / p, seed + 9, segments=draw.random() < 0.5, prefix=p, every=False) for p in ("q", "z")]
    assert kaldi("combine_data.sh", tmp_path / "k-all", source, *others)
    combine_data_dirs(tmp_path / "all", [source, *others])
    ours, theirs = files(tmp_path / "all"), files(tmp_path / "k-all")
    for table in (ours, theirs):
        table.pop("reco2file_and_channel", None)  # Kaldi leaves it out where a directory has none
        table["segments"] = [[*line[:2], *map(float, line[2:])] for line in table.get("segments", [])]  # type: ignore[list-item]
    assert ours == theirs
    for options in ([], ["--per-utt"]):
        number, suffix = draw.randint(1, 3), "utt" if options else ""
        twin = tmp_path / f"twin{suffix}"
        shutil.copytree(source, twin)
        assert kaldi("split_data.sh", *options, twin, number)
        split_data_dir(source, number, per_utt=bool(options))
        for job in range(1, number + 1):
            part = files(source / f"split{number}{suffix}" / str(job))
            for name, lines in files(twin / f"split{number}{suffix}" / str(job)).items():
                assert part.get(name, []) == lines, (number, job, name)


def damage(path: Path, draw: random.Random) -> None:
    """Do something to a line of a file, or to a file."""
    file = draw.choice(sorted(file for file in path.iterdir() if file.is_file() and file.stat().st_size))
    lines = file.read_text().splitlines(keepends=True)
    place = draw.randrange(len(lines))
    value = draw.choice(["-1", "0", "x", "~/a.wav", "m m", "<s> A", "1.5", "C", "rec1 5 2", "A\u00a0B", "\x07"])
    changes: list[Callable[[], list[str]]] = [
        lambda: lines[:place] + lines[place + 1 :],
        lambda: [*lines, lines[place]],
        lambda: [*lines[:place], *reversed(lines[place:])],
        lambda: [*lines[:place], f"{lines[place].split()[0]} {value}\n", *lines[place + 1 :]],
        lambda: [*lines, f"zzzz {lines[-1].split(None, 1)[-1]}"],
        lambda: [*lines[:place], "\n", *lines[place:]],
        lambda: [*lines[:-1], lines[-1].rstrip("\n")],
        list,
    ]
    file.write_text("".join(draw.choice(changes)()))


@pytest.mark.parametrize("seed", range(60))
def test_validate_and_fix(kaldi: Kaldi, tmp_path: Path, seed: int) -> None:
    """What Kaldi refuses is refused; what Kaldi's fix leaves sound, ours leaves the same."""
    draw, asked = random.Random(seed), Asked(audio=False, require=("text", "feats.scp"))
    path = make(tmp_path / "source", seed, segments=bool(seed % 2))
    for _ in range(seed % 3):
        damage(path, draw)
    sound = check_data_dir(path, asked=asked) == []
    assert sound == kaldi("validate_data_dir.sh", path), listing(check_data_dir(path, asked=asked))
    shutil.copytree(path, tmp_path / "twin")
    fixed = kaldi("fix_data_dir.sh", tmp_path / "twin")
    try:
        fix_data_dir(path, Asked(audio=False))
    except DataError:
        assert not fixed or not kaldi("validate_data_dir.sh", "--no-text", "--no-feats", tmp_path / "twin")
        return
    assert check_data_dir(path, asked=Asked(audio=False)) == []
    if fixed and kaldi("validate_data_dir.sh", tmp_path / "twin"):
        assert files(path) == files(tmp_path / "twin")
