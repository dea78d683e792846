"""`csc info` as typed."""

import json

import pytest

from csc_cli.nn.model import load_model


def test_parameters_add_up_and_lengths_are_those_of_the_settings(csc, make_model_dir):
    path = make_model_dir()
    facts = json.loads(csc("info", "--json", path).stdout)
    total = sum(p.numel() for p in load_model(path).parameters())
    parts = facts["parameters"]
    assert parts.pop("total") == total == sum(parts.values())
    assert parts["readout"] == sum(p.numel() for p in load_model(path).readout.parameters())
    assert parts["filterbank"] == 0 and min(parts[name] for name in parts if name != "filterbank") > 0
    # Window 128 and hop 64 at 8 kHz; segments of 10 frames.
    assert facts["lengths"] == {"window_s": 0.016, "hop_s": 0.008, "segment_s": 0.088, "segment_hop_s": 0.08}
    assert facts["training"] == {}
    assert facts["settings"]["model"]["encoder"]["galr"]["features"] == 8
    words = csc("info", path).stdout
    assert f"{total:,}" in words and "training: none" in words and "8000 Hz" in words


def test_how_it_was_trained(csc, make_model_dir):
    path = make_model_dir()
    rows = [{"step": 20, "seconds": 60.0, "loss": 3.5}, {"step": 40, "seconds": 90.0, "loss": 2.25}]
    held_out = {"step": 40, "held_out_si_snri": 4.5}
    lines = [json.dumps(row) for row in (*rows, held_out)]
    (path / "train.jsonl").write_text("\n".join([*lines, '{"step": 60, "lo']))
    (path / "config.yaml").write_text((path / "config.yaml").read_text() + "optimiser: {steps: 100}\n")
    words = csc("info", path).stdout
    assert "training: 40 of 100 steps, 1.5 min" in words
    assert [" ".join(line.split()) for line in words.splitlines() if "loss" in line or "held_out" in line] == [
        "loss 2.25", "held_out_si_snri 4.5",
    ]  # fmt: skip
    (path / "train.jsonl").write_text("\n".join([lines[0], "no figures", lines[1]]))
    assert "train.jsonl:2: not a line of JSON figures" in csc("info", path, status=1).stderr


@pytest.mark.parametrize("row", ["3", "[1]", '"a"', "null"])
def test_a_history_of_other_values_is_named(csc, make_model_dir, row):
    path = make_model_dir()
    (path / "train.jsonl").write_text(f'{row}\n{{"step": 1}}\n')
    assert "train.jsonl:1" in csc("info", path, status=1).stderr


def test_no_model(csc, tmp_path):
    assert "a model directory is made by 'csc train'" in csc("info", tmp_path, status=1).stderr
    csc("info", tmp_path / "nowhere", status=2)
