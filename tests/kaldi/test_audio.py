"""Recordings: what is read of sound ones, and that each kind of bad one is one clear error."""

from __future__ import annotations

import dataclasses
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import AudioError
from csc_cli.kaldi import audio as module
from csc_cli.kaldi.audio import Header, duration_s, length_samples, read_audio, read_header, scan, write_audio
from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.sources import Part

RATE = 8000


def ints(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(count).integers(-32768, 32768, (count, channels)).astype(np.int16)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Two channels of known 16-bit samples, one second."""
    soundfile.write(tmp_path / "a.wav", ints(RATE, 2), RATE)
    return tmp_path / "a.wav"


def utterance(path: Path | str, **more: object) -> Utterance:
    return Utterance("utt", "spk", str(path), **more)  # type: ignore[arg-type]


def as_wav(samples: np.ndarray, rate: int = RATE, **more: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", **more)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".au"])
def test_samples_of_16_bits_are_read_and_written_exactly(tmp_path: Path, suffix: str) -> None:
    known = ints(1234)[:, 0]
    known[:4] = [-32768, 32767, 0, -1]
    soundfile.write(tmp_path / f"a{suffix}", known, RATE)
    samples, rate = read_audio(tmp_path / f"a{suffix}")
    assert rate == RATE and samples.dtype == np.float32
    assert np.array_equal(samples * np.float32(32768), known)
    write_audio(tmp_path / f"b{suffix}", samples, RATE)
    again, rate = soundfile.read(tmp_path / f"b{suffix}", dtype="int16")
    assert rate == RATE and np.array_equal(again, known)


def test_full_scale_is_no_clipping_and_beyond_it_is_refused_or_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "a.wav", np.array([1.0, -1.0, 0.5], np.float32), RATE)
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [32767, -32768, 16384]
    loud = np.array([1.5, 0.25, -2.0], np.float32)
    with pytest.raises(AudioError, match=r"2 samples beyond full scale \(peak 2\)"):
        write_audio(tmp_path / "b.wav", loud, RATE)
    assert not (tmp_path / "b.wav").exists()
    write_audio(tmp_path / "b.wav", loud, RATE, clip=True)
    assert "2 samples clipped" in capsys.readouterr().err
    assert soundfile.read(tmp_path / "b.wav", dtype="int16")[0].tolist() == [32767, 8192, -32768]
    write_audio(tmp_path / "c.wav", loud, RATE, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "c.wav")[0], loud)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 2)), np.array([0, np.nan]), np.array([np.inf])])
def test_what_is_no_recording_is_not_written(tmp_path: Path, samples: np.ndarray) -> None:
    with pytest.raises(AudioError, match=r"no mono recording|not finite"):
        write_audio(tmp_path / "a.wav", samples, RATE)
    assert list(tmp_path.iterdir()) == []


def test_writing_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"there is no 'XYZ' with PCM_16; end the name in \.wav"):
        write_audio(tmp_path / "a.xyz", np.zeros(8), RATE)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio(tmp_path / "file" / "a.wav", np.zeros(8), RATE)


def test_channels(wav: Path) -> None:
    known = ints(RATE, 2)
    for channel in (0, 1):
        samples, _ = read_audio(utterance(wav, channel=channel))
        assert np.array_equal(samples * np.float32(32768), known[:, channel])
    with pytest.raises(AudioError, match=r"'utt': .*a.wav: has 2 channels, no channel 3; "):
        read_audio(utterance(wav, channel=2))


def test_one_channel_is_used_whatever_the_channel_says(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", ints(100), RATE)
    assert len(read_audio(utterance(tmp_path / "a.wav", channel=1))[0]) == 100


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 0.5), (0.25, 0.75), (0.25, None), (0.999, 1.0), (0.5, 1.4)])
def test_segments_are_parts_of_the_whole(wav: Path, start_s: float, end_s: float | None) -> None:
    whole, _ = read_audio(utterance(wav))
    part, _ = read_audio(utterance(wav, start_s=start_s, end_s=end_s))
    assert np.array_equal(part, whole[round(start_s * RATE) : round((1.0 if end_s is None else end_s) * RATE)])
    assert duration_s(utterance(wav, start_s=start_s, end_s=end_s)) == len(part) / RATE


@pytest.mark.parametrize(("start_s", "end_s"), [(1.0, 1.2), (0.0, 1.6), (2.0, None), (0.30001, 0.30002)])
def test_segments_outside_the_recording(wav: Path, start_s: float, end_s: float | None) -> None:
    for read in (read_audio, duration_s):
        with pytest.raises(
            AudioError, match=r"the segment .* (lies outside the recording of 1.000 s|has no samples); "
        ):
            read(utterance(wav, start_s=start_s, end_s=end_s))


def test_pieces_change_nothing(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = read_audio(utterance(wav, start_s=0.1))
    monkeypatch.setattr(module, "PIECE", 999)
    assert np.array_equal(read_audio(utterance(wav, start_s=0.1))[0], whole)


def test_pipes(wav: Path) -> None:
    whole, _ = read_audio(wav)
    assert np.array_equal(read_audio(f"cat {wav} |")[0], whole)
    assert np.array_equal(read_audio(utterance(f"cat {wav} |", start_s=0.5))[0], whole[RATE // 2 :])
    assert read_header(f"cat {wav} |").frames == RATE
    # A command that writes wav to a pipe does not know the length beforehand.
    for unknown in (0x7FFFFFFF, 0xFFFFFFFF):
        streamed = bytearray(as_wav(ints(300)))
        streamed[40:44] = struct.pack("<I", unknown)
        (wav.parent / "s.wav").write_bytes(streamed)
        assert len(read_audio(f"cat {wav.parent}/s.wav |")[0]) == 300
        assert len(read_audio(wav.parent / "s.wav")[0]) == 300


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [
        *((kind, "PCM_16", rate) for kind in ("FLAC", "NIST", "WAV", "AIFF", "W64") for rate in (8000, 16000, 48000)),
        ("WAV", "PCM_24", 44100), ("WAV", "ULAW", 8000), ("NIST", "ULAW", 8000), ("WAV", "FLOAT", 11025),
        ("OGG", "VORBIS", 16000), ("OGG", "OPUS", 48000), ("MP3", "MPEG_LAYER_III", 16000),
        ("MP3", "MPEG_LAYER_III", 44100),
    ],
)  # fmt: skip
def test_formats_and_rates_by_channel(tmp_path: Path, kind: str, subtype: str, rate: int) -> None:
    """Two tones in two channels, under a name that says nothing of the format, with blanks and other scripts."""
    time_s = np.arange(rate) / rate
    tones = np.stack([0.4 * np.sin(2 * np.pi * hz * time_s) for hz in (440, 1250)], axis=1)
    path = tmp_path / "zwei Töne 日本.bin"
    soundfile.write(str(path), tones, rate, format=kind, subtype=subtype)
    for channel in (0, 1):
        samples, got = read_audio(utterance(path, channel=channel))
        # Opus and MP3 may begin late, or end late; the tone is what matters.
        assert got == rate and abs(len(samples) - rate) <= 0.1 * rate
        assert header_agrees(path, len(samples), rate)
        spectrum = np.abs(np.fft.rfft(samples[rate // 4 : rate // 4 + rate // 2]))
        assert np.argmax(spectrum) == (440, 1250)[channel] // 2
    assert np.abs(read_audio(utterance(f"cat '{path}' |", channel=1))[0] - samples).max() < 1e-6
    assert scan(path).frames == len(samples)
    with pytest.raises(AudioError, match="has 2 channels, no channel 3"):
        read_audio(utterance(path, channel=2))


def header_agrees(path: Path, length: int, rate: int) -> bool:
    return read_header(path) == Header(rate, length, 2) and duration_s(path) == length / rate


def test_recordings_within_an_archive(tmp_path: Path) -> None:
    """`FILE:OFFSET`, as Kaldi's wav-copy writes them: KEY, a blank, the whole wav, one after the other."""
    archive, places, known = b"", {}, {}
    for key, count in (("utt-1", 300), ("b", 4001), ("c", 77)):
        known[key] = ints(count, 2)
        archive += key.encode() + b" "
        places[key] = len(archive)
        archive += as_wav(known[key])
    path = tmp_path / "all wavs.ark"
    path.write_bytes(archive)
    for key, offset in places.items():
        samples, _ = read_audio(utterance(f"{path}:{offset}", channel=1))
        assert np.array_equal(samples * np.float32(32768), known[key][:, 1])
        assert scan(f"{path}:{offset}").frames == len(known[key])
    assert np.array_equal(
        read_audio(utterance(f"{path}:{places['b']}", start_s=0.25, end_s=0.5))[0] * np.float32(32768),
        known["b"][2000:4000, 0],
    )
    path.write_bytes(archive[:-10])
    with pytest.raises(AudioError, match=r"ark:\d+: is truncated: 342 of 352 bytes are there"):
        read_audio(f"{path}:{places['c']}")
    with pytest.raises(AudioError, match=r"ends before byte 99999; restore"):
        read_audio(f"{path}:99999")
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read_audio(f"{path}:1")
    # A file that has such a name is that file.
    soundfile.write(tmp_path / "a.wav", known["b"], RATE)
    (tmp_path / "a.wav").rename(tmp_path / "a.wav:7")
    assert len(read_audio(tmp_path / "a.wav:7")[0]) == 4001


def test_a_part_of_a_file_is_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    part, whole = Part(str(tmp_path / "a"), 4, "a"), io.BytesIO(b"456789")
    for move in ((2, 0), (1, 1), (-2, 2), (0, 2), (0, 0), (3, 1), (-1, 1)):
        assert part.seek(*move) == whole.seek(*move) and part.tell() == whole.tell()
        assert part.read(1) == whole.read(1)


def test_scanning_holds_little_and_finds_what_reading_finds(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 999)
    assert scan(wav) == Header(RATE, RATE, 2)
    assert scan(utterance(wav, start_s=0.5)).frames == RATE, "the whole recording, not the segment"
    bad = np.zeros((RATE, 2))
    bad[-1, 1] = np.inf
    soundfile.write(wav, bad, RATE, subtype="FLOAT")
    assert read_header(wav).frames == RATE
    with pytest.raises(AudioError, match="not finite"):
        scan(wav)
    wav.write_bytes(truncated_flac())
    with pytest.raises(AudioError, match="truncated"):
        scan(wav)


def test_commands_are_refused_where_the_user_says_so(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSC_NO_PIPES", "1")
    ran = wav.parent / "ran"
    with pytest.raises(AudioError, match=r"'utt': 'touch .*': is a command, and --no-pipes refuses them; "):
        read_audio(utterance(f"touch {ran}; cat {wav} |"))
    assert not ran.exists() and len(read_audio(wav)[0]) == RATE
    monkeypatch.setenv("CSC_NO_PIPES", "0")
    read_audio(f"touch {ran}; cat {wav} |")
    assert ran.exists()


def test_a_command_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSC_PIPE_TIMEOUT", "0.3")
    with pytest.raises(AudioError, match=r"'echo oh >&2; sleep 60 \|': the command gives no audio \(gave nothing for"):
        read_audio("echo oh >&2; sleep 60 |")


def test_a_command_does_not_wait_for_the_terminal(wav: Path) -> None:
    assert len(read_audio(f"cat - {wav} |")[0]) == RATE


def test_errors_name_the_line_of_wav_scp() -> None:
    one = Utterance("utt", "spk", "/none.wav", scp="data/x/wav.scp", line=17)
    with pytest.raises(AudioError, match=r"^data/x/wav.scp:17: utterance 'utt': /none.wav: cannot be read"):
        read_audio(one)
    with pytest.raises(AudioError, match=r"^data/x/wav.scp:17: utterance 'utt': 'exit 3 \|': the command gives no"):
        read_audio(dataclasses.replace(one, recording="exit 3 |"))


def test_pipes_that_fail(tmp_path: Path) -> None:
    for command, said in (
        ("cat /none", "status 1, 'cat: /none: No such"),
        ("true", "status 0"),
        ("exit 5", "status 5"),
    ):
        with pytest.raises(AudioError, match=rf"'{command} \|': the command gives no audio \({said}"):
            read_audio(f"{command} |")


@pytest.mark.parametrize("rate", [8000, 16000, 11025, 44100, 48000])
def test_another_rate_is_resampled_to_the_length_foretold_or_refused(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    time_s = np.arange(rate // 2 + 7) / rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time_s), rate)
    samples, got = read_audio(utterance(path), 8000)
    assert got == 8000 and len(samples) == length_samples(path, 8000)
    inner = slice(400, 3600)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 8000)
    np.testing.assert_allclose(samples[inner], expected[inner], atol=1e-3)
    if rate != 8000:
        with pytest.raises(AudioError, match=f"a.wav: is at {rate} Hz, not 8000 Hz; resample it, or allow"):
            read_audio(path, 8000, resample=False)


def truncated_flac() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, ints(50000), RATE, format="FLAC")
    return stream.getvalue()[:40000]


BAD = {
    "empty file": (b"", "is an empty file; restore it"),
    "text": (b"this is no audio\n" * 99, "cannot be read as audio .*; convert it"),
    "no samples": (as_wav(np.zeros(0)), "has no samples; "),
    "not finite": (as_wav(np.array([0, np.nan, 0.5]), subtype="FLOAT"), "samples that are not finite; "),
    "truncated wav": (as_wav(ints(5000))[:4000], "is truncated: 4000 of 10044 bytes are there; "),
    "truncated flac": (truncated_flac(), "truncated.*; "),
    "header alone": (as_wav(ints(5000))[:20], "cannot be read as audio|truncated"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["a.wav", "a b.flac"])
def test_each_bad_recording_is_one_clear_error(tmp_path: Path, kind: str, name: str) -> None:
    data, message = BAD[kind]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AudioError, match=message) as error:
        read_audio(utterance(tmp_path / name), 16000)
    assert str(error.value).startswith(f"utterance 'utt': {tmp_path}/{name}: ") and "\n" not in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none.wav: cannot be read: No such file or directory; restore it"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="cannot be read: Is a directory"):
        read_audio(tmp_path)
    (tmp_path / "a.raw").write_bytes(b"\0" * 100)
    with pytest.raises(AudioError, match="raw samples do not say their rate"):
        read_audio(tmp_path / "a.raw")


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path: Path) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, ints(2000), RATE, format="FLAC")
    flac = bytearray(stream.getvalue())
    # The 36 bits before the MD5 sum are the number of samples: 2^36 - 1 would take 256 GiB.
    flac[21] |= 0x0F
    flac[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(flac)
    assert read_header(tmp_path / "a.flac").frames == 2**36 - 1
    with pytest.raises(AudioError, match="truncated"):
        read_audio(tmp_path / "a.flac")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_gives_another_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["WAV", "FLAC", "AIFF"]))
    stream = io.BytesIO()
    soundfile.write(stream, ints(300), RATE, format=kind)
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, min(200, len(content)) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / f"a.{kind.lower()}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        samples, _ = read_audio(path)
        assert samples.size and np.isfinite(samples).all()
    except AudioError as error:
        assert "\n" not in str(error) and "; " in str(error)
