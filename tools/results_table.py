#!/usr/bin/env python3
"""The table at the end of a recipe, in Markdown: EER by condition, its ratio to the first system's, and SI-SNRi.

Usage: results_table.py RESULTS NAME=SEPARATED ... > RESULTS.md

RESULTS is a folder that `csc evaluate` wrote, with the first NAME evaluated first; SEPARATED is a folder that `csc
separate` wrote with the same conditions. Systems of RESULTS that are not named here get a line below the table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

NONE = "–"


def main() -> None:
    if len(sys.argv) < 3 or not all("=" in argument for argument in sys.argv[2:]):
        sys.exit(__doc__)
    results = _read(Path(sys.argv[1]) / "results.json")
    folders = dict(argument.split("=", 1) for argument in sys.argv[2:])
    gains = {name: _read(Path(folder) / "si_snr.json")["mean"] for name, folder in folders.items()}
    print(table(results, gains))


def table(results: dict[str, Any], gains: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row a condition, then a line a system without separation.

    Args:
        results: what `csc evaluate` writes to results.json.
        gains: system -> the means by condition of its si_snr.json.
    """
    first, *others = gains
    headings = ["condition", "trials (target / nontarget)"]
    headings += [f"{name}: EER % [95 %]" for name in gains]
    headings += [f"{name} / {first}: EER ratio [95 %]" for name in others]
    headings += [f"{name}: SI-SNRi, dB" for name in gains]
    rows = [headings, [":--"] + ["--:"] * (len(headings) - 1)]
    for condition in results["conditions"]:
        name = condition["name"]
        row = [name, f"{condition['targets']} / {condition['nontargets']}"]
        row += [_figure(condition["systems"][system]["eer"], 100, 1) for system in gains]
        row += [_figure(condition["comparisons"][system]["eer_ratio"], 1, 2) for system in others]
        row += [f"{gains[system][name]['improvement']:.1f}" if name in gains[system] else NONE for system in gains]
        rows.append(row)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    speakers = results["intervals"]["speakers"]
    lines += ["", f"Intervals of 95 % by bootstrap over the {speakers} speakers. SI-SNRi: mean over mixtures.", ""]
    for system in (entry["name"] for entry in results["systems"]):
        if system not in gains:
            eers = [(entry["name"], entry["systems"][system]["eer"]) for entry in results["conditions"]]
            lines.append(
                f"- {system} alone: EER " + ", ".join(f"{name} {_figure(eer, 100, 1)} %" for name, eer in eers)
            )
    return "\n".join(lines).rstrip()


def _figure(measure: dict[str, float | None], scale: float, digits: int) -> str:
    value, low, high = (measure[part] for part in ("value", "low", "high"))
    if value is None:
        return NONE
    if low is None or high is None:
        return f"{scale * value:.{digits}f}"
    return f"{scale * value:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"Error: {path}: {error}; run the stage that makes it first")


if __name__ == "__main__":
    main()
