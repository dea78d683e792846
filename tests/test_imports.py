"""Who may import whom: the imports of every module are walked, and each module is imported alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "csc_cli"
FOUNDATION = {"compiled", "errors", "config", "files", "history", "seeds", "parallel", "progress", "dsp", "text_files"}
# package -> the packages that it may import directly; what those may import, it may import too.
MAY_IMPORT = {
    "foundation": set(),
    "kaldi": {"foundation"},
    "mixtures": {"kaldi"},
    "corpora": {"mixtures"},
    "nn": {"foundation"},
    "extraction": {"kaldi", "nn"},
    "backend": {"kaldi"},
    "metrics": {"kaldi"},
    "plots": {"metrics"},
    "training": {"mixtures", "nn", "extraction", "metrics"},
    "experiment": {"training", "plots"},
    "cli": {"corpora", "training", "extraction", "backend", "plots", "experiment"},
}
# A third-party package -> the only places that may import it.
CONFINED = {"torchaudio": {"dsp"}, "click": {"cli"}, "matplotlib": {"plots"}}
WITHOUT_TORCH = ("kaldi", "backend", "metrics", "plots", "corpora", "cli")


def modules() -> list[str]:
    """The dotted names of all modules of csc_cli."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in PACKAGE.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


def place(module: str) -> str:
    """The package of a module, by the names of MAY_IMPORT."""
    first = module.split(".")[1] if "." in module else ""
    return "foundation" if first in FOUNDATION or not first else first


def closure(package: str) -> set[str]:
    reached = {package, "foundation"}
    for other in MAY_IMPORT[package]:
        reached |= closure(other)
    return reached


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, at any depth; `from a import b` may name a module b of a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full"
            assert node.module is not None
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def forbidden(module: str, source: str) -> list[str]:
    """The imports of `module` that go against the directions."""
    own, found = place(module), []
    for line, name in imported(ast.parse(source)):
        if name.split(".")[0] == "csc_cli":
            target = place(name)
            # `from csc_cli import __version__` is not a module of the package
            if target in MAY_IMPORT and target not in closure(own):
                found.append(f"{module}:{line}: {own} may not import {target} ({name})")
        allowed = CONFINED.get(name.split(".")[0])
        if allowed is not None and not allowed & {own, module.removeprefix("csc_cli.")}:
            found.append(f"{module}:{line}: {name} is imported by {', '.join(sorted(allowed))} alone")
    return found


def source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def test_every_module_has_a_place() -> None:
    assert {place(module) for module in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", modules())
def test_imports_go_in_the_stated_directions(module: str) -> None:
    assert forbidden(module, source(module)) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("csc_cli.nn.galr", "from csc_cli.kaldi.tables import read_vectors"),
        ("csc_cli.kaldi.audio", "from csc_cli.mixtures import render"),
        ("csc_cli.backend.scoring", "def f():\n    import csc_cli.metrics.detection"),
        ("csc_cli.metrics.report", "from csc_cli.plots.detection import plot_det"),
        ("csc_cli.extraction.embed", "from csc_cli.training.config import TrainConfig"),
        ("csc_cli.training.trainer", "from csc_cli.cli import options"),
        ("csc_cli.training.trainer", "from csc_cli.experiment import grid"),
        ("csc_cli.errors", "from csc_cli.kaldi.text import read_keyed"),
        ("csc_cli.nn.filterbank", "import torchaudio.functional"),
        ("csc_cli.kaldi.audio", "import click"),
    ],
)
def test_the_walk_finds_what_is_forbidden(module: str, line: str) -> None:
    assert len(forbidden(module, line)) == 1


ALONE = """
import importlib, sys
failed = 0
for name in sys.argv[1:]:
    for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == "csc_cli"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception as error:
        failed += 1
        print(f"{name}: {type(error).__name__}: {error}")
sys.exit(failed > 0)
"""


def test_each_module_can_be_imported_alone() -> None:
    # One process for all: what csc itself has loaded is forgotten between two modules, torch is not.
    run = subprocess.run([sys.executable, "-c", ALONE, *modules()], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


def test_scoring_metrics_and_data_never_load_torch() -> None:
    names = [module for module in modules() if place(module) in WITHOUT_TORCH]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    assert 'torch' not in sys.modules, name\n"
    run = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr[-2000:]


def test_init_files_stay_nearly_empty() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 5, path
