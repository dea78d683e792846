"""`csc separate` as typed."""

import json
import re

import soundfile


def test_mixtures_with_references_are_measured(csc, make_model_dir, make_data_dir, tmp_path):
    model, data, mix, out = make_model_dir(), make_data_dir(seconds=1.2), tmp_path / "mix", tmp_path / "x"
    csc("simulate", "--quiet", "--write-audio", "--num", 3, data, mix)
    ids = [line.split()[0] for line in (mix / "utt2spk").read_text().splitlines()]
    (tmp_path / "utt2cond").write_text("".join(f"{key} {'odd' if i % 2 else 'even'}\n" for i, key in enumerate(ids)))
    result = csc("separate", "--quiet", "--utt2cond", tmp_path / "utt2cond", model, mix, out)
    first, *figures = result.stdout.splitlines()
    assert first == f"3 recordings, 2 streams each -> {out}/spk1.scp"
    found = [
        re.fullmatch(r"(\w+) +SI-SNR +\S+ dB, SI-SNRi +(\S+) dB \(median (\S+)\), (\d) recordings", line)
        for line in figures
    ]
    assert [(x[1], x[4]) for x in found] == [("all", "3"), ("even", "2"), ("odd", "1")]
    mean = json.loads((out / "si_snr.json").read_text())["mean"]
    assert all(f"{mean[x[1]]['improvement']:.2f}" == x[2] for x in found)
    assert all(f"{mean[x[1]]['median_improvement']:.2f}" == x[3] for x in found)
    again = csc("separate", "--quiet", "--reference", mix / "spk1.scp", model, mix, out).stdout.splitlines()
    assert again[0] == f"{out}: already whole; nothing to do"
    assert again[1].split() == figures[0].split()


def test_without_references_it_only_separates(csc, make_model_dir, make_data_dir, tmp_path):
    model, data, out = make_model_dir(), make_data_dir(seconds=0.3, sample_rate=16000), tmp_path / "x"
    result = csc("separate", model, data, out)
    assert result.stdout == f"4 recordings, 2 streams each -> {out}/spk1.scp\n"
    assert not (out / "si_snr.json").exists()
    assert {soundfile.info(path).frames for path in out.rglob("*.wav")} == {4800}
    result = csc("separate", "--reference", data, model, data, out, status=1)
    assert "Error: " in result.stderr and "none has two talkers" in result.stderr


def test_one_bad_recording_does_not_end_the_run(csc, make_model_dir, make_data_dir, tmp_path):
    model, data, out = make_model_dir(), make_data_dir(seconds=0.3), tmp_path / "x"
    (data / "wav" / "spk1-utt1.wav").write_bytes(b"")
    result = csc("separate", model, data, out, status=1)
    assert "1 of 4 recordings failed, the other 3 are done:" in result.stderr
    assert "spk1-utt1.wav: is an empty file" in result.stderr
    assert len((out / "spk1.scp").read_text().splitlines()) == 3
