"""curves.png of a model directory: what train.jsonl says, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csc_cli.files import atomic_path
from csc_cli.history import HISTORY, read_history

PANELS = (
    ("separation", "SI-SNR improvement (dB)", ("si_snri", "held_out_si_snri")),
    ("information", "bound on I(z; K) (nats)", ("bound", "held_out_bound", "ceiling", "held_out_ceiling")),
    ("losses", "nats", ("inventory", "segment", "batch", "speaker")),
    ("optimiser", "gradient norm", ("gradient_norm",)),
    ("verification", "EER of --dev (%)", ("dev_eer_clean", "dev_eer_mixed")),
    ("left out", "utterances that cannot be read", ("lost",)),
    ("silence", "empty stream (dB of the recording)", ("held_out_silent_db",)),
)


def plot_curves(directory: Path) -> None:
    """Draw the history of `directory` to its curves.png; nothing where there is no history yet."""
    rows = read_history(directory / HISTORY)
    if not rows:
        return
    from matplotlib.figure import Figure

    panels = [panel for panel in PANELS if any(key in row for row in rows for key in panel[2])]
    figure = Figure(figsize=(11, 3.5 * -(-len(panels) // 2)), layout="constrained")
    places = figure.subplots(-(-len(panels) // 2), 2, squeeze=False).flat
    for axes in list(places)[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, unit, keys) in zip(places, panels, strict=False):
        for key in keys:
            _line(axes, rows, key)
        parted = next((row["step"] for row in rows if row.get("parted")), None)
        if parted is not None:
            axes.axvline(parted, color="0.7", linestyle=":", label="one-talker mixtures come in")
        axes.set(title=title, xlabel="step", ylabel=unit)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    with atomic_path(directory / "curves.png") as target:
        figure.savefig(target, dpi=100, format="png")


def _line(axes: Any, rows: list[dict[str, Any]], key: str) -> None:
    points = [(row["step"], row[key]) for row in rows if key in row]
    if points:
        style = {"marker": "o", "markersize": 3} if key.startswith(("held_out", "dev")) else {"alpha": 0.8}
        axes.plot(*zip(*points, strict=True), label=key.replace("_", " "), **style)
