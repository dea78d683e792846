"""`csc info` as typed."""

import json
from pathlib import Path

import pytest

from csc_cli.nn.model import load_model

CONF = Path(__file__).resolve().parents[2] / "conf" / "train"
SMALL = """
model:
  sample_rate: 8000
  encoder:
    filterbank: {window: 64, hop: 32}
    galr: {features: 8, hidden: 8, chunk: 10, chunk_hop: 10, mapped: 4, heads: 2, feedforward: 16}
    trunk_blocks: 1
    embedding: 8
  readout_heads: 2
mixtures: {crop_s: 0.5, speeds: [1.0, 1.1]}
batch: {utterances: 4, conditions: 1}
"""


def test_parameters_add_up_and_lengths_are_those_of_the_settings(csc, make_model_dir):
    path = make_model_dir()
    facts = json.loads(csc("info", "--json", "--no-memory", path).stdout)
    total = sum(p.numel() for p in load_model(path).parameters())
    parts = facts["parameters"]
    assert parts.pop("total") == total == sum(parts.values())
    assert parts["readout"] == sum(p.numel() for p in load_model(path).readout.parameters())
    assert parts["filterbank"] == 0 and min(parts[name] for name in parts if name != "filterbank") > 0
    # Window 128 and hop 64 at 8 kHz; segments of 10 frames.
    assert facts["lengths"] == {"window_s": 0.016, "hop_s": 0.008, "segment_s": 0.088, "segment_hop_s": 0.08}
    assert facts["training"] == {}
    assert facts["settings"]["model"]["encoder"]["galr"]["features"] == 8
    words = csc("info", "--no-memory", path).stdout
    assert f"{total:,}" in words and "training: none" in words and "8000 Hz" in words


def test_how_it_was_trained(csc, make_model_dir):
    path = make_model_dir()
    rows = [{"step": 20, "seconds": 60.0, "loss": 3.5}, {"step": 40, "seconds": 90.0, "loss": 2.25}]
    held_out = {"step": 40, "held_out_si_snri": 4.5}
    lines = [json.dumps(row) for row in (*rows, held_out)]
    (path / "train.jsonl").write_text("\n".join([*lines, '{"step": 60, "lo']))
    (path / "config.yaml").write_text((path / "config.yaml").read_text() + "optimiser: {steps: 100}\n")
    words = csc("info", "--no-memory", path).stdout
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


def rows(words: str) -> dict[str, list[str]]:
    """The lines of the table: part -> its two columns as printed."""
    lines = words.splitlines()
    begin = next(number for number, line in enumerate(lines) if "parameters" in line) + 1
    end = next(number for number, line in enumerate(lines) if line.startswith("  total")) + 1
    table = {}
    for line in lines[begin:end]:
        name, number, macs = line[2:18].strip(), line[18:31].strip(), line[31:].strip()
        table[name] = [number, macs]
    return table


def test_a_config_before_anything_is_trained(csc, tmp_path):
    """What it will be is what training makes of it."""
    (tmp_path / "small.yaml").write_text(SMALL)
    facts = json.loads(csc("info", "--json", "--no-memory", "--seconds", 2, tmp_path / "small.yaml").stdout)
    assert facts["macs_of_s"] == 2 and facts["training"] == {} and "memory" not in facts
    batch = facts["settings"]["batch"]
    assert (batch["utterances"], batch["conditions"]) == (4, 1) and "held_out" in batch, "complete, as training has it"
    parts = facts["macs_per_second_by_part"]
    assert facts["macs_per_second"] == parts.pop("total") > 0
    assert sum(parts.values()) == pytest.approx(facts["macs_per_second"])
    assert set(facts["parameters"]) == {*parts, "total"}
    wider = csc("info", "--no-memory", "--set", "model.encoder.galr.feedforward=17", tmp_path / "small.yaml").stdout
    # A unit more of a feed-forward layer of 8 features: 8 weights in, a bias, 8 weights out, in each of three blocks.
    assert int(rows(wider)["total"][0].replace(",", "")) == facts["parameters"]["total"] + 3 * 17


@pytest.mark.parametrize(
    ("name", "parts"), [("xvector-clean", {"embedder"}), ("ecapa-separated", {"embedder", "trunk"})]
)
def test_other_kinds_of_networks(csc, name, parts):
    table = rows(csc("info", "--no-memory", "--seconds", 1, CONF / f"{name}.yaml").stdout)
    assert parts <= set(table) and "readout" not in table
    assert all(table[part][1] not in ("0", "") for part in parts)


def test_base_is_what_its_file_says(csc):
    facts = json.loads(csc("info", "--json", "--no-memory", "--seconds", 1, CONF / "csc-base.yaml").stdout)
    assert facts["parameters"]["trunk"] == pytest.approx(1.5e6, rel=0.02)


def test_memory_is_told(csc, make_model_dir):
    path = make_model_dir()
    memory = json.loads(csc("info", "--json", "--seconds", 3, "--device", "cpu", path).stdout)["memory"]["inference"]
    assert (memory["of"], memory["device"]) == ("a recording of 3 s", "cpu")
    assert 0 < memory["loaded_bytes"] <= memory["peak_bytes"]


@pytest.mark.long
def test_memory_of_a_training_step(csc, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    arguments = ["info", "--no-memory", "--training-step", "--device", "cpu"]
    words = csc(*arguments, tmp_path / "small.yaml").stdout
    assert "peak memory of a training step, 4 mixtures of 0.5 s: " in words
    used = []
    for count in (4, 32):
        facts = json.loads(
            csc(*arguments, "--json", "--set", f"batch.utterances={count}", tmp_path / "small.yaml").stdout
        )
        memory = facts["memory"]["a training step"]
        used.append(memory["peak_bytes"] - memory["loaded_bytes"])
    assert used[1] > used[0] > 0


def test_a_trained_model_takes_no_settings(csc, make_model_dir, tmp_path):
    assert "is trained; --set is for config files" in csc("info", "--set", "seed=1", make_model_dir(), status=1).stderr
    (tmp_path / "small.yaml").write_text(SMALL.replace("trunk_blocks", "trunk_block"))
    assert "did you mean 'trunk_blocks'" in csc("info", tmp_path / "small.yaml", status=1).stderr
