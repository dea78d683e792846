"""What the pages say is so: their commands parse, their links lead somewhere, their Python runs on real names."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import shlex
from pathlib import Path

import click
import pytest

from csc_cli.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("egs/*/*.md")])


def command_lines() -> list[tuple[str, str]]:
    """(page, line) for each csc command in a page's code blocks; lines ended by a backslash are joined."""
    found = []
    for page in PAGES:
        fenced = False
        for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            fenced ^= line.startswith("```")
            if (fenced or line.startswith("    ")) and re.match(r" *csc [a-z]", line):
                found.append((page.name, line.strip()))
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_of_the_pages_parse(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _parameter, _context: Path(value))
    words = shlex.split(line, comments=True)[1:]
    words = list(itertools.takewhile(lambda word: word not in ("|", ">", "&&", "..."), words))
    command: click.Command = main
    while isinstance(command, click.Group):
        child = command.get_command(click.Context(command), words[0])
        assert child is not None, f"{page}: no command {words[0]}"
        command, words = child, words[1:]
    with command.make_context("csc", words):
        pass


def test_the_readme_shows_every_command() -> None:
    shown = {line.split()[1] for page, line in command_lines() if page == "README.md"}
    assert set(main.list_commands(click.Context(main))) <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_python_of_the_readme_uses_names_that_exist() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for node in ast.walk(ast.parse("\n".join(blocks))):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), node.module
