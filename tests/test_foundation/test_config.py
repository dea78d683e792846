"""Strict YAML: what is right is read as typed, what is wrong is named with its place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csc_cli import config
from csc_cli.errors import ConfigError


@dataclass(frozen=True)
class Part:
    chunk: int = 100
    mapped: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.mapped < self.chunk:
            raise ConfigError(f"mapped={self.mapped}: must lie between 1 and {self.chunk - 1}")


@dataclass(frozen=True)
class Settings:
    learning_rate: float
    name: str = "plain"
    steps: int = 10
    shuffle: bool = True
    crop_s: float | None = 2.5
    kind: Literal["white", "pink"] = "white"
    rate: Literal[8000, 16000] = 8000
    range_db: tuple[float, float] = (-5.0, 5.0)
    speeds: tuple[float, ...] = ()
    either: int | Literal["auto"] = "auto"
    part: Part = field(default_factory=Part)
    extra: Part | None = None


def read(text: str, *overrides: str) -> Settings:
    return config.loads(Settings, text, "conf.yaml", overrides)


def test_the_annotation_decides_the_type() -> None:
    # 1e-3 is a string and `on` is true for plain yaml.safe_load.
    settings = read("learning_rate: 1e-3\nname: on\nsteps: 7\nshuffle: false\nrange_db: [1, 2e0]\nspeeds: [1, 1.1]\n")
    assert (settings.learning_rate, settings.name, settings.steps, settings.shuffle) == (1e-3, "on", 7, False)
    assert settings.range_db == (1.0, 2.0) and settings.speeds == (1.0, 1.1)
    assert all(type(value) is float for value in settings.range_db)


def test_null_unions_literals_and_nested_parts() -> None:
    settings = read("learning_rate: 1\ncrop_s: null\nrate: 16000\neither: 3\npart: {chunk: 20}\nextra: {mapped: 5}\n")
    assert settings.crop_s is None and settings.rate == 16000 and settings.either == 3
    assert settings.part == Part(chunk=20) and settings.extra == Part(mapped=5)
    assert read("learning_rate: 1\neither: auto\n").either == "auto"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("learning_rate: 1\nstep: 3\n", "conf.yaml:2:", "did you mean 'steps'?"),
        ("learning_rate: 1\npart:\n  chnk: 3\n", "conf.yaml:3:", "'part.chnk'; did you mean 'chunk'?"),
        ("learning_rate: 1\nsteps: 3\nsteps: 4\n", "conf.yaml:3:", "'steps' is given twice"),
        ("steps: 3\n", "conf.yaml:1:", "missing key 'learning_rate'"),
        ("", "conf.yaml:", "missing key 'learning_rate'"),
        ("learning_rate: fast\n", "conf.yaml:1:", "must be a number"),
        ("learning_rate: '1'\n", "conf.yaml:1:", "without quotes"),
        ("learning_rate: .inf\n", "conf.yaml:1:", "number"),
        ("learning_rate: nan\n", "conf.yaml:1:", "finite"),
        ("learning_rate: 1e999\n", "conf.yaml:1:", "finite"),
        ("learning_rate:\n", "conf.yaml:1:", "must be a number"),
        ("learning_rate: [1]\n", "conf.yaml:1:", "must be a number"),
        ("learning_rate: 1\nsteps: 1.5\n", "conf.yaml:2:", "a whole number"),
        ("learning_rate: 1\nshuffle: yes\n", "conf.yaml:2:", "true or false"),
        ("learning_rate: 1\nname:\n", "conf.yaml:2:", "a text"),
        ("learning_rate: 1\nkind: brown\n", "conf.yaml:2:", "white, pink"),
        ("learning_rate: 1\nrange_db: [1]\n", "conf.yaml:2:", "2 values, not 1"),
        ("learning_rate: 1\nrange_db: 1\n", "conf.yaml:2:", "a list"),
        ("learning_rate: 1\nspeeds: [1, x]\n", "conf.yaml:2:", "a number"),
        ("learning_rate: 1\npart: 3\n", "conf.yaml:2:", "'part' must be a block"),
        ("learning_rate: 1\npart: {chunk: 10}\n", "conf.yaml:2:", "part.mapped=16: must lie between 1 and 9"),
        ("learning_rate: 1\n? [a, b]\n: 3\n", "conf.yaml:2:", "plain name"),
        ("learning_rate: 1\n<<: {steps: 3}\n", "conf.yaml:2:", "'<<'"),
        ("- learning_rate\n", "conf.yaml:1:", "a block of"),
        ("just words\n", "conf.yaml:1:", "a block of"),
        ("learning_rate: 1\n---\nsteps: 2\n", "conf.yaml:2:", "not valid YAML"),
        ("learning_rate: [1\n", "conf.yaml:2:", "not valid YAML"),
        ("learning_rate: \x01\n", "conf.yaml:", "not valid YAML"),
        ("learning_rate: " + "[" * 5000, "conf.yaml:", "not valid YAML"),
        ("learning_rate: !!python/object/apply:os.system [ls]\n", "conf.yaml:1:", "must be a number"),
    ],
)
def test_each_fault_is_named_with_its_place(text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(place)
    assert words in str(caught.value)


def test_overrides_come_last_and_in_order() -> None:
    text = "learning_rate: 1\npart: {chunk: 50}\n"
    settings = read(text, "learning_rate=2e-4", "part.mapped=7", "crop_s=null", "steps=3", "steps=4", "extra.chunk=30")
    assert settings.learning_rate == 2e-4 and settings.crop_s is None and settings.steps == 4
    assert settings.part == Part(50, 7) and settings.extra == Part(chunk=30)
    assert read("learning_rate: 1\nextra: null\n", "extra.mapped=3").extra == Part(mapped=3)
    assert read("", "learning_rate=3").learning_rate == 3.0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("steps", "write part.key=value"),
        ("=3", "write part.key=value"),
        ("part..chunk=3", "write part.key=value"),
        ("stepz=3", "did you mean 'steps'?"),
        ("part.chunck=3", "did you mean 'chunk'?"),
        ("learning_rate.x=3", "is a value, not a part"),
        ("steps=many", "a whole number"),
        ("steps=", "a whole number"),
        ("steps=[1,", "not valid YAML"),
        ("speeds=&a [*a]", "holds itself"),
        ("part.mapped=1000", "must lie between"),
    ],
)
def test_overrides_are_as_strict_as_the_file(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("learning_rate: 1\n", override)
    assert words in str(caught.value)
    if override != "part.mapped=1000":  # an impossible part is named by the part, which is not one line
        assert override in str(caught.value)


def test_an_override_does_not_hide_a_key_given_twice() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        read("learning_rate: 1\nsteps: 3\nsteps: 4\n", "steps=5")


@given(
    st.builds(
        Settings,
        learning_rate=st.floats(allow_nan=False, allow_infinity=False),
        name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        steps=st.integers(),
        shuffle=st.booleans(),
        crop_s=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        kind=st.sampled_from(["white", "pink"]),
        rate=st.sampled_from([8000, 16000]),
        speeds=st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple),
        either=st.just("auto") | st.integers(),
        part=st.builds(Part, chunk=st.integers(20, 200)),
        extra=st.none() | st.builds(Part, chunk=st.integers(20, 200)),
    )
)
def test_what_is_written_is_read_back_equal(settings: Settings) -> None:
    assert config.loads(Settings, config.dumps(settings)) == settings


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("learning_rate: 1\nname: \xe9\n".encode("latin-1"))
    for path in (tmp_path / "absent.yaml", tmp_path, tmp_path / "latin.yaml"):
        with pytest.raises(ConfigError, match="cannot read the config") as caught:
            config.load(Settings, path)
        assert str(path) in str(caught.value)


def test_resolved_settings_are_complete_plain_values() -> None:
    values = config.to_dict(read("learning_rate: 1\n"))
    assert set(values) == {entry.name for entry in dataclasses.fields(Settings)}
    assert values["range_db"] == [-5.0, 5.0] and values["part"] == {"chunk": 100, "mapped": 16}
