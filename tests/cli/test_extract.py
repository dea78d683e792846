"""`csc extract` as typed."""

import numpy as np
import pytest
import soundfile

from csc_cli.kaldi.tables import read_vectors_dict


def test_as_kaldi_would_read_it(csc, make_model_dir, make_data_dir, tmp_path):
    model, data, out = make_model_dir(), make_data_dir(seconds=0.3), tmp_path / "x"
    result = csc("extract", "--quiet", model, data, out)
    assert result.stdout == f"4 utterances, 2 speakers, 16 dimensions -> {out}/xvector.scp\n"
    assert result.stderr == ""
    assert len(read_vectors_dict(f"scp:{out}/xvector.scp")) == 4
    assert csc("extract", model, data, out).stdout == f"{out}: already whole; nothing to do\n"
    result = csc("extract", "--streams", "all", "--active-db", 300, "--enroll", "attention", model, data, out)
    assert result.stdout.startswith("4 utterances, 8 streams, 2 speakers")
    # A test's utterances are scored by their streams.
    trials = tmp_path / "trials"
    trials.write_text("spk0 spk0-utt0 target\nspk0 spk1-utt0 nontarget\n")
    scores = csc(
        "score", "cosine", "--streams", out / "utt2streams", trials, out / "spk_xvector.scp", out / "xvector.scp", "-"
    )
    assert [line.split()[:2] for line in scores.stdout.splitlines()] == [["spk0", "spk0-utt0"], ["spk0", "spk1-utt0"]]


def test_one_bad_recording_does_not_end_the_run(csc, make_model_dir, make_data_dir, tmp_path):
    model, data, out = make_model_dir(), make_data_dir(seconds=0.3), tmp_path / "x"
    soundfile.write(data / "wav" / "spk0-utt1.wav", np.zeros(2400), 8000)
    result = csc("extract", model, data, out, status=1)
    assert result.stdout == ""
    assert "Error: 1 of 4 recordings failed, the other 3 are done:" in result.stderr
    assert "spk0-utt1.wav: is silent: all 2400 samples are 0; leave it out" in result.stderr
    assert list(read_vectors_dict(f"scp:{out}/xvector.scp")) == ["spk0-utt0", "spk1-utt0", "spk1-utt1"]


def test_another_rate_is_refused_where_that_is_asked_for(csc, make_model_dir, make_data_dir, tmp_path):
    model, data = make_model_dir(), make_data_dir(seconds=0.3, sample_rate=16000)
    result = csc("extract", "--no-resample", model, data, tmp_path / "x", status=1)
    assert "4 of 4 recordings failed, none is done" in result.stderr
    assert "is at 16000 Hz, the model at 8000 Hz; resample it, or leave --no-resample out" in result.stderr
    csc("extract", model, data, tmp_path / "x")


@pytest.mark.parametrize("damage", ["gone", "torn", "other", "settings"])
def test_a_damaged_model_is_named(csc, make_model_dir, make_data_dir, tmp_path, damage):
    model, data = make_model_dir(), make_data_dir(seconds=0.3)
    weights, settings = model / "model.safetensors", model / "config.yaml"
    if damage == "gone":
        weights.unlink()
    elif damage == "torn":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "other":
        settings.write_text(settings.read_text().replace("features: 8", "features: 16"))
    else:
        settings.write_text("model: [")
    result = csc("extract", model, data, tmp_path / "x", status=1)
    assert str(settings if damage == "settings" else weights) in result.stderr
    assert not (tmp_path / "x" / "xvector.scp").exists()


@pytest.mark.parametrize("arguments", [("--streams", "some"), ("--batch-seconds", 0), ("--active-db", -1), ("--nj", 0)])
def test_impossible_options_are_a_usage_error(csc, make_model_dir, make_data_dir, tmp_path, arguments):
    csc("extract", *arguments, make_model_dir(), make_data_dir(seconds=0.3), tmp_path / "x", status=2)
    assert not (tmp_path / "x").exists()


def test_no_data_directory(csc, make_model_dir, tmp_path):
    model = make_model_dir()
    assert "wav.scp" in csc("extract", model, model, tmp_path / "x", status=1).stderr
    csc("extract", model, tmp_path / "nowhere", tmp_path / "x", status=2)
