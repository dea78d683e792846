"""mix.jsonl: what is written is read back, what is wrong is named with its line."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import CscError, DataError
from csc_cli.mixtures.manifest import Channel, Mixture, Noise, Source, from_line, read_mixtures, to_line, write_mixtures

db = st.floats(-60, 20)
channels = st.builds(
    Channel,
    st.one_of(st.just(()), st.lists(db, min_size=2, max_size=9).map(tuple)),
    st.floats(0, 400),
    st.one_of(st.just(math.inf), st.floats(401, 9000)),
)
maybe_channel = st.one_of(st.none(), channels)
sources = st.builds(
    Source,
    st.text(min_size=1),
    st.text(min_size=1),
    st.integers(0, 10**6),
    st.integers(1, 1000),
    st.integers(0, 1000),
    db,
    maybe_channel,
    st.floats(0.5, 2),
)
mixtures = st.builds(
    Mixture,
    st.from_regex(r"[a-z0-9_+./-]+", fullmatch=True),
    st.sampled_from([8000, 16000]),
    st.integers(2000, 10**6),
    st.lists(sources, max_size=3).map(tuple),
    st.one_of(st.none(), st.builds(Noise, st.sampled_from(["white", "pink"]), db, st.integers(0, 2**53))),
    maybe_channel,
    st.text(),
)


@given(mixtures)
def test_a_line_reads_back_equal(mixture):
    line = to_line(mixture)
    assert "\n" not in line
    assert from_line(line) == mixture
    assert type(from_line(line).sources) is tuple


SOUND = Mixture(
    "m1",
    8000,
    100,
    (Source("u1", "s1", 5, 50, 10, -25.0, Channel((1.0, 2.0), 50.0, 3000.0)), Source("u2", "s2", 0, 100, 0, -30.0)),
    Noise("pink", -50.0, 7),
)


def changed(path: str, value: object) -> str:
    """The sound line with one value changed; a value of `...` removes it."""
    root = json.loads(to_line(SOUND))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node = root
    for part in parents:
        node = node[part]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return json.dumps(root)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (changed("lenght", 3), "unknown key 'lenght'; did you mean 'length'"),
        (changed("sources.1.gain", 3), "mixture.sources[1]: unknown key 'gain'"),
        (changed("sources.0.channel.low", 3), "unknown key 'low'"),
        (changed("noise.seed", ...), "mixture.noise: missing key 'seed'"),
        (changed("condition", ...), "missing key 'condition'"),
        (changed("length", "100"), "must be a whole number"),
        (changed("length", 100.0), "must be a whole number"),
        (changed("length", True), "must be a whole number"),
        (changed("id", 5), "must be a text"),
        (changed("id", "a b"), "white space"),
        (changed("id", "a\0"), "white space"),
        (changed("id", ""), "white space"),
        (changed("sources", None), "must be a list"),
        (changed("sources.0.level_db", None), "must be a number"),
        (changed("sources.0.channel.equaliser_db", [1, "2"]), "must be a number"),
        (changed("sources.0.channel.equaliser_db", [1]), "equaliser_db"),
        (changed("sources.0.channel.low_hz", 4000), "low_hz"),
        (changed("sources.0.length", 91), "ends at 101"),
        (changed("sources.0.start", -1), "start=-1"),
        (changed("sources.0.speed", 0), "speed=0"),
        (changed("noise.kind", "pinc"), "did you mean 'pink'"),
        (changed("sample_rate", 0), "sample_rate=0"),
        (changed("length", 10**15), "length"),
        (changed("sources.0.level_db", math.nan), "NaN is not a number"),
        (changed("sources.0.level_db", math.inf), "Infinity is not a number"),
        (to_line(SOUND).replace("-25.0", "-1e999"), "must be finite"),
        (to_line(SOUND).replace('"length":100', '"length":' + "9" * 5000, 1), "JSON"),
        (to_line(SOUND).replace('"length":100', '"length":100,"length":100', 1), "given twice"),
        (to_line(SOUND)[:-1], "JSON"),
        ("[" * 100_000, "JSON"),
        ("", "JSON"),
        ("[]", "must be an object"),
        ("null", "must be an object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, says):
    path = tmp_path / "mix.jsonl"
    path.write_text(to_line(SOUND) + "\n" + line + "\n")
    with pytest.raises(DataError) as error:
        list(read_mixtures(path))
    assert str(error.value).startswith(f"{path}:2: ")
    assert says in str(error.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_line_is_an_error_or_a_mixture(data):
    line = to_line(SOUND)
    place = data.draw(st.integers(0, len(line) - 1))
    damaged = line[:place] + data.draw(st.text(max_size=3)) + line[place + data.draw(st.integers(0, 5)) :]
    with contextlib.suppress(CscError):
        assert isinstance(from_line(damaged), Mixture)


def test_a_file_reads_back(tmp_path):
    many = [Mixture(f"m{i}", 8000, 100 + i, SOUND.sources) for i in range(20)]
    assert write_mixtures(tmp_path / "mix.jsonl", iter(many)) == 20
    assert list(read_mixtures(tmp_path / "mix.jsonl")) == many


def test_doubled_ids_missing_and_binary_files_are_named(tmp_path):
    path = tmp_path / "mix.jsonl"
    path.write_text((to_line(SOUND) + "\n") * 2)
    with pytest.raises(DataError, match=r"jsonl:2: .*'m1' comes twice"):
        list(read_mixtures(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_mixtures(path))
    with pytest.raises(DataError, match="cannot read"):
        list(read_mixtures(tmp_path / "absent"))


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "mix.jsonl"
    write_mixtures(path, [SOUND])

    def broken():
        yield SOUND
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_mixtures(path, broken())
    assert list(read_mixtures(path)) == [SOUND]
    assert list(tmp_path.iterdir()) == [path]
