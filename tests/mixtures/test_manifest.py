"""mix.jsonl: what is written is read back, what is wrong is named with its line."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import CscError, DataError
from csc_cli.mixtures.manifest import (
    Channel,
    Clip,
    Mixture,
    Noise,
    Room,
    Source,
    from_line,
    read_mixtures,
    to_line,
    write_mixtures,
)

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


ROOM = Room((5.0, 4.0, 3.0), 0.4, (2.5, 2.0, 1.5))
places = st.one_of(st.just(()), st.tuples(st.floats(0.1, 4.9), st.floats(0.1, 3.9), st.floats(0.1, 2.9)))
loud = st.one_of(st.tuples(db, st.none()), st.tuples(st.none(), st.floats(0.01, 3)))
clips = st.lists(st.builds(Clip, st.text(min_size=1), st.integers(0, 99)), min_size=1, max_size=3).map(tuple)
gaps = st.dictionaries(st.integers(1, 99), st.integers(1, 100), max_size=3).map(lambda all: tuple(sorted(all.items())))


@st.composite
def adverse(draw):
    """Mixtures with the keys that may be left out."""
    (one_db, one_gain), (noise_db, noise_gain) = draw(loud), draw(loud)
    source = Source("u", "s", 0, 100, 3, one_db, None, 1.0, draw(gaps), "", draw(places), one_gain)
    through = Source("v", "t", 0, 100, 3, -20.0, rir=draw(st.text()))
    noise = Noise(draw(st.sampled_from(["recorded", "babble"])), noise_db, 0, draw(clips), "", draw(places), noise_gain)
    target, codec = draw(st.sampled_from(["reverberant", "early"])), draw(st.sampled_from(["", "mulaw", "alaw", "gsm"]))
    lufs = draw(st.one_of(st.none(), st.floats(-60, -1)))
    return Mixture("m", 8000, 9000, (source, through), noise, None, "", ROOM, target, lufs, codec)


@given(st.one_of(mixtures, adverse()))
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


def changed(path: str, value: object, sound: Mixture = SOUND) -> str:
    """The sound line with one value changed; a value of `...` removes it."""
    root = json.loads(to_line(sound))
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
        (changed("sources.1.gian", 3), "mixture.sources[1]: unknown key 'gian'"),
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
        (changed("sources.0.level_db", None), "level_db=None, gain=None: give one of the two"),
        (changed("sources.0.level_db", "loud"), "must be a number"),
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


RICH = Mixture(
    "m2",
    8000,
    1000,
    (
        Source("u1", "s1", 5, 50, 10, -25.0, gaps=((20, 30),), position_m=(1.0, 1.0, 1.0)),
        Source("u2", "s2", 0, 100, 0, None, rir="r", gain=0.5),
    ),
    Noise("recorded", -50.0, 0, (Clip("n1", 7),)),
    room=ROOM,
    codec="alaw",
)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("sources.0.gaps", [[20, 941]], "source 'u1' ends at 1001, after the mixture's end"),
        ("sources.0.gaps", [[50, 1]], "inside the range"),
        ("sources.0.gaps", [[20, 0]], "at least one sample"),
        ("sources.0.gaps", [[20]], "at, samples"),
        ("sources.0.gaps", [[20, 3], [10, 3]], "ascending"),
        ("sources.0.gaps", [[20, 3.5]], "must be a whole number"),
        ("sources.0.rir", "r", "both rir and position_m"),
        ("sources.0.position_m", [1, 1], "must be a point inside"),
        ("sources.0.position_m", [1, 4, 1], "must be a point inside"),
        ("sources.0.gain", 2, "give one of the two"),
        ("sources.1.gain", ..., "give one of the two"),
        ("sources.1.gain", 0, "not 0"),
        ("noise.clips", ..., "recorded noise and babble have some"),
        ("noise.kind", "white", "has none"),
        ("noise.clips.0.start", -1, "start=-1"),
        ("noise.clips.0.stop", 1, "mixture.noise.clips[0]: unknown key 'stop'"),
        ("noise.position_m", [9, 9, 9], "must be a point inside"),
        ("room", ..., "there is no room"),
        ("room.size_m", [5, 4], "three numbers"),
        ("room.rt60_s", 0, "rt60_s=0"),
        ("room.microphone_m", [5, 1, 1], "must be a point inside"),
        ("room.absorption", 1, "mixture.room: unknown key 'absorption'"),
        ("target", "erly", "did you mean 'early'"),
        ("codec", "mulow", "did you mean 'mulaw'"),
        ("loudness_lufs", 3, "loudness_lufs=3"),
    ],
)
def test_wrong_conditions_are_named(path, value, says):
    with pytest.raises(DataError) as error:
        from_line(changed(path, value, RICH))
    assert says in str(error.value)


def test_lines_of_before_are_written_as_before_and_read_as_before():
    line = (
        '{"id":"m1","sample_rate":8000,"length":100,"sources":[{"utterance":"u1","speaker":"s1","start":5,"length":50,'
        '"onset":10,"level_db":-25.0,"channel":{"equaliser_db":[1.0,2.0],"low_hz":50.0,"high_hz":null},"speed":1.0}],'
        '"noise":{"kind":"pink","level_db":-50.0,"seed":7},"channel":null,"condition":""}'
    )
    mixture = from_line(line)
    assert mixture.sources[0] == Source("u1", "s1", 5, 50, 10, -25.0, Channel((1.0, 2.0), 50.0, math.inf))
    assert (mixture.room, mixture.target, mixture.loudness_lufs, mixture.codec) == (None, "reverberant", None, "")
    assert to_line(mixture) == line


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_line_is_an_error_or_a_mixture(data):
    line = to_line(data.draw(st.sampled_from([SOUND, RICH])))
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
