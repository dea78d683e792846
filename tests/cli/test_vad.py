"""`csc vad` at the command line."""

from __future__ import annotations

import dataclasses

import kaldiio
import numpy as np
import pytest

from csc_cli.cli.vad import vad
from csc_cli.kaldi.vad import FrameConfig, VadConfig


def test_the_defaults_in_the_help_are_kaldis() -> None:
    defaults = {option.name: option.default for option in vad.params}
    for field in dataclasses.fields(VadConfig):
        assert defaults[f"vad_{field.name}"] == field.default
    names = {"length_ms": "frame_length", "shift_ms": "frame_shift"}
    for field in dataclasses.fields(FrameConfig):
        assert defaults[names.get(field.name, field.name)] == field.default
    # voice-activity-detection.h and feature-window.h of Kaldi
    assert dataclasses.astuple(VadConfig()) == (5.0, 0.5, 0, 0.6)
    assert dataclasses.astuple(FrameConfig()) == (25.0, 10.0, True, 1.0)


def test_what_is_typed_counts_more_than_the_file(csc, make_data_dir, tmp_path) -> None:
    data = make_data_dir()
    conf = tmp_path / "vad.conf"
    conf.write_text("--vad-energy-threshold=100  # nothing is so loud\n--snip-edges=false\n")
    assert "0.0 % of 400 frames" in csc("vad", "--config", conf, data).stdout
    out = tmp_path / "out"
    result = csc("vad", "--config", conf, "--vad-energy-threshold", "-100", "--nj", "2", data, out)
    assert "100.0 % of 400 frames" in result.stdout
    table = dict(kaldiio.load_scp(f"{data}/vad.scp"))
    assert len(table) == 4 and all(np.array_equal(vector, np.ones(100)) for vector in table.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vad-proportion-threshold", "1"], "--vad-proportion-threshold 1.0: must lie between 0 and 1"),
        (["--source", "feats"], "feats.scp: cannot be read"),
    ],
)
def test_errors_are_one_line_and_a_status(csc, make_data_dir, arguments, message) -> None:
    data = make_data_dir()
    result = csc("vad", "--quiet", *arguments, data, status=1)
    assert message in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (data / "vad.scp").exists()


def test_an_unknown_option_of_the_file(csc, make_data_dir, tmp_path) -> None:
    (tmp_path / "vad.conf").write_text("--vad-energie=5\n")
    result = csc("vad", "--config", tmp_path / "vad.conf", make_data_dir(), status=1)
    assert "vad.conf:1: no option '--vad-energie'; did you mean 'vad-energy-threshold'?" in result.stderr
