"""One data directory of several, by the rules of Kaldi's combine_data.sh; nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from csc_cli.errors import DataError, some
from csc_cli.kaldi.edit.complete import complete
from csc_cli.kaldi.edit.lengths import durations_s
from csc_cli.kaldi.edit.tables import Tables, read_tables, refuse_own_folder
from csc_cli.kaldi.layout import COMPLETE
from csc_cli.kaldi.text import read_map, without_gc
from csc_cli.progress import note


def combine_data_dirs(
    out: str | Path, sources: Sequence[str | Path], extra_files: Sequence[str] = (), skip_fix: bool = False
) -> str:
    """Write the utterances of all `sources` to the data directory `out`; returns a summary.

    Args:
        extra_files: further tables, by file name, to merge where every source has them.
        skip_fix: keep utterances that a table lacks, which `csc data fix` would leave out.

    Raises:
        DataError: faults in a source; two sources that say different things of one key.
    """
    refuse_own_folder(out, *sources)
    parts = [_with_extra(read_tables(source), extra_files) for source in sources]
    _tell_shared_speakers(parts)
    data = combined(parts, extra_files)
    if not skip_fix:
        data, dropped = complete(data)
        for drop in dropped:
            note(f"{out}/{drop}")
    data.write(out)
    read = sum(len(part.utt2spk) for part in parts)
    return f"{out}: {len(data.utt2spk)} utterances of {len(data.spk2utt)} speakers (sources: {len(parts)} with {read})"


@without_gc()
def combined(parts: Sequence[Tables], whole: Sequence[str] = ()) -> Tables:
    """The tables of all parts together. Entries that are equal in two parts count once.

    Segments, utt2uniq and reco2file_and_channel are made for the parts that lack them if another
    has them. Another table that must be whole (`whole` and Kaldi's own) is left out, with a note,
    unless every part has it.

    Raises:
        DataError: two parts say different things of one key, or have features of unlike frame shifts.
    """
    of: dict[str, Mapping[str, str]] = {}
    for name in sorted({name for part in parts for name in part.of}):
        tables = [_table(part, name) for part in parts]
        if all(table is not None for table in tables) or name not in (*COMPLETE, "wav.scp", *whole):
            of[name] = _merged(parts, name, [table or {} for table in tables])
        else:
            lacking = [str(part.path) for part in parts if name not in part.of]
            note(f"{name}: not combined, since it is missing in {some(lacking)}")
    of["utt2spk"] = dict(sorted(of["utt2spk"].items()))
    return Tables(parts[0].path, of, _frame_shift(parts))


def _tell_shared_speakers(parts: Sequence[Tables]) -> None:
    """Speakers of one name become one; that is right for parts of one corpus, and wrong by chance for two."""
    seen: dict[str, Path] = {}
    for part in parts:
        shared = [speaker for speaker in part.spk2utt if speaker in seen]
        if shared:
            where = f"{part.path} and {seen[shared[0]]}"
            note(f"{len(shared)} speakers of {where} have the same ids and become one each: {some(shared)}")
        seen |= dict.fromkeys(part.spk2utt, part.path)


def _table(part: Tables, name: str) -> Mapping[str, str] | None:
    """A part's table; made, where it can be, if the part has none."""
    if name in part.of:
        return part.of[name]
    if name == "segments":
        return {key: f"{key} 0 {seconds!r}" for key, seconds in durations_s(part).items()}
    if name == "utt2uniq":
        return {key: key for key in part.utt2spk}
    if name == "reco2file_and_channel":
        return {key: f"{key} A" for key in part.of.get("wav.scp", {})}
    return None


def _merged(parts: Sequence[Tables], name: str, tables: Sequence[Mapping[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for number, table in enumerate(tables):
        if not merged.keys().isdisjoint(table):
            _check_equal(parts, name, number, tables, merged)
        merged |= table
    return merged


def _check_equal(
    parts: Sequence[Tables], name: str, number: int, tables: Sequence[Mapping[str, str]], merged: Mapping[str, str]
) -> None:
    unlike = [key for key, value in tables[number].items() if merged.get(key, value) != value]
    if unlike:
        key = unlike[0]
        other = next(part for part, table in zip(parts, tables) if key in table)
        message = f"'{key} {tables[number][key]}' is '{key} {merged[key]}' in {other.path} ({len(unlike)} such keys)"
        remedy = "rename one side (csc data copy --utt-prefix ... --spk-prefix ...)"
        raise DataError(f"{parts[number].path / name}: {message}; {remedy}")


def _frame_shift(parts: Sequence[Tables]) -> dict[str, bytes]:
    """The frame shift of the features; other files that are no tables are not combined."""
    featured = [part for part in parts if "frame_shift" in part.plain and "feats.scp" in part.of]
    for part in featured:
        if part.plain["frame_shift"] != featured[0].plain["frame_shift"]:
            message = f"{part.path / 'frame_shift'}: is not that of {featured[0].path}"
            raise DataError(f"{message}; make the features again, alike")
    for name in sorted({name for part in parts for name in part.plain if name != "frame_shift"}):
        note(f"{name}: not combined; join the files by hand if you need it")
    return {"frame_shift": featured[0].plain["frame_shift"]} if featured else {}


def _with_extra(part: Tables, extra_files: Sequence[str]) -> Tables:
    """With the tables that the user names, where they are there; they must be whole to be combined."""
    extra = {name: read_map(part.path / name, values=False) for name in extra_files if (part.path / name).is_file()}
    return replace(part, of={**part.of, **extra})
