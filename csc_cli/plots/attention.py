"""The attention that made a speaker's vector, above the streams of its recordings and the true talkers.

Legend: R recordings, C streams, S segments, N pieces of an envelope, K talkers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csc_cli.files import atomic_path
from csc_cli.plots.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPEAKER, OWN, OTHER, MIXTURE = *COLOURS[:2], "#8C8C8C", "0.88"
WIDTH = 10.0
ATTENTION, HEAD, STREAM, TALKER, GAP = 1.0, 0.09, 0.42, 0.17, 0.55  # inches of height


@dataclass(frozen=True)
class Panel:
    """One recording of the picture."""

    utterance: str
    condition: str
    seconds: float
    share: float  # of the speaker's attention
    even_share: float  # of all segments
    edges_s: np.ndarray  # (S + 1,) where one segment's turn ends and the next one's begins
    attention: np.ndarray  # (S,) times that of even attention, in the speaker's vector
    own: np.ndarray  # (S,) the same in the recording's own vector
    heads: np.ndarray  # (heads, S) of the speaker's vector
    envelopes: np.ndarray  # (C + 1, N, 2) least and greatest sample of the mixture and the streams
    envelope_s: float
    order: list[int]  # of the streams, the speaker's first
    labels: list[str]  # of the streams in this order
    talkers: dict[str, np.ndarray]  # whether each one is heard, (frames,) bool; the speaker first
    frame_s: float

    @property
    def height(self) -> float:
        """Inches."""
        return ATTENTION + HEAD * len(self.heads) + STREAM * len(self.order) + TALKER * len(self.talkers)


def plot_attention(arrays: Path, target: Path) -> None:
    """Draw SPEAKER.npz, as `csc plot attention` writes it, to a PNG."""
    with np.load(arrays, allow_pickle=False) as archive:
        values = {name: archive[name] for name in archive.files}
    figure = attention_figure(values)
    with atomic_path(target) as path:
        # Without the name and version of the drawing program, the same arrays give the same bytes.
        figure.savefig(path, dpi=150, format="png", metadata={"Software": None})


def attention_figure(values: Mapping[str, np.ndarray]) -> Figure:
    """A panel for each recording: attention, its heads, the streams, and when each talker truly speaks."""
    from matplotlib.figure import Figure

    panels = list(read_panels(values))
    top, bottom = 0.4, 0.55
    height = top + bottom + sum(panel.height + GAP for panel in panels)
    figure = Figure(figsize=(WIDTH, height))
    longest = max(panel.seconds for panel in panels)
    highest = 1.05 * max(float(max(panel.attention.max(), panel.own.max())) for panel in panels)
    strongest = max(float(panel.heads.max()) for panel in panels)
    place = height - top
    for panel in panels:
        place -= GAP
        rows = _rows(figure, panel, place, height)
        _attention(rows[0], panel, highest)
        _heads(rows[1], panel, strongest)
        _streams(rows[2], panel)
        if panel.talkers:
            _talkers(rows[3], panel)
        for axes in rows:
            axes.set_xlim(0, longest)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8, labelbottom=False)
        rows[-1].tick_params(labelbottom=True)
        place -= panel.height
    rows[-1].set_xlabel("time (s)", fontsize=9)
    figure.text(0.02, 1 - 0.16 / height, f"What made the vector of speaker {values['speaker']}", va="top", fontsize=12)
    _legend(figure, height, bool(panels[0].talkers))
    return figure


def read_panels(values: Mapping[str, np.ndarray]) -> Iterator[Panel]:
    """The recordings of SPEAKER.npz."""
    counts = values["counts"]
    ends = np.cumsum(counts)
    speaker, weights = str(values["speaker"]), values["speaker_weights"]
    for place, (count, end) in enumerate(zip(counts.tolist(), ends.tolist(), strict=True)):
        part = slice(end - count, end)
        own, ahead = values["own_weights"][:, part], int(values["streams"][place])
        names = values[f"talkers_{place}"].tolist()
        talkers = dict(zip(names, values[f"active_{place}"], strict=True))
        order = [ahead, *(stream for stream in range(values["cosines"].shape[1]) if stream != ahead)]
        yield Panel(
            utterance=str(values["utterances"][place]),
            condition=str(values["conditions"][place]),
            seconds=float(values["seconds"][place]),
            share=float(weights[:, part].mean(0).sum()),
            even_share=count / int(ends[-1]),
            edges_s=np.clip(_edges(values["spans_s"][part]), 0, float(values["seconds"][place])),
            attention=weights[:, part].mean(0) * int(ends[-1]),
            own=own.mean(0) * count,
            heads=weights[:, part] * int(ends[-1]),
            envelopes=values[f"envelopes_{place}"],
            envelope_s=float(values["envelope_s"]),
            order=order,
            labels=[_label(values, place, stream, names) for stream in order],
            talkers={name: talkers[name] for name in sorted(names, key=lambda name: name != speaker)},
            frame_s=float(values["frame_s"]),
        )


def _edges(spans_s: np.ndarray) -> np.ndarray:
    """Borders half way between the middles of neighbouring segments (S, 2), which overlap: (S + 1,)."""
    middles = spans_s.mean(1)
    if len(middles) == 1:
        return spans_s[0]
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[2 * middles[0] - inner[0]], inner, [2 * middles[-1] - inner[-1]]])


def _label(values: Mapping[str, np.ndarray], place: int, stream: int, names: list[str]) -> str:
    talker = int(values[f"talker_of_stream_{place}"][stream])
    heard = f" = {names[talker]}" if talker >= 0 else ""
    return f"stream {stream + 1}{heard}\ncos {values['cosines'][place, stream]:.2f}"


def _rows(figure: Figure, panel: Panel, top: float, height: float) -> list[Axes]:
    """Axes of the panel below `top`, in inches from the bottom of the figure of `height`."""
    left, right = 1.25, 0.25
    sizes = [ATTENTION, HEAD * len(panel.heads), STREAM * len(panel.order), TALKER * len(panel.talkers)]
    rows = []
    for size in filter(None, sizes):
        top -= size
        box = (left / WIDTH, top / height, (WIDTH - left - right) / WIDTH, (size - 0.03) / height)
        rows.append(figure.add_axes(box))
    return rows


def _attention(axes: Axes, panel: Panel, highest: float) -> None:
    axes.stairs(panel.attention, panel.edges_s, fill=True, color=SPEAKER, alpha=0.35)
    axes.stairs(panel.attention, panel.edges_s, color=SPEAKER, linewidth=1.0, baseline=None)
    axes.stairs(panel.own, panel.edges_s, color=OWN, linewidth=1.2, baseline=None)
    axes.axhline(1, color="0.4", linewidth=0.7, linestyle=":")
    axes.set_ylim(0, highest)
    axes.set_ylabel("attention\n(even = 1)", fontsize=8)
    axes.locator_params(axis="y", nbins=4)
    told = not panel.condition or panel.utterance.endswith(panel.condition)
    name = panel.utterance if told else f"{panel.utterance}  ({panel.condition})"
    axes.set_title(name, loc="left", fontsize=9, fontweight="bold", pad=3)
    share = f"{100 * panel.share:.0f} % of the speaker's attention, {100 * panel.even_share:.0f} % of its segments"
    axes.set_title(share, loc="right", fontsize=8, pad=3)


def _heads(axes: Axes, panel: Panel, strongest: float) -> None:
    rows = np.arange(len(panel.heads) + 1)
    axes.pcolormesh(panel.edges_s, rows, panel.heads, cmap="Blues", vmin=0, vmax=strongest, rasterized=True)
    axes.set_ylim(len(panel.heads), 0)
    axes.set_yticks([len(panel.heads) / 2], ["heads"])
    axes.tick_params(left=False)


def _streams(axes: Axes, panel: Panel) -> None:
    """Lanes of two units of height, the speaker's on top; the mixture stands behind each."""
    peak = float(np.abs(panel.envelopes).max()) or 1.0
    time_s = (np.arange(panel.envelopes.shape[1]) + 0.5) * panel.envelope_s
    style: dict[str, Any] = {"linewidth": 0, "step": "mid", "rasterized": True}
    ticks = [-2 * lane for lane in range(len(panel.order))]
    for lane, stream in zip(ticks, panel.order, strict=True):
        for row, colour in ((0, MIXTURE), (stream + 1, SPEAKER if lane == 0 else OTHER)):
            low, high = (panel.envelopes[row] / peak).T
            axes.fill_between(time_s, lane + low, lane + high, color=colour, **style)
    axes.set_yticks(ticks, panel.labels)
    axes.set_ylim(ticks[-1] - 1.05, 1.05)
    axes.tick_params(left=False)


def _talkers(axes: Axes, panel: Panel) -> None:
    for lane, (name, active) in enumerate(panel.talkers.items()):
        edges = np.flatnonzero(np.diff(active, prepend=False, append=False)) * panel.frame_s
        spans = [(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        axes.broken_barh(spans, (lane + 0.15, 0.7), color=SPEAKER if lane == 0 else OTHER, label=name)
    axes.set_ylim(len(panel.talkers), 0)
    axes.set_yticks(np.arange(len(panel.talkers)) + 0.5, [f"{name} speaks" for name in panel.talkers])
    axes.tick_params(left=False)


def _legend(figure: Figure, height: float, with_talkers: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(color=SPEAKER, alpha=0.5, label="attention in the speaker's vector"),
        Line2D([], [], color=OWN, linewidth=1.2, label="in the recording's own vector"),
        Patch(color=SPEAKER, label="its stream" + (" and true speech" if with_talkers else "")),
        Patch(color=OTHER, label="other " + ("talkers" if with_talkers else "streams")),
        Patch(color=MIXTURE, label="recording"),
    ]
    place = (0.015, 1 - 0.38 / height)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=place, ncols=5, fontsize=8, frameon=False)
