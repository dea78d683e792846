"""Tables of mixtures on disk: sorted whatever the plan's order, and written in little memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

from csc_cli.kaldi.text import read_map
from csc_cli.mixtures import journal, tables
from csc_cli.mixtures.manifest import read_mixtures, to_line, write_mixtures
from csc_cli.mixtures.simulate import render_plan
from tests.mixtures.conftest import contents


def test_a_plan_in_any_order_makes_sorted_tables(loud_mixtures, data, tmp_path):
    mixtures = list(read_mixtures(loud_mixtures / "mix.jsonl"))
    write_mixtures(tmp_path / "plan.jsonl", [mixtures[index] for index in (3, 0, 5, 1, 4, 2)])
    render_plan(data.path, tmp_path / "out", tmp_path / "plan.jsonl")
    found, expected = contents(tmp_path / "out"), contents(loud_mixtures)
    assert found["mix.jsonl"] == (tmp_path / "plan.jsonl").read_bytes()
    others = ("mix.jsonl", "sha256sums", "simulate.json")
    assert {name: found[name] for name in found if name not in others} == {
        name: expected[name] for name in expected if name not in others
    }


def test_memory_is_flat_in_the_number_of_mixtures(loud_mixtures, tmp_path):
    """The tables, the plan and the checksums of 10 times as many mixtures take no more memory."""
    line = next(read_mixtures(loud_mixtures / "mix.jsonl"))
    peaks = []
    for count in (300, 3000):
        out = tmp_path / str(count)
        out.mkdir()
        with open(out / journal.PART, "w") as stream:
            for index in range(count):
                plan = to_line(replace(line, id=f"mix{index:07d}"))
                stream.write(journal.Entry(1.0, None, ("0" * 64,) * 4, plan).line() + "\n")
        tracemalloc.start()
        tables.write_tables(out, "wav", references=True, own_speaker=True)
        tables.write_plan(out, "wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(read_map(out / "spk2.scp")) == count
    assert peaks[1] - peaks[0] < 3000 * 10  # bytes: not even an id of each
