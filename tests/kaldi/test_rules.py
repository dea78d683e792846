"""The rules in docs/formats.md: for each a directory that passes, one that fails, and what `fix` makes of that one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import DataError
from csc_cli.kaldi.checks import Asked, check_data_dir, listing
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.edit.fix import fix_data_dir

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
UTTERANCES = ("a-1", "a-2", "b-1", "b-2")
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def wavs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two seconds: r1 (mono), r2 (stereo), and bad ones."""
    path = tmp_path_factory.mktemp("wavs")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (16000, 2))
    soundfile.write(path / "r1.wav", noise[:, 0], 8000)
    soundfile.write(path / "r2.wav", noise, 8000)
    (path / "cut.wav").write_bytes((path / "r1.wav").read_bytes()[:9000])
    soundfile.write(path / "nan.wav", np.full(16000, np.nan), 8000, subtype="FLOAT")
    soundfile.write(path / "whole.flac", noise[:, 0], 8000)
    (path / "cut.flac").write_bytes((path / "whole.flac").read_bytes()[:9000])
    return path


@pytest.fixture
def whole(wavs: Path, tmp_path: Path) -> Path:
    """Four utterances of two speakers, each its own recording; all tables that may be there."""
    return _make(tmp_path / "whole", dict.fromkeys(UTTERANCES, f"{wavs}/r1.wav"), None)


@pytest.fixture
def parts(wavs: Path, tmp_path: Path) -> Path:
    """The same as segments of two recordings."""
    segments = {"a-1": "r1 0 1", "a-2": "r1 1 2.25", "b-1": "r2 0.5 1.5", "b-2": "r2 1.5 2"}
    return _make(tmp_path / "parts", {"r1": f"{wavs}/r1.wav", "r2": f"cat {wavs}/r2.wav |"}, segments)


def _make(path: Path, wav: dict[str, str], segments: dict[str, str] | None) -> Path:
    path.mkdir()
    tables = {
        "wav.scp": wav,
        "utt2spk": {key: key[0] for key in UTTERANCES},
        "spk2utt": {"a": "a-1 a-2", "b": "b-1 b-2"},
        "text": {"a-1": "HALLO", "a-2": "", "b-1": "GRÜẞE\t<sil> S>", "b-2": "X"},
        "utt2dur": dict.fromkeys(UTTERANCES, "1.5"),
        "utt2num_frames": dict.fromkeys(UTTERANCES, "150"),
        "utt2lang": dict.fromkeys(UTTERANCES, "de"),
        "utt2warp": dict.fromkeys(UTTERANCES, "1.1"),
        "vad.scp": {key: f"vad.ark:{index}" for index, key in enumerate(UTTERANCES)},
        "spk2gender": {"a": "f", "b": "m"},
        "spk2warp": {"a": "0.9", "b": "1"},
        "reco2dur": dict.fromkeys(wav, "2.0"),
        "reco2file_and_channel": {key: f"{key} {'B' if key == 'r2' else 'A'}" for key in wav},
        "utt2cond": {"a-2": "noisy"},
        "spk2town": {"b": "Köln am Rhein"},
        "spk2.scp": {"b-1": "/clean/b-1.wav"},
    }
    if segments:
        tables["segments"] = segments
    for name, table in tables.items():
        lines = [f"{key} {value}\n" if value else f"{key}\n" for key, value in sorted(table.items())]
        (path / name).write_text("".join(lines), encoding="utf-8")
    return path


def put(name: str, key: str, line: str | bytes | None) -> Edit:
    """Put another line (without its end) in the place of the one that begins with `key`; None: none; unknown: add."""

    def edit(path: Path) -> None:
        new = b"" if line is None else (line.encode() if isinstance(line, str) else line) + b"\n"
        lines = (path / name).read_bytes().splitlines(keepends=True) if (path / name).exists() else []
        if not any(old.split()[0] == key.encode() for old in lines):
            lines.append(new)
        (path / name).write_bytes(b"".join(new if old.split()[:1] == [key.encode()] else old for old in lines))

    return edit


def remove(*names: str) -> Edit:
    def edit(path: Path) -> None:
        for name in names:
            (path / name).unlink()

    return edit


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Edit:
    return lambda path: (path / name).write_bytes(change((path / name).read_bytes()))  # type: ignore[return-value]


def all_of(*edits: Edit) -> Edit:
    def edit(path: Path) -> None:
        for one in edits:
            one(path)

    return edit


def turned(data: bytes) -> bytes:
    return b"".join(reversed(data.splitlines(keepends=True)))


@dataclass(frozen=True)
class Rule:
    """Edits that make a failing and a passing directory; where and in what words the fault is told; what fix keeps.

    `kept`: the utterances after `fix`; "error": nothing is changed; "left": all are kept, the fault too.
    """

    fails: Edit
    place: tuple[str, int | None]
    words: str
    kept: str
    passes: Edit = lambda path: None
    of: str = "whole"
    asked: Asked = Asked()


ALL = " ".join(UTTERANCES)
REST = "a-2 b-1 b-2"
READ = Asked(read_audio=True)
RULES = {
    "A1": Rule(put("text", "a-1", b"a-1 caf\xe9"), ("text", 1), "not UTF-8", REST, put("text", "a-1", "a-1 café")),
    "A2": Rule(rewrite("utt2spk", lambda d: d.replace(b"\n", b"\r\n")), ("utt2spk", 1), "4 lines end in CR LF", ALL),
    "A3": Rule(rewrite("utt2dur", lambda d: d + b"\n"), ("utt2dur", 5), "an empty line", ALL),
    "A4": Rule(put("utt2lang", "a-1", "a-1"), ("utt2lang", 1), "'a-1' has no value", REST, put("text", "a-1", "a-1")),
    "A5": Rule(put("text", "a-1", "a-1 A\0B"), ("text", 1), "a NUL or CR", REST),
    "A6": Rule(rewrite("text", lambda d: d + b"a-1 AGAIN\n"), ("text", 5), "'a-1' stands on line 1", ALL),
    "A7": Rule(rewrite("utt2spk", turned), ("utt2spk", 2), "out of order", ALL),
    "A8": Rule(rewrite("text", turned), ("text", 2), "out of order", ALL),
    "A9": Rule(rewrite("text", lambda d: d[:-1]), ("text", 4), "the last line has no end", ALL),
    "A10": Rule(rewrite("text", lambda d: b""), ("text", None), "is empty", ALL, remove("text")),
    "A11": Rule(rewrite("utt2spk", lambda d: b"\xef\xbb\xbf" + d), ("utt2spk", 1), "a byte order mark", ALL),
    "W1": Rule(remove("wav.scp"), ("wav.scp", None), "cannot be read", "left", lambda p: None),
    "W2": Rule(put("wav.scp", "a-1", None), ("utt2spk", 1), "'a-1' is not in wav.scp", REST),
    "W3": Rule(put("wav.scp", "a-1", "a-1 ~/a.wav"), ("wav.scp", 1), "begins with ~", REST),
    "W4": Rule(put("wav.scp", "a-1", "a-1 {wavs}/cut.wav"), ("wav.scp", 1), "is truncated", REST),
    "W5": Rule(put("wav.scp", "a-1", "a-1 cat none.wav |"), ("wav.scp", 1), "the command gives no audio", REST,
               put("wav.scp", "a-1", "a-1 cat {wavs}/r1.wav |")),
    "W6": Rule(put("wav.scp", "a-1", "a-1 {wavs}/nan.wav"), ("wav.scp", 1), "not finite", REST, asked=READ),
    "W7": Rule(put("wav.scp", "a-1", "a-1 cat {wavs}/r1.wav |"), ("wav.scp", 1), "--no-pipes refuses them", REST),
    "S1": Rule(put("segments", "a-1", "a-1 r1 2.5 1.5"), ("segments", 1), "is no segment", REST, of="parts"),
    "S2": Rule(put("segments", "a-1", "a-1 r9 0 1"), ("segments", 1), "'r9' is not in wav.scp", REST, of="parts"),
    "S3": Rule(put("segments", "a-2", "a-2 r1 1 2.51"), ("segments", 2), "outside the recording", "a-1 b-1 b-2",
               put("segments", "a-2", "a-2 r1 1 2.5"), "parts"),
    "S4": Rule(put("segments", "a-1", None), ("utt2spk", 1), "'a-1' is not in segments", REST, of="parts"),
    "S5": Rule(all_of(put("wav.scp", "r9", "r9 {wavs}/r1.wav"), put("reco2dur", "r9", "r9 2"),
                      put("reco2file_and_channel", "r9", "r9 r9 A")),
               ("wav.scp", 3), "'r9' has no segment", ALL, of="parts"),
    "U1": Rule(remove("utt2spk"), ("utt2spk", None), "cannot be read", ALL),
    "U2": Rule(put("utt2spk", "a-1", "a-1 a b"), ("utt2spk", 1), "more than one speaker", REST),
    "U3": Rule(all_of(*(rewrite(name, lambda d: d.replace(b" a\n", b" z\n").replace(b"a ", b"z ", 1))
                        for name in ("utt2spk",)), rewrite("spk2utt", lambda d: b"b b-1 b-2\nz a-1 a-2\n"),
                      remove("spk2gender", "spk2warp")),
               ("utt2spk", 3), "comes after 'z'", "left"),
    "P1": Rule(remove("spk2utt"), ("spk2utt", None), "is missing", ALL),
    "P2": Rule(rewrite("spk2utt", lambda d: b"a a-1\nb a-2 b-1 b-2\n"), ("spk2utt", 2), "is of 'b' here and", ALL),
    "R1": Rule(put("reco2file_and_channel", "r2", "r2 r2 C"), ("reco2file_and_channel", 2), "no file and channel",
               "a-1 a-2", put("reco2file_and_channel", "r2", "r2 r2 2"), "parts"),
    "R2": Rule(put("reco2file_and_channel", "r2", "r2 r2 3"), ("segments", 3), "no channel 3", "a-1 a-2",
               put("reco2file_and_channel", "r1", "r1 r1 3"), "parts"),
    "T1": Rule(put("text", "a-1", "a-1 A\u00a0B"), ("text", 1), "other white space than blanks", REST,
               put("text", "a-1", "a-1 A\tB  C\u200dD")),
    "T2": Rule(put("text", "a-1", "a-1 <s> A"), ("text", 1), "language models reserve", REST,
               put("text", "a-1", "a-1 <s>A #01 x</s>")),
    "D1": Rule(put("utt2dur", "a-1", "a-1 -1"), ("utt2dur", 1), "no number of seconds", REST,
               put("utt2dur", "a-1", "a-1 1e-3")),
    "D2": Rule(put("utt2num_frames", "a-1", "a-1 2.5"), ("utt2num_frames", 1), "no whole number", REST),
    "D3": Rule(put("spk2gender", "a", "a female"), ("spk2gender", 1), "neither m nor f", "b-1 b-2"),
    "D4": Rule(put("spk2warp", "a", "a 1.5"), ("spk2warp", 1), "no warp factor", "b-1 b-2",
               put("utt2warp", "a-1", "a-1 1.49")),
    "K1": Rule(put("text", "a-1", None), ("utt2spk", 1), "utterance 'a-1' is not in text", REST),
    "K2": Rule(put("spk2gender", "a", None), ("utt2spk", 1), "speaker 'a' is not in spk2gender", "b-1 b-2"),
    "K3": Rule(put("reco2dur", "r2", None), ("wav.scp", 2), "recording 'r2' is not in reco2dur", "a-1 a-2", of="parts"),
    "K4": Rule(put("utt2cond", "x", "x clean"), ("utt2cond", 2), "'x' is not in utt2spk", ALL),
    "Q1": Rule(lambda p: None, ("feats.scp", None), "is missing", ALL, put("feats.scp", "x", None),
               asked=Asked(require=("feats.scp",))),
}  # fmt: skip


def documented() -> dict[str, list[str]]:
    """The rows of the page's table of rules, by their sign."""
    rows = re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {sign: [cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for sign, row in rows}


def test_each_rule_of_the_page_is_tested_here() -> None:
    assert set(documented()) == {*RULES, "K5"}
    assert all(len(row) == 5 for row in documented().values())


@pytest.fixture
def case(request: pytest.FixtureRequest, wavs: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Rule, Path]:
    """A rule and its sound directory."""
    sign = request.node.callspec.params["sign"]
    if sign == "W7":
        monkeypatch.setenv("CSC_NO_PIPES", "1")
    return RULES[sign], request.getfixturevalue(RULES[sign].of)


def apply(edit: Edit, path: Path, wavs: Path) -> None:
    edit(path)
    file = path / "wav.scp"
    if file.exists():
        file.write_bytes(file.read_bytes().replace(b"{wavs}", str(wavs).encode()))


@pytest.mark.parametrize("sign", RULES)
def test_a_directory_that_keeps_the_rule_passes(sign: str, case: tuple[Rule, Path], wavs: Path) -> None:
    rule, path = case
    if sign == "Q1":
        (path / "vad.scp").rename(path / "feats.scp")
    else:
        apply(rule.passes, path, wavs)
    assert listing(check_data_dir(path, asked=rule.asked)) == ""
    DataDir.load(path)


@pytest.mark.parametrize("sign", RULES)
def test_a_directory_that_breaks_the_rule_is_told_and_mended(sign: str, case: tuple[Rule, Path], wavs: Path) -> None:
    rule, path = case
    apply(rule.fails, path, wavs)
    found = check_data_dir(path, asked=rule.asked)
    assert any((f.path.name, f.line) == rule.place and rule.words in f.message for f in found), listing(found)
    refused = documented()[sign][2]
    if refused == "yes":
        with pytest.raises(DataError):
            DataDir.load(path)
    else:
        DataDir.load(path)
    if sign == "Q1":  # a file that is asked for cannot be made
        return
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    fixed = fix_data_dir(path, rule.asked)
    left = check_data_dir(path, asked=rule.asked)
    kept = (path / "utt2spk").read_text().splitlines()
    if rule.kept == "left":
        assert [line.split()[0] for line in kept] == list(UTTERANCES) and left
        assert [fault.path for fault in fixed.left] == [path / rule.place[0]]
    else:
        assert [line.split()[0] for line in kept] == rule.kept.split()
        assert listing(left) == "" and not fixed.left
        assert fixed.unsound or fixed.dropped or fixed.changed
    # Every file that is not as it was lies in .backup as it was.
    for name, content in before.items():
        if not (path / name).exists() or (path / name).read_bytes() != content:
            assert (path / ".backup" / name).read_bytes() == content
            assert name in fixed.changed


@pytest.mark.parametrize("name", ["wav.scp", "segments", "utt2dur"])
def test_nothing_is_changed_where_nothing_sound_remains(parts: Path, name: str) -> None:
    (parts / name).write_text("x y z\n")
    before = {file.name: file.read_bytes() for file in parts.iterdir()}
    with pytest.raises(DataError, match=rf"no utterance is sound in every table, nothing was changed \(.*{name}"):
        fix_data_dir(parts)
    assert {file.name: file.read_bytes() for file in parts.iterdir()} == before


def test_a_directory_without_speakers_or_a_readable_table(whole: Path) -> None:
    (whole / "utt2spk").unlink()
    (whole / "spk2utt").unlink()
    with pytest.raises(DataError, match="utt2spk: cannot be read"):
        fix_data_dir(whole)
    with pytest.raises(DataError, match="no such folder"):
        fix_data_dir(whole / "none")


def test_the_flac_that_is_cut_is_found_with_read_audio(whole: Path, wavs: Path) -> None:
    apply(put("wav.scp", "b-2", "b-2 {wavs}/cut.flac"), whole, wavs)
    assert check_data_dir(whole) == []
    fix_data_dir(whole, READ)
    assert (whole / "utt2spk").read_text() == "a-1 a\na-2 a\nb-1 b\n"
    assert (whole / "spk2utt").read_text() == "a a-1 a-2\nb b-1\n"


def test_all_damage_at_once(whole: Path, wavs: Path) -> None:
    for sign in ("A2", "A8", "W2", "P2", "K4"):
        apply(RULES[sign].fails, whole, wavs)
    found = check_data_dir(whole)
    for sign in ("A2", "A8", "W2", "P2", "K4"):
        assert any((f.path.name, f.line) == RULES[sign].place and RULES[sign].words in f.message for f in found), sign
    shutil.copytree(whole, whole.parent / "copy")
    text = str(fix_data_dir(whole))
    assert "kept 3 of 4 utterances" in text and "wav.scp: lacks 1 utterance, left out: a-1" in text
    assert check_data_dir(whole) == []
    again = {file.name: file.read_bytes() for file in whole.iterdir() if file.is_file()}
    assert "nothing to change" in str(fix_data_dir(whole))
    assert {file.name: file.read_bytes() for file in whole.iterdir() if file.is_file()} == again
