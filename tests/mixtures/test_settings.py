"""conf/mixtures holds the defaults, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.mixtures.settings import MixtureConfig, TrialsConfig
from csc_cli.mixtures.simulate import load_settings

CONF = Path(__file__).resolve().parents[2] / "conf" / "mixtures"


@pytest.mark.parametrize(("name", "kind"), [("default", MixtureConfig), ("trials", TrialsConfig)])
def test_the_files_are_complete_and_the_defaults(name, kind):
    path = CONF / f"{name}.yaml"
    loaded = configs.load(kind, path)
    assert loaded == kind()
    # Each key stands in the file: with every value taken away, none is left to a default.
    text = path.read_text()
    for key in _keys(configs.to_dict(kind())):
        assert f"{key}:" in text


def _keys(tree):
    for key, value in tree.items():
        yield key
        if isinstance(value, dict):
            yield from _keys(value)


def test_simulation_takes_whole_utterances_unless_a_file_says_otherwise():
    assert load_settings(None).crop_s is None
    assert load_settings(None, ["crop_s=3"]).crop_s == 3
    assert load_settings(CONF / "default.yaml") == MixtureConfig()
    assert load_settings(CONF / "default.yaml", ["noise.probability=0"]).noise.probability == 0
    with pytest.raises(ConfigError, match="sir_dB"):
        load_settings(None, ["sir_dB=[0,0]"])


@pytest.mark.parametrize("name", ["noisy", "reverberant"])
def test_the_examples_load(name):
    loaded = load_settings(CONF / f"{name}.yaml")
    assert loaded.crop_s is None
    assert loaded != MixtureConfig(crop_s=None)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("noise.kinds=[recorded]", "give both or none"),
        ("noise.data=data/noises", "give both or none"),
        ("noise.kinds=[white,white]", "names a kind twice"),
        ("noise.babble=[3,2]", "ascending"),
        ("room.places=0", "places=0"),
        ("room.rt60_s=[0.01,0.2]", "rt60_s"),
        ("room.distance_m=[2,3]", "within the smallest room"),
        ("room.length_m=[1,3]", r"must lie in \[2, 100\] m"),
        ("gaps.number=[0,1]", "number"),
        ("gaps.seconds=[0,1]", "seconds"),
        ("codec.kinds=[]", "at least one"),
        ("codec.low_hz=[100,3500]", "low_hz"),
        ("loudness.lufs=[-20,3]", "lufs"),
    ],
)
def test_impossible_conditions_are_named(override, says):
    with pytest.raises(ConfigError, match=says):
        load_settings(None, [override])
