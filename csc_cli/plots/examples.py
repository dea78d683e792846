"""Pictures of held-out mixtures while training goes on: embeddings by speaker, attention by time.

Legend: V vectors, E dimensions, C streams, S segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_examples(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pictures (H, W, 3) by name, of the arrays of `csc_cli.training.examples`."""
    pictures = {"embeddings by speaker": pixels(embeddings_figure(arrays["vectors"], arrays["speakers"]))}
    if "attention" in arrays:
        pictures["attention"] = pixels(attention_figure(arrays["attention"], arrays["spans_s"], arrays["names"]))
    return pictures


def pixels(figure: Figure) -> np.ndarray:
    """The figure as (H, W, 3) bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def embeddings_figure(vectors: np.ndarray, speakers: np.ndarray) -> Figure:
    """Unit vectors (V, E) on their two principal axes, and the cosines of all pairs, sorted by speaker (V,)."""
    from matplotlib.figure import Figure

    order = np.argsort(speakers, kind="stable")
    vectors, speakers = vectors[order], speakers[order]
    centred = vectors - vectors.mean(0)
    _, _, axes_ = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ axes_[:2].T
    names, starts = np.unique(speakers, return_index=True)
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, name in enumerate(names):
        own = flat[speakers == name]
        left.scatter(own[:, 0], own[:, 1], s=28, color=f"C{place % 10}", label=name)
    left.legend(fontsize="x-small", title="held-out talkers in mixtures", title_fontsize="x-small")
    left.set(title="two principal axes", xticks=[], yticks=[])
    image = right.imshow(vectors @ vectors.T, cmap="RdBu_r", vmin=-1, vmax=1)
    edges = [*starts, len(speakers)]
    right.set_yticks([(a + b - 1) / 2 for a, b in pairwise(edges)], names, fontsize=7)
    right.set(title="cosines: good embeddings are red within a speaker alone", xticks=[])
    figure.colorbar(image, ax=right, shrink=0.8)
    return figure


def attention_figure(attention: np.ndarray, spans_s: np.ndarray, names: np.ndarray) -> Figure:
    """Weights (mixtures, C, heads, S) of the segments whose spans are (S, 2) s; even attention is 1."""
    from matplotlib.figure import Figure

    count, streams, heads, segments = attention.shape
    figure = Figure(figsize=(10, 1.3 * count * streams + 0.6), layout="constrained")
    grid = figure.subplots(count * streams, 1, squeeze=False)[:, 0]
    strongest = float(attention.max()) * segments
    for axes, weights, name in zip(grid, attention.reshape(-1, heads, segments), names.ravel(), strict=True):
        extent = (float(spans_s[0].mean()), float(spans_s[-1].mean()), heads, 0)
        image = axes.imshow(
            weights * segments, aspect="auto", cmap="Blues", vmin=0, vmax=strongest, extent=extent,
            interpolation="nearest",
        )  # fmt: skip
        axes.set_ylabel("head", fontsize=8)
        axes.set_yticks([])
        axes.set_title(str(name), loc="left", fontsize=8)
    grid[-1].set_xlabel("time (s)", fontsize=8)
    figure.colorbar(image, ax=list(grid), label="attention (even = 1)")
    return figure
