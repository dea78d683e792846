"""Pictures of a comparison: what is drawn where."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from csc_cli.plots import comparison
from csc_cli.plots.comparison import Course, Point, plot_course, plot_sir, shares, sir_db, timed

NAN = math.nan
ROWS: list[dict[str, Any]] = [
    {"step": 10, "seconds": 60.0, "bound": 1.0, "ceiling": 4.0},
    {"step": 15, "held_out_bound": 1.5, "held_out_ceiling": 3.0, "dev_eer_mixed": 25.0},
    {"step": 20, "seconds": 180.0, "bound": 3.0, "ceiling": 4.0},
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were saved."""
    figures: list[Any] = []
    save = comparison._save
    monkeypatch.setattr(comparison, "_save", lambda figure, target: (figures.append(figure), save(figure, target)))
    return figures


@pytest.mark.parametrize(
    ("name", "ratio"), [("2talkers_+5dB", 5.0), ("3talkers_0dB", 0.0), ("sir -2.5 dB", -2.5), ("clean", None)]
)  # fmt: skip
def test_the_ratio_of_a_condition_is_in_its_name(name: str, ratio: float | None) -> None:
    assert sir_db(name) == ratio


def test_shares_of_the_ceiling_over_minutes() -> None:
    assert shares(ROWS, "bound", "ceiling") == ([1.0, 3.0], [0.25, 0.75])
    # Step 15 lies between the two rows with a time: 2 minutes.
    assert shares(ROWS, "held_out_bound", "held_out_ceiling") == ([2.0], [0.5])
    assert timed(ROWS, "dev_eer_mixed") == ([2.0], [25.0])
    assert shares(ROWS, "held_out_bound", "no_such_ceiling") == ([], [])


def test_errors_stand_at_their_ratios_and_clean_speech_beside_them(tmp_path: Path, drawn: list[Any]) -> None:
    points = [
        Point("clean", 0.1, 0.08, 0.13), Point("2talkers_+5dB", 0.2, NAN, NAN), Point("2talkers_0dB", 0.25, 0.2, 0.3),
    ]  # fmt: skip
    plot_sir({"csc": points}, tmp_path / "sir.png")
    (axes,) = drawn[0].axes
    ticks = dict(zip(axes.get_xticks(), [label.get_text() for label in axes.get_xticklabels()], strict=True))
    assert ticks == {0.0: "0", 5.0: "+5", 10.0: "clean"}
    places = [
        tuple(map(float, pair)) for line in axes.containers for pair in zip(*line.lines[0].get_data(), strict=True)
    ]
    assert places == [(0.0, 25.0), (5.0, 20.0), (10.0, 10.0)]
    assert axes.get_legend_handles_labels()[1] == ["csc"]


def test_a_course_has_a_line_for_each_figure_that_is_there(tmp_path: Path, drawn: list[Any]) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS) + '{"step": 3')
    (tmp_path / "b.jsonl").write_text(json.dumps({"step": 1, "seconds": 1.0, "loss": 2.0}) + "\n")
    courses = [Course("a", tmp_path / "a.jsonl"), Course("b", tmp_path / "b.jsonl"), Course("c", tmp_path / "absent")]
    plot_course(courses, tmp_path / "course.png")
    upper, lower = drawn[0].axes
    assert [list(line.get_ydata()) for line in upper.lines[:2]] == [[0.25, 0.75], [0.5]]
    assert [list(line.get_ydata()) for line in lower.lines if len(line.get_ydata())] == [[25.0]]
    assert (tmp_path / "course.png").exists()


def test_nothing_to_draw_leaves_no_picture(tmp_path: Path) -> None:
    plot_sir({"csc": [Point("clean", 0.1, NAN, NAN)]}, tmp_path / "sir.png")
    plot_course([Course("a", tmp_path / "absent")], tmp_path / "course.png")
    assert list(tmp_path.iterdir()) == []
