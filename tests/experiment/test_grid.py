"""Grids that cannot be meant are refused with their line."""

from __future__ import annotations

import pytest

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.experiment.grid import Grid

HEAD = """\
out: exp
training: [{name: a, data: data/a}]
trials: [{name: dev, folder: data/trials}]
budgets: [{name: hour, minutes: 60}]
systems:
"""


def grid(*systems: str, rest: str = "") -> Grid:
    return configs.loads(Grid, HEAD + "".join(f"  - {{{system}}}\n" for system in systems) + rest, "grid.yaml")


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("name: a", "give one of config, model and external"),
        ("name: a, config: a.yaml, model: b", "give one of config, model and external"),
        ("name: a b, config: a.yaml", "'a b' must be of letters"),
        ("name: a, config: a.yaml, share: 0", "share=0"),
        ("name: a, external: make vectors", "must name {data} and {out}"),
        ("name: a, model: b", "no system 'b'"),
        ("name: a, config: a.yaml, init: [b]", "no system 'b'"),
        ("name: a, config: a.yaml, init: [a]", "begins from itself (a -> a)"),
        ("name: a, config: a.yaml, score: [--center-on, '{cohort}']", "the grid has none"),
        ("name: a, config: a.yaml, group: label", "'systems.group: label' is not one of"),
        ("name: a, external: 'x {data} {out}', share: 0.5", "belong to a config"),
        ("name: a, external: 'x {data} {out}', part: true", "a part must have a config"),
    ],
)
def test_an_impossible_system_is_named(system: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        grid(system)
    assert message in str(error.value) and str(error.value).startswith("grid.yaml:")


def test_two_systems_of_a_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="'a' is there twice"):
        grid("name: a, config: a.yaml", "name: a, config: b.yaml")


def test_a_circle_over_two_systems_is_refused() -> None:
    with pytest.raises(ConfigError, match="begins from itself"):
        grid("name: a, config: a.yaml, init: [b], share: 0.5", "name: b, config: b.yaml, init: [a], share: 0.5")


def test_a_system_costs_one_budget_with_all_that_it_begins_from() -> None:
    separator, embedder = "name: s, config: s.yaml, share: 0.5", "name: e, config: e.yaml, share: 0.25"
    tuned = "name: t, config: t.yaml, init: [encoder=s, embedder=e], share: {}"
    found = grid(separator, embedder, tuned.format(0.25))
    assert [part.name for part in found.trained(found.systems[2])] == ["s", "e", "t"]
    with pytest.raises(ConfigError, match=r"cost 1\.05 budgets \(s 0\.5, e 0\.25, t 0\.3\)"):
        grid(separator, embedder, tuned.format(0.3))
    # What is trained twice over is counted once, an untrained cascade costs nothing more.
    half = "name: b, config: b.yaml, init: [s], share: 0.5"
    grid(separator, half, "name: c, config: c.yaml, init: [s, b], untrained: true")


@pytest.mark.parametrize(
    ("budget", "accepted"), [("minutes: 3", True), ("macs: 1e15", True), ("minutes: 3, macs: 1e15", False), ("", False)]
)
def test_a_budget_has_one_currency(budget: str, accepted: bool) -> None:
    text = HEAD.replace("minutes: 60", budget).replace(", }", "}") + "  - {name: a, config: a.yaml}\n"
    if accepted:
        assert configs.loads(Grid, text).budgets[0].name == "hour"
    else:
        with pytest.raises(ConfigError, match="give either minutes or macs"):
            configs.loads(Grid, text)
