"""An early end: when what is measured on held-out data has not become better for a while."""

from __future__ import annotations

import math

from csc_cli.errors import ConfigError
from csc_cli.training.config import TrackingConfig

KEYS = {
    "bound": "held_out_bound", "si_snri": "held_out_si_snri",
    "eer_clean": "dev_eer_clean", "eer_mixed": "dev_eer_mixed",
}  # fmt: skip


class Patience:
    """The best value so far, and for how many measurements it has stood."""

    def __init__(self, config: TrackingConfig) -> None:
        self.limit, self.key = config.patience, KEYS[config.stop_on]
        self.best: float | None = None
        self.best_step, self.since = 0, 0

    def look(self, step: int, figures: dict[str, float]) -> bool:
        """Whether this measurement is the best so far.

        Raises:
            ConfigError: what is waited for is not measured.
        """
        if self.limit is None:
            return False
        if self.key not in figures:
            need = "give speakers with --dev" if self.key.startswith("dev") else "hold out utterances, batch.held_out"
            raise ConfigError(f"tracking.stop_on: {self.key} is not measured; {need}")
        value = figures[self.key] * (-1 if self.key.startswith("dev_eer") else 1)
        # So written that what is not a number is no better either.
        if not value > (-math.inf if self.best is None else self.best):
            self.since += 1
            return False
        self.best, self.best_step, self.since = value, step, 0
        return True

    @property
    def is_over(self) -> bool:
        return self.limit is not None and self.since >= self.limit

    def state(self) -> dict[str, float | int | None]:
        return {"best": self.best, "best_step": self.best_step, "since": self.since}

    def load(self, state: dict[str, float | int | None]) -> None:
        self.best = state["best"]
        self.best_step, self.since = int(state["best_step"] or 0), int(state["since"] or 0)
