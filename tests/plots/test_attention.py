"""The picture shows what the arrays say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.patches import StepPatch

from csc_cli.plots.attention import attention_figure, plot_attention, read_panels

COUNTS = [4, 2]
HEADS, HOP_S = 3, 0.1


@pytest.fixture
def values():
    """Two recordings of 0.4 s and 0.2 s; the speaker b is heard in stream 2 of the first, alone in the second."""
    rng = np.random.default_rng(0)
    spans = [[n * HOP_S - 0.05, n * HOP_S + 0.15] for count in COUNTS for n in range(count)]
    own = [rng.dirichlet(np.ones(count), HEADS) for count in COUNTS]
    made = {
        "speaker": np.array("b"),
        "utterances": np.array(["u1", "u2"]),
        "conditions": np.array(["noisy", ""]),
        "seconds": np.array([0.4, 0.2]),
        "streams": np.array([1, 0]),
        "counts": np.array(COUNTS),
        "spans_s": np.array(spans),
        "speaker_weights": rng.dirichlet(np.ones(6), HEADS),
        "own_weights": np.concatenate(own, 1),
        "cosines": np.array([[0.1, 0.9], [0.8, 0.3]]),
        "envelope_s": np.array(0.005),
        "frame_s": np.array(0.02),
    }
    for place, (pieces, frames) in enumerate(((80, 20), (40, 10))):
        high = rng.random((3, pieces))
        made[f"envelopes_{place}"] = np.stack([-high, high], -1)
        made[f"talkers_{place}"] = np.array(["a", "b"] if place == 0 else ["b"])
        made[f"talker_of_stream_{place}"] = np.array([0, 1] if place == 0 else [0, -1])
        made[f"active_{place}"] = np.zeros((2 - place, frames), bool)
    made["active_0"][0, 5:10] = True
    made["active_0"][1, :3] = made["active_0"][1, 15:] = True
    return made


def test_attention_is_relative_to_even_attention(values):
    panels = list(read_panels(values))
    weights = values["speaker_weights"].mean(0)
    assert panels[0].attention == pytest.approx(6 * weights[:4])
    assert panels[0].own == pytest.approx(4 * values["own_weights"][:, :4].mean(0))
    assert panels[0].own.mean() == pytest.approx(1) and panels[1].own.mean() == pytest.approx(1)
    assert [panel.share for panel in panels] == pytest.approx([weights[:4].sum(), weights[4:].sum()])
    assert [panel.even_share for panel in panels] == pytest.approx([2 / 3, 1 / 3])
    # Turns of 0.1 s in place of spans of 0.2 s that overlap.
    assert panels[0].edges_s == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_what_is_drawn_is_the_arrays(values):
    figure = attention_figure(values)
    attention, heads, streams, talkers = figure.axes[:4]
    panel = next(read_panels(values))
    steps = [patch.get_data() for patch in attention.patches if isinstance(patch, StepPatch)]
    assert all(data.edges == pytest.approx(panel.edges_s) for data in steps)
    drawn = [data.values.tolist() for data in steps]
    assert panel.attention.tolist() in drawn and panel.own.tolist() in drawn
    mesh = next(item for item in heads.collections if isinstance(item, QuadMesh))
    assert np.asarray(mesh.get_array()).reshape(HEADS, -1) == pytest.approx(6 * values["speaker_weights"][:, :4])
    assert [label.get_text() for label in streams.get_yticklabels()] == [
        "stream 2 = b\ncos 0.90", "stream 1 = a\ncos 0.10",
    ]  # fmt: skip
    # Recording and stream in each of two lanes, the speaker's stream above.
    lanes = [item.get_paths()[0].get_extents() for item in streams.collections if isinstance(item, PolyCollection)]
    highest = values["envelopes_0"].max(axis=(1, 2)) / values["envelopes_0"].max()
    assert [lane.y1 for lane in lanes] == pytest.approx([highest[0], highest[2], highest[0] - 2, highest[1] - 2])
    assert [label.get_text() for label in talkers.get_yticklabels()] == ["b speaks", "a speaks"]
    bars = [[path.get_extents().intervalx.tolist() for path in item.get_paths()] for item in talkers.collections]
    assert np.concatenate(bars).tolist() == [pytest.approx(x) for x in ([0, 0.06], [0.3, 0.4], [0.1, 0.2])]
    assert attention.get_title("left") == "u1  (noisy)" and figure.axes[4].get_title("left") == "u2"
    assert all(axes.get_xlim() == (0, 0.4) for axes in figure.axes), "recordings can be compared by length"


def test_without_true_talkers_there_is_no_row_for_them(values):
    for place in (0, 1):
        values[f"talkers_{place}"] = np.zeros(0, dtype=np.str_)
        values[f"active_{place}"] = np.zeros((0, 10), bool)
        values[f"talker_of_stream_{place}"] = np.array([-1, -1])
    figure = attention_figure(values)
    assert len(figure.axes) == 6
    assert figure.axes[2].get_yticklabels()[0].get_text() == "stream 2\ncos 0.90"


def test_one_segment_of_silence_is_drawn(values):
    values |= {"counts": np.array([1, 1]), "spans_s": np.array([[-0.1, 0.3], [-0.1, 0.3]])}
    values |= {"speaker_weights": np.full((HEADS, 2), 0.5), "own_weights": np.ones((HEADS, 2))}
    values["envelopes_0"] = np.zeros((3, 80, 2))
    figure = attention_figure(values)
    assert figure.axes[0].patches[0].get_data().values.tolist() == [1.0]


def test_the_same_arrays_give_the_same_bytes(values, tmp_path):
    np.savez(tmp_path / "b.npz", **values)
    for name in ("one.png", "two.png"):
        plot_attention(tmp_path / "b.npz", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
