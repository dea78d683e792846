"""Every fault of a data directory: one test a kind, all at once, and in accord with what loading refuses."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.checks import check_data_dir, listing
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.structure import read_structure


@pytest.fixture
def sound(make_data_dir: Callable[..., Path]) -> Path:
    """Two speakers, two utterances each, with text and genders; no fault."""
    path = make_data_dir()
    keys = [f"spk{s}-utt{u}" for s in range(2) for u in range(2)]
    (path / "text").write_text("".join(f"{key} SOME WORDS\n" for key in keys))
    (path / "spk2gender").write_text("spk0 f\nspk1 m\n")
    assert check_data_dir(path, read_audio=True) == []
    return path


@pytest.fixture
def segmented(sound: Path) -> Path:
    """The same with two segments of two recordings each."""
    (sound / "text").unlink()
    recordings = [line.split(None, 1)[1] for line in (sound / "wav.scp").read_text().splitlines()]
    (sound / "wav.scp").write_text(f"rec0 {recordings[0]}\nrec1 {recordings[2]}\n")
    rows = [f"spk{s}-utt{u} rec{s} {0.4 * u} {0.4 * u + 0.4}" for s in range(2) for u in range(2)]
    (sound / "segments").write_text("\n".join(rows) + "\n")
    assert check_data_dir(sound, read_audio=True) == []
    return sound


@dataclass(frozen=True)
class Case:
    """What is done to one file, and the faults that must come: (file, line, words of the message)."""

    file: str
    edit: Callable[[bytes], bytes | None]
    faults: tuple[tuple[str, int | None, str], ...]
    loads: bool = False
    only_with_audio: bool = False


def replace(old: str, new: str) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode(), 1)

    return edit


def add(text: str) -> Callable[[bytes], bytes]:
    return lambda data: data + text.encode("latin1")


def line(number: int, *into: int) -> Callable[[bytes], bytes]:
    """Take out a line and put it in again before each of the lines `into` (of what is left)."""

    def edit(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        taken = lines.pop(number - 1)
        for place in into:
            lines.insert(place - 1, taken)
        return b"".join(lines)

    return edit


def audio(samples: np.ndarray, kind: str = "WAV", subtype: str = "PCM_16", size: int | None = None) -> Callable:
    stream = io.BytesIO()
    soundfile.write(stream, samples, 8000, format=kind, subtype=subtype)
    return lambda data: stream.getvalue()[:size]


noise = np.random.default_rng(0).uniform(-0.5, 0.5, 30000)
WAV = "wav/spk0-utt1.wav"
CASES = {
    "no wav.scp": Case("wav.scp", lambda d: None, (("wav.scp", None, "cannot be read: No such file"),)),
    "no utt2spk": Case("utt2spk", lambda d: None, (("utt2spk", None, "cannot be read: No such file"),)),
    "no spk2utt": Case("spk2utt", lambda d: None, (("spk2utt", None, "is missing"),), loads=True),
    "empty utt2spk": Case("utt2spk", lambda d: b"", (("utt2spk", None, "is empty"),)),
    "empty text": Case("text", lambda d: b"", (("text", None, "is empty"),)),
    "missing recording": Case(WAV, lambda d: None, (("wav.scp", 2, "cannot be read: No such file"),), loads=True),
    "empty recording": Case(WAV, lambda d: b"", (("wav.scp", 2, "is an empty file"),), loads=True),
    "no audio": Case(WAV, lambda d: b"text\n" * 99, (("wav.scp", 2, "cannot be read as audio"),), loads=True),
    "no samples": Case(WAV, audio(noise[:0]), (("wav.scp", 2, "has no samples"),), loads=True),
    "truncated wav": Case(WAV, audio(noise, size=9000), (("wav.scp", 2, "is truncated"),), loads=True),
    "truncated flac": Case(WAV, audio(noise, "FLAC", size=9000), (("wav.scp", 2, "truncated"),), True, True),
    "not finite": Case(WAV, audio(noise * np.nan, subtype="FLOAT"), (("wav.scp", 2, "not finite"),), True, True),
    "recording twice": Case("wav.scp", line(2, 2, 2), (("wav.scp", 3, "'spk0-utt1' stands on line 2 already"),)),
    "utterance twice": Case("utt2spk", line(4, 4, 4), (("utt2spk", 5, "'spk1-utt1' stands on line 4 already"),)),
    "text twice": Case("text", line(1, 1, 1), (("text", 2, "'spk0-utt0' stands on line 1 already"),)),
    "speaker twice": Case("spk2utt", line(2, 2, 2), (("spk2utt", 3, "'spk1' stands on line 2 already"),)),
    "wav.scp unsorted": Case("wav.scp", line(1, 4), (("wav.scp", 4, "'spk0-utt0' is out of order"),)),
    "utt2spk unsorted": Case(
        "utt2spk", line(2, 3), (("utt2spk", 3, "'spk0-utt1' is out of order"), ("utt2spk", 3, "comes after 'spk1'"))
    ),
    "spk2utt unsorted": Case("spk2utt", line(1, 2), (("spk2utt", 2, "'spk0' is out of order after 'spk1'"),)),
    "text unsorted": Case("text", line(1, 2), (("text", 2, "'spk0-utt0' is out of order"),), loads=True),
    "CR LF": Case("utt2spk", lambda d: d.replace(b"\n", b"\r\n"), (("utt2spk", 1, "4 lines end in CR LF"),)),
    "blank line": Case("wav.scp", add("\n"), (("wav.scp", 5, "an empty line"),)),
    "no value": Case("utt2spk", replace("utt0 spk0", "utt0"), (("utt2spk", 1, "'spk0-utt0' has no value"), (
        "wav.scp", 1, "'spk0-utt0' is not in utt2spk"), ("spk2utt", 1, "'spk0-utt0' is not in utt2spk"), (
        "text", 1, "'spk0-utt0' is not in utt2spk"))),
    "latin-1": Case("text", add("t\xe9xt x\n"), (("text", 5, "not UTF-8 text"),)),
    "NUL": Case("spk2gender", replace("spk1 m", "spk1 m\0"), (
        ("spk2gender", 2, "NUL"), ("utt2spk", 3, "'spk1' is not"))),
    "two speakers": Case("utt2spk", replace("utt1 spk0", "utt1 spk0 spk1"), (
        ("utt2spk", 2, "more than one speaker"), ("spk2utt", 1, "'spk0-utt1' is of 'spk0' here and of 'spk0 spk1'"),
        ("utt2spk", 2, "'spk0-utt1' is not with its speaker"), ("utt2spk", 2, "'spk0 spk1' is not in spk2gender"),
    )),
    "not in utt2spk": Case("utt2spk", line(4), (("wav.scp", 4, "'spk1-utt1' is not in utt2spk"), (
        "spk2utt", 2, "'spk1-utt1' is not in utt2spk"), ("text", 4, "'spk1-utt1' is not in utt2spk"))),
    "not in wav.scp": Case("wav.scp", line(1), (("utt2spk", 1, "'spk0-utt0' is not in wav.scp"),)),
    "not in spk2utt": Case("spk2utt", replace(" spk1-utt0", ""), (
        ("utt2spk", 3, "'spk1-utt0' is not with its speaker"),)),
    "wrong in spk2utt": Case("spk2utt", replace("spk1-utt0", "spk1-utt9"), (
        ("spk2utt", 2, "'spk1-utt9' is not in utt2spk"), ("utt2spk", 3, "'spk1-utt0' is not with its speaker"))),
    "twice in spk2utt": Case("spk2utt", replace("spk1-utt0", "spk1-utt0 spk1-utt0"), (
        ("spk2utt", 2, "'spk1-utt0' is listed twice"),)),
    "of another speaker": Case("spk2utt", replace("spk1 ", "spk1 spk0-utt0 "), (
        ("spk2utt", 2, "'spk0-utt0' is of 'spk1' here and of 'spk0' in utt2spk"),)),
    "speaker without utterances": Case("spk2utt", add("spk9 spk9-x\n"), (
        ("spk2utt", 3, "'spk9-x' is not in utt2spk"),)),
    "not in text": Case("text", line(3), (("utt2spk", 3, "'spk1-utt0' is not in text"),), loads=True),
    "unknown in text": Case("text", add("x x\n"), (("text", 5, "'x' is not in utt2spk"),), loads=True),
    "no gender": Case("spk2gender", line(2), (("utt2spk", 3, "speaker 'spk1' is not in spk2gender"),), loads=True),
    "pipe fails": Case("wav.scp", replace("utt1.wav", "utt1.wav; exit 3 |"), (
        ("wav.scp", 2, "the command gives no audio (status 3"),), loads=True),
}  # fmt: skip
SEGMENT_CASES = {
    "end before start": Case("segments", replace("rec0 0.4 0.8", "rec0 0.8 0.4"), (("segments", 2, "is no segment"),)),
    "three fields": Case("segments", replace("rec0 0.4 0.8", "rec0 0.4"), (("segments", 2, "is no segment"),)),
    "no number": Case("segments", replace("rec0 0.4 0.8", "rec0 x 0.8"), (("segments", 2, "is no segment"),)),
    "nan": Case("segments", replace("rec0 0.4 0.8", "rec0 0.4 nan"), (("segments", 2, "is no segment"),)),
    "negative": Case("segments", replace("rec0 0.4 0.8", "rec0 -0.4 0.8"), (("segments", 2, "is no segment"),)),
    "unknown recording": Case("segments", replace("rec0 0.4", "rec7 0.4"), (
        ("segments", 2, "'rec7' is not in wav.scp"),)),
    "outside": Case("segments", replace("0.4 0.8", "0.4 1.8"), (
        ("segments", 2, "lies outside the recording"),), loads=True),
    "behind": Case("segments", replace("0.4 0.8", "1.4 1.8"), (
        ("segments", 2, "lies outside the recording"),), loads=True),
    "no segment": Case("wav.scp", add("rec2 x.wav\n"), (
        ("wav.scp", 3, "recording 'rec2' has no segment"), ("wav.scp", 3, "cannot be read")), loads=True),
    "no channel": Case("reco2file_and_channel", lambda d: b"rec0 x A\nrec1 x C\n", (
        ("reco2file_and_channel", 2, "names no file and channel"),)),
    "missing recording": Case("wav/spk1-utt0.wav", lambda d: None, (("wav.scp", 2, "No such file"),), loads=True),
}  # fmt: skip


def check(path: Path, case: Case) -> None:
    file = path / case.file
    data = case.edit(file.read_bytes() if file.exists() else b"")
    file.unlink(missing_ok=True)
    if data is not None:
        file.write_bytes(data)
    found = check_data_dir(path, read_audio=True)
    got = sorted((fault.path.name, fault.line or 0) for fault in found)
    assert got == sorted((name, number or 0) for name, number, _ in case.faults), listing(found)
    for name, number, message in case.faults:
        fault = next(f for f in found if (f.path.name, f.line) == (name, number) and message in f.message)
        assert fault.path.parent == path and len(fault.remedy) > 4
    header_only = check_data_dir(path)
    assert (header_only == []) if case.only_with_audio else (len(header_only) == len(found))
    if case.loads:
        DataDir.load(path)
    else:
        with pytest.raises(DataError) as error:
            DataDir.load(path)
        assert str(error.value).startswith(f"{path}/") and "; " in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_found_where_it_is(sound: Path, name: str) -> None:
    check(sound, CASES[name])


@pytest.mark.parametrize("name", SEGMENT_CASES)
def test_each_fault_of_segments_is_found_where_it_is(segmented: Path, name: str) -> None:
    check(segmented, SEGMENT_CASES[name])


def test_all_faults_are_listed_at_once(sound: Path) -> None:
    names = ("missing recording", "text unsorted", "wrong in spk2utt", "speaker without utterances", "blank line")
    expected = []
    for name in names:
        case = CASES[name]
        data = case.edit((sound / case.file).read_bytes())
        (sound / case.file).unlink()
        if data is not None:
            (sound / case.file).write_bytes(data)
        expected += case.faults
    found = check_data_dir(sound)
    assert len(found) == len(expected)
    for name, number, message in expected:
        assert any((f.path.name, f.line) == (name, number) and message in f.message for f in found)
    order = ["wav.scp", "segments", "utt2spk", "spk2utt", "text"]
    places = [(order.index(fault.path.name), fault.line or 0) for fault in found]
    assert places == sorted(places)


def test_a_channel_that_the_recording_lacks(sound: Path) -> None:
    soundfile.write(sound / WAV, np.stack([noise, noise], axis=1), 8000)
    keys = [line.split()[0] for line in (sound / "wav.scp").read_text().splitlines()]
    (sound / "reco2file_and_channel").write_text("".join(f"{key} {key} 3\n" for key in keys))
    (fault,) = check_data_dir(sound, read_audio=True)
    assert (fault.path.name, fault.line) == ("wav.scp", 2) and "has 2 channels, no channel 3" in fault.message


def test_speakers_that_do_not_begin_their_utterances_ids(sound: Path) -> None:
    for name in ("utt2spk", "spk2utt", "spk2gender"):
        data = (sound / name).read_text().replace(" spk0", " z")
        (sound / name).write_text(data)
    (sound / "utt2spk").write_text("spk0-utt0 z\nspk0-utt1 z\nspk1-utt0 spk1\nspk1-utt1 spk1\n")
    (sound / "spk2utt").write_text("spk1 spk1-utt0 spk1-utt1\nz spk0-utt0 spk0-utt1\n")
    (sound / "spk2gender").write_text("spk1 m\nz f\n")
    (fault,) = check_data_dir(sound)
    assert (fault.path.name, fault.line) == ("utt2spk", 3) and "beginning of each utterance id" in fault.remedy
    DataDir.load(sound)  # Kaldi's sorting needs it, csc does not


def test_sources_of_mixtures_need_not_be_there_for_all(sound: Path) -> None:
    lines = (sound / "wav.scp").read_text().splitlines()
    (sound / "spk2.scp").write_text(lines[1] + "\n")
    assert check_data_dir(sound) == []
    (sound / "spk2.scp").write_text("x a.wav\n")
    assert ["'x' is not in utt2spk" in fault.message for fault in check_data_dir(sound)] == [True]


def test_no_folder(tmp_path: Path) -> None:
    assert "no such folder" in check_data_dir(tmp_path / "none")[0].message


def test_listing(sound: Path) -> None:
    (sound / WAV).unlink()
    faults = check_data_dir(sound)
    assert listing(faults).startswith(f"{sound}/wav.scp:2: recording {sound}/{WAV}") or WAV in listing(faults)
    (row,) = json.loads(listing(faults, as_json=True))
    assert (row["path"], row["line"], row["remedy"]) == (f"{sound}/wav.scp", 2, faults[0].remedy)
    assert json.loads(listing([], as_json=True)) == []


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_loading_refuses_just_what_the_structure_has(segmented: Path, data: st.DataObject) -> None:
    """Any damage to any file: no other error than DataError, and the same judgement both ways."""
    name = data.draw(st.sampled_from(["wav.scp", "segments", "utt2spk", "spk2utt", "spk2gender"]))
    original = (segmented / name).read_bytes()
    content = bytearray(original)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.sampled_from([10, 13, 32, 9, 0, 45, 48, 49, 97, 255]))
    try:
        (segmented / name).write_bytes(content)
        faults = read_structure(segmented).faults
        try:
            loaded = DataDir.load(segmented)
            assert not faults and [u.id for u in loaded.utterances] == sorted(u.id for u in loaded.utterances)
        except DataError as error:
            assert faults and str(error).startswith(str(faults[0]))
    finally:
        (segmented / name).write_bytes(original)


@pytest.mark.parametrize(
    ("name", "count"), [("speechocean762/train", 1), ("speechocean762/test", 1), ("librispeech251", 0)]
)
def test_shared_corpora(shared: Path, name: str, count: int) -> None:
    """The part of speechocean762 has one fault: spk2age is in another order than LC_ALL=C."""
    faults = check_data_dir(shared / "corpora" / name)
    assert [(fault.path.name, "is out of order" in fault.message) for fault in faults] == [("spk2age", True)] * count
