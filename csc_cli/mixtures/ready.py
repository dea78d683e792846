"""Mixtures that others made: their layouts on disk -> a data directory with the references of separation.

- ESPnet's: wav.scp, spk1.scp, spk2.scp, ..., noise1.scp, utt2spk, text_spk1, ...: a data directory already.
- LibriMix's (and WHAM's, wsj0-2mix's): folders `mix*`, `s1`, `s2`, ... and `noise` with files of the same names.
- LibriMix's metadata: `mixture_*.csv`, which name those files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from csc_cli.errors import AudioError, DataError, at, some
from csc_cli.kaldi.audio import read_header
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import read_map
from csc_cli.parallel import threaded_map
from csc_cli.progress import note, track
from csc_cli.text_files import read_csv

ENDINGS = (".wav", ".flac")
REFERENCE = re.compile(r"(spk|noise)\d+\.scp")
LIBRISPEECH = re.compile(r"\d+-\d+-\d+(_\d+-\d+-\d+)*")
WSJ = re.compile(r"[0-9a-z]{8}_-?[\d.]+(_[0-9a-z]{8}_-?[\d.]+)+")


@dataclass(frozen=True)
class Ready:
    """A mixture on disk: its file and those of its parts, by table: `spk1`, `spk2`, ..., `noise1`."""

    id: str
    wav: str
    parts: Mapping[str, str]
    name: str  # of the mixture where the id is a code


def import_mixtures(
    source: Path,
    out: Path,
    *,
    mixture: str | None = None,
    utt2spks: Path | None = None,
    check: bool = True,
    nj: int = 1,
) -> str:
    """Write a data directory of the mixtures in `source`; no audio is copied.

    Args:
        source: a data directory of ESPnet's, a folder that has `s1`, or a `mixture_*.csv` of LibriMix's.
        mixture: which of the folders `mix*` (mix_clean, mix_both, ...), where there are several.
        utt2spks: who is heard in each mixture; None: what ESPnet's utt2spks or the ids of LibriMix and wsj0-2mix say.
        check: read the headers: mixture and parts must have the same rate and length.

    Returns:
        A line for people.

    Raises:
        DataError: no such layout, or what it lacks.
    """
    if (out / "wav.scp").exists():
        raise DataError(f"{out}: holds a data directory already; give another folder")
    if source.is_dir() and (source / "wav.scp").exists():
        data = _of_espnet(source, utt2spks)
    elif source.is_file() and source.suffix == ".csv":
        data = _data_dir(source, _of_metadata(source), utt2spks)
    else:
        data = _data_dir(source, _of_folders(source, mixture), utt2spks)
    references = sorted(name for name in data.extra if REFERENCE.fullmatch(name))
    if "spk1.scp" not in references:
        raise DataError(f"{source}: has no spk1.scp and no s1; these are no mixtures with their sources")
    if check:
        _check(data, references, nj)
    data.save(out)
    return f"{out}: {len(data.utterances)} mixtures with {', '.join(references)}"


def speakers_of(name: str, talkers: int) -> list[str] | None:
    """Who is heard in a mixture of LibriMix or wsj0-2mix, by its name; None where the name does not say.

    >>> speakers_of("4077-13754-0001_5142-33396-0065", 2), speakers_of("053a050d_0.9_050a0501_-0.9", 2)
    (['4077', '5142'], ['053', '050'])
    >>> speakers_of("meeting-1", 2)
    """
    if LIBRISPEECH.fullmatch(name):
        found = [part.partition("-")[0] for part in name.split("_")]
    elif WSJ.fullmatch(name):
        found = [part[:3] for part in name.split("_")[::2]]
    else:
        return None
    return found[:talkers] if len(found) >= talkers else None


def _of_espnet(source: Path, utt2spks: Path | None) -> DataDir:
    data = DataDir.load(source)
    extra = dict(data.extra)
    if utt2spks is not None:
        extra["utt2spks"] = _heard(utt2spks, [utterance.id for utterance in data.utterances])
    elif "utt2spks" not in extra:
        tables = [extra[name] for name in extra if name.startswith("spk") and REFERENCE.fullmatch(name)]
        talkers = {utterance.id: sum(utterance.id in table for table in tables) for utterance in data.utterances}
        extra |= _utt2spks(source, {id: speakers_of(id, count) for id, count in talkers.items()})
    return DataDir(source, data.utterances, extra)


def _of_folders(source: Path, mixture: str | None) -> list[Ready]:
    if not source.is_dir() or not (source / "s1").is_dir():
        raise DataError(
            f"{source}: is no folder of mixtures: looked for wav.scp and spk1.scp (ESPnet), for s1 beside mix* "
            "(LibriMix: .../Libri2Mix/wav8k/min/test), and for a mixture_*.csv"
        )
    names = sorted(path.name for path in source.glob("mix*") if path.is_dir())
    if mixture is None and len(names) != 1:
        raise DataError(f"{source}: has the folders {', '.join(names) or 'of no mixtures'}; choose one with --mixture")
    mixture = mixture or names[0]
    kinds = {f"spk{path.name[1:]}": path for path in source.glob("s[0-9]*") if path.is_dir()}
    if mixture == "mix_single":
        kinds = {"spk1": source / "s1"}
    if mixture != "mix_clean" and (source / "noise").is_dir():
        kinds["noise1"] = source / "noise"
    wavs = _recordings(source / mixture)
    parts = {kind: _recordings(folder) for kind, folder in sorted(kinds.items())}
    for kind, own in parts.items():
        for folder, lacking in ((kinds[kind], wavs.keys() - own), (source / mixture, own.keys() - wavs)):
            if lacking:
                raise DataError(f"{folder}: lacks {some(sorted(lacking))}; unpack or make it again")
    return [Ready(id, wav, {kind: parts[kind][id] for kind in parts}, id) for id, wav in sorted(wavs.items())]


def _recordings(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: not found; choose another with --mixture")
    found = {path.stem: str(path) for path in folder.iterdir() if path.suffix in ENDINGS and path.name[0] != "."}
    if not found:
        raise DataError(f"{folder}: has no recordings ({', '.join(ENDINGS)})")
    return found


def _of_metadata(path: Path) -> list[Ready]:
    """The rows of a `mixture_SUBSET_TYPE.csv`; where its paths are not there, those beside it are meant."""
    columns, rows = read_csv(path)
    sources = {f"spk{n}": f"source_{n}_path" for n in range(1, 100) if f"source_{n}_path" in columns}
    kinds = sources | ({"noise1": "noise_path"} if "noise_path" in columns else {})
    if not {"mixture_ID", "mixture_path", "source_1_path"} <= set(columns):
        raise DataError(f"{path}: has no columns mixture_ID, mixture_path, source_1_path; give a mixture_*.csv")
    found: dict[str, Ready] = {}
    moved: bool | None = None
    for line, row in rows:
        if any(not row[column] for column in ("mixture_ID", "mixture_path", *kinds.values())):
            raise DataError(at(path, line, "has too few columns; write the file again"))
        if row["mixture_ID"] in found:
            raise DataError(at(path, line, f"mixture '{row['mixture_ID']}' comes twice; keep one"))
        moved = not Path(row["mixture_path"]).exists() if moved is None else moved
        place = partial(_beside, path) if moved else str
        parts = {kind: place(row[column]) for kind, column in kinds.items()}
        name = row.get("original_mixture_ID") or row["mixture_ID"]
        found[row["mixture_ID"]] = Ready(row["mixture_ID"], place(row["mixture_path"]), parts, name)
    return [found[id] for id in sorted(found)]


def _beside(metadata: Path, name: str) -> str:
    """.../wav8k/min/metadata/x.csv and any/where/test/s1/a.wav -> .../wav8k/min/test/s1/a.wav."""
    return str(metadata.parent.parent.joinpath(*Path(name).parts[-3:]))


def _data_dir(source: Path, ready: list[Ready], utt2spks: Path | None) -> DataDir:
    if not ready:
        raise DataError(f"{source}: has no mixtures")
    extra: dict[str, dict[str, str]] = {}
    for item in ready:
        for kind, name in item.parts.items():
            extra.setdefault(f"{kind}.scp", {})[item.id] = name
    if utt2spks is not None:
        extra["utt2spks"] = _heard(utt2spks, [item.id for item in ready])
    else:
        talkers = {item.id: sum(kind.startswith("spk") for kind in item.parts) for item in ready}
        extra |= _utt2spks(source, {item.id: speakers_of(item.name, talkers[item.id]) for item in ready})
    return DataDir(source, tuple(Utterance(item.id, item.id, item.wav) for item in ready), extra)


def _heard(path: Path, ids: Sequence[str]) -> dict[str, str]:
    """What a table of who is heard says of these mixtures."""
    heard = read_map(path)
    lacking = [id for id in ids if id not in heard]
    if lacking:
        raise DataError(f"{path}: lacks {some(lacking)}; add them")
    return {id: heard[id] for id in ids}


def _utt2spks(source: Path, found: Mapping[str, list[str] | None]) -> dict[str, dict[str, str]]:
    unknown = [id for id, speakers in found.items() if speakers is None]
    if unknown:
        note(f"{source}: ids do not say who is heard ({some(unknown)}), so there is no utt2spks; see --utt2spks")
        return {}
    return {"utt2spks": {id: " ".join(speakers) for id, speakers in found.items() if speakers}}


def _check(data: DataDir, references: Iterable[str], nj: int) -> None:
    tables = {name: data.extra[name] for name in references}
    work = threaded_map(partial(_fault, tables=tables), data.utterances, nj)
    faults = [fault for fault in track(work, "recordings", len(data.utterances)) if fault]
    if faults:
        more = f" (and {len(faults) - 1} more mixtures)" if len(faults) > 1 else ""
        raise DataError(f"{data.path}: {faults[0]}{more}")


def _fault(utterance: Utterance, tables: Mapping[str, Mapping[str, str]]) -> str:
    """What is wrong with a mixture's files; "" where nothing is."""
    try:
        whole = read_header(utterance)
        for name, table in tables.items():
            if utterance.id not in table:
                continue
            part = read_header(table[utterance.id])
            if part.sample_rate != whole.sample_rate or (utterance.is_whole and part.frames != whole.frames):
                return (
                    f"{name}: '{utterance.id}' has {part.frames} samples at {part.sample_rate} Hz, its mixture "
                    f"{whole.frames} at {whole.sample_rate} Hz; use the parts that it was mixed from"
                )
    except AudioError as error:
        return str(error)
    return ""
