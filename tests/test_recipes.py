"""The recipes: their scripts are sound, their stages can be skipped, redone and asked for; the whole, small."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ("mini", "speechocean762")
PROGRAMS = [
    ROOT / "run.sh", ROOT / "tests/run.sh", ROOT / ".ci/run",
    *(ROOT / "egs" / name / "run.sh" for name in RECIPES), *sorted(ROOT.glob("egs/*/local/*.sh")),
]  # fmt: skip
SOURCED = [*sorted((ROOT / "tools").glob("*.sh")), *(ROOT / "egs" / name / "path.sh" for name in RECIPES)]
STAGES = ["prepare data", "simulate mixtures", "pretrain", "extract embeddings", "score"]
MORE_STAGES = {"speechocean762": ["compare"]}  # which only run where they are asked for
# A network and a training as small as they can be: the chain is tried, not what it learns.
TINY = """
model:
  sample_rate: 8000
  encoder:
    filterbank: {kind: stft, window: 256, hop: 128}
    galr: {features: 16, hidden: 16, chunk: 20, chunk_hop: 20, mapped: 4, heads: 2, feedforward: 16}
    trunk_blocks: 1
    separation_blocks: 1
    speaker_blocks: 1
    embedding: 16
  readout_heads: 2
mixtures: {sample_rate: 8000, crop_s: 1.0}
batch: {utterances: 6, conditions: 1, held_out_mixtures: 4}
optimiser: {steps: 4, learning_rate: 1.0e-3, warmup: 2}
tracking: {log_every: 2, held_out_every: 2, checkpoint_every: 2}
"""
TRIALS = "--set enrollment=1 --set tests=1"


@pytest.mark.parametrize("script", [*PROGRAMS, *SOURCED], ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_are_sound(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", script], check=True)
    assert not re.search(r"(?<![\w$}/.])/(home|work|root|usr|opt)/", text.partition("\n")[2]), "no path of a machine"
    if script in PROGRAMS:
        assert os.access(script, os.X_OK)
        assert text.startswith("#!/usr/bin/env bash\n# ") and "\nset -euo pipefail\n" in text
    if shutil.which("shellcheck"):
        run = subprocess.run(
            ["shellcheck", "-x", "-P", f"{ROOT}:{script.parent}", script], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("recipe", RECIPES)
def test_stages_and_options_are_those_of_the_help(recipe: str) -> None:
    script = ROOT / "egs" / recipe / "run.sh"
    text = script.read_text(encoding="utf-8")
    assert re.findall(r'^if run_stage (\d+) "(.+)"; then$', text, re.MULTILINE) == [
        (str(number), name) for number, name in enumerate(STAGES + MORE_STAGES.get(recipe, []))
    ]
    helped = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    settings = text[text.index("\ncd ") : text.index("\n. ../../tools/recipe.sh")]
    settings = re.sub("^#.*$", "", settings, flags=re.MULTILINE)
    names = set(re.findall(r"(?:^|\s)([a-z0-9_]+)=", settings)) - {"called_from"}
    assert {f"--{name.replace('_', '-')}" for name in names} == set(re.findall(r"^  (--[a-z0-9-]+)", helped, re.M))


@pytest.mark.parametrize("arguments", [["--stag", "1"], ["--stage"], ["--nj", "two"], ["extra"], ["--PATH", "x"]])
def test_wrong_options_have_status_2(arguments: list[str]) -> None:
    run = subprocess.run([ROOT / "egs/mini/run.sh", *arguments], capture_output=True, text=True)
    assert run.returncode == 2 and arguments[0] in run.stderr


def bash(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code after the recipes' functions, as strictly as they do."""
    head = f'set -euo pipefail\nstage=1 stop_stage=3\n. "{ROOT}/tools/recipe.sh"\n'
    return subprocess.run(["bash", "-c", head + code], cwd=folder, capture_output=True, text=True)


def test_a_step_is_skipped_when_whole_and_redone_when_not(tmp_path: Path) -> None:
    (tmp_path / "input").touch()
    os.utime(tmp_path / "input", (1, 1))
    step = "step mark input -- bash -c 'echo ran >> log; exit {}'"
    assert bash(step.format(3), tmp_path).returncode == 3
    assert not (tmp_path / "mark").exists()
    assert bash(step.format(0), tmp_path).returncode == 0
    assert "is whole" in bash(step.format(0), tmp_path).stderr
    assert (tmp_path / "log").read_text() == "ran\nran\n"
    later = (tmp_path / "mark").stat().st_mtime + 10
    os.utime(tmp_path / "input", (later, later))
    # ... and a step that fails while it is done again leaves no mark of the earlier time.
    assert bash(step.format(3), tmp_path).returncode == 3
    assert not (tmp_path / "mark").exists()
    (tmp_path / "input").unlink()
    missing = bash(step.format(0), tmp_path)
    assert missing.returncode == 1 and "input is missing" in missing.stderr


def test_stages_outside_the_range_are_left_out(tmp_path: Path) -> None:
    run = bash('for n in 0 1 2 3 4; do if run_stage $n "name $n"; then echo $n; fi; done', tmp_path)
    assert run.stdout.split() == ["1", "2", "3"]
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d stage \d: name \d\n){3}", run.stderr)


def test_settings_are_given_by_name(tmp_path: Path) -> None:
    run = bash('nj=2 some_dir=\nparse_options --some-dir "a b" --nj 7\necho "$some_dir|$nj|$stage"', tmp_path)
    assert run.stdout == "a b|7|1\n"


@pytest.fixture
def bin_path(tmp_path: Path) -> str:
    """A PATH on which csc and python3 are those that run the tests."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, arguments in (("csc", "-m csc_cli.cli.main"), ("python3", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_the_table_holds_the_figures_of_its_sources(tmp_path: Path) -> None:
    def measure(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
        return {"value": value, "low": low, "high": high}

    systems = {"untrained": measure(0.3, 0.25, 0.35), "csc": measure(0.1234, 0.1, 0.15), "pitch": measure(0.4)}
    condition = {
        "name": "clean", "targets": 12, "nontargets": 34,
        "systems": {name: {"eer": eer} for name, eer in systems.items()},
        "comparisons": {"csc": {"eer_ratio": measure(0.411, 0.3, 0.5)}},
    }  # fmt: skip
    results = {
        "conditions": [condition, {**condition, "name": "0dB"}],
        "systems": [{"name": name} for name in systems],
        "intervals": {"speakers": 9},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    for name, gain in (("a", -0.54), ("b", 3.21)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "si_snr.json").write_text(json.dumps({"mean": {"0dB": {"improvement": gain}}}))
    command = [
        sys.executable,
        ROOT / "tools/results_table.py",
        tmp_path,
        f"untrained={tmp_path}/a",
        f"csc={tmp_path}/b",
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "| clean | 12 / 34 | 30.0 [25.0, 35.0] | 12.3 [10.0, 15.0] | 0.41 [0.30, 0.50] | – | – |" in lines
    assert "| 0dB | 12 / 34 | 30.0 [25.0, 35.0] | 12.3 [10.0, 15.0] | 0.41 [0.30, 0.50] | -0.5 | 3.2 |" in lines
    assert lines[-1] == "- pitch alone: EER clean 40.0 %, 0dB 40.0 %"
    missing = subprocess.run([*command, f"x={tmp_path}/c"], capture_output=True, text=True)
    assert missing.returncode == 1 and "si_snr.json" in missing.stderr and "Traceback" not in missing.stderr


class Recipe:
    """A copy of a recipe, whose data/ and exp/ are its own."""

    def __init__(self, folder: Path, name: str, bin_path: str) -> None:
        for part in ("egs", "tools", "conf"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("data", "exp", "downloads"))
        (folder / "tiny.yaml").write_text(TINY)
        self.folder = folder / "egs" / name
        self.environment = {**os.environ, "PATH": bin_path, "PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self.folder / "run.sh", "--conf", "../../tiny.yaml", "--device", "cpu", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def files(self) -> dict[str, float]:
        """Every file of data/ and exp/ with the time at which it was written."""
        found = [path for part in ("data", "exp") for path in (self.folder / part).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.stat().st_mtime for path in found}


def banners(run: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^\d{4}\S+ \S+ stage \d: (.+)$", run.stderr, re.MULTILINE)


def check_table(text: str, others: list[str]) -> None:
    rows = [line for line in text.splitlines() if line.startswith("| ") and "%" not in line and ":--" not in line]
    assert [row.split(" | ")[0] for row in rows] == [
        "| clean", "| 2talkers_+5dB", "| 2talkers_0dB", "| 2talkers_-5dB", "| all",
    ]  # fmt: skip
    for row in rows[1:]:
        assert len(re.findall(r"-?\d+\.\d \|(?=| -?\d)", row)) >= 2, "an SI-SNRi of each system"
    assert re.findall(r"^- (.+) alone: EER clean \d", text, re.MULTILINE) == others


@pytest.mark.long
def test_the_mini_recipe_from_end_to_end(tmp_path: Path, bin_path: str) -> None:
    recipe = Recipe(tmp_path, "mini", bin_path)
    synth = "--train-speakers 5 --dev-speakers 3 --test-speakers 4 --utterances 3"
    options = ["--synth-opts", synth, "--trials-opts", TRIALS]
    early = recipe.run(*options, "--stage", "2")
    assert early.returncode == 1 and "data/.done is missing" in early.stderr

    first = recipe.run(*options, "--stop-stage", "2")
    assert first.returncode == 0, first.stderr[-3000:]
    assert banners(first) == STAGES[:3]
    rest = recipe.run(*options, "--stage", "3", "--nj", "1")
    assert rest.returncode == 0, rest.stderr[-3000:]
    assert banners(rest) == STAGES[3:]
    table = (recipe.folder / "exp/RESULTS.md").read_text()
    check_table(table, ["mean pitch"])
    assert rest.stdout.endswith(table), "the last thing that is printed"

    before = recipe.files()
    again = recipe.run(*options)
    assert again.returncode == 0 and banners(again) == STAGES and "\n+ " not in again.stderr
    assert again.stdout == table
    changed = {name for name, time in recipe.files().items() if before.get(name) != time}
    assert changed == {"exp/RESULTS.md"}, "a second call does nothing that is done"

    # An extraction that was interrupted: its mark and one of its tables are not there yet.
    vectors = recipe.folder / "exp/csc/xvectors_test"
    for name in (".done", "xvector.scp", "xvector.ark"):
        (vectors / name).unlink()
    mended = recipe.run(*options)
    assert mended.returncode == 0 and mended.stdout.endswith(table)
    commands = re.findall(r"^\+ csc (\w+)", mended.stderr, re.MULTILINE)
    assert commands == ["extract", "score", "evaluate"], "what is done again, and what depends on it"


@pytest.mark.long
def test_the_speechocean762_recipe_from_end_to_end(tmp_path: Path, bin_path: str, shared: Path) -> None:
    corpus = tmp_path / "corpus"
    for part in ("train", "test"):
        cut_corpus(shared / "corpora/speechocean762", corpus, part, speakers=5, utterances=3)
    recipe = Recipe(tmp_path, "speechocean762", bin_path)
    run = recipe.run("--corpus", corpus, "--trials-opts", TRIALS)
    assert run.returncode == 0, run.stderr[-3000:]
    assert banners(run) == STAGES
    check_table((recipe.folder / "exp/RESULTS.md").read_text(), [])
    missing = recipe.run("--corpus", tmp_path / "nowhere")
    assert missing.returncode != 0 and "nowhere" in missing.stderr


@pytest.mark.long
def test_the_comparison_of_speechocean762_is_ready_to_run(tmp_path: Path, bin_path: str, shared: Path) -> None:
    corpus = tmp_path / "corpus"
    for part in ("train", "test"):
        cut_corpus(shared / "corpora/speechocean762", corpus, part, speakers=5, utterances=3)
    recipe = Recipe(tmp_path, "speechocean762", bin_path)
    # So few speakers have nobody of like sex and age.
    options = ["--corpus", corpus, "--trials-opts", f"{TRIALS} --set matched=[]", "--compare-opts", "--dry-run"]
    assert recipe.run(*options, "--stop-stage", "0").returncode == 0
    more = ["--stage", "5", "--stop-stage", "5", "--dev-speakers", "3", "--librispeech", other_voices(tmp_path, shared)]
    run = recipe.run(*options, *more)
    assert run.returncode == 0, run.stderr[-3000:]
    assert banners(run) == MORE_STAGES["speechocean762"]
    assert "train csc, speechocean, 60min, seed 0: about 60 min" in run.stdout
    assert "train separate-tune, more-voices, 60min, seed 0: about 15 min" in run.stdout
    assert "score oracle-csc, more-voices, equal-macs, seed 0 on dev-strangers" in run.stdout
    assert "cannot run" not in run.stdout and " on test" not in run.stdout


def other_voices(folder: Path, shared: Path) -> Path:
    """A data directory of two voices that are no speakers of the corpus."""
    source, target = shared / "corpora/librispeech251", folder / "other"
    target.mkdir()
    for name in ("utt2spk", "wav.scp"):
        lines = [line.split(maxsplit=1) for line in (source / name).read_text().splitlines()[:2]]
        place = f"{source}/" if name == "wav.scp" else ""
        (target / name).write_text("".join(f"{key} {place}{value}\n" for key, value in lines))
    return target


def cut_corpus(whole: Path, corpus: Path, part: str, speakers: int, utterances: int) -> None:
    """The first few utterances of the first few speakers, in the corpus's own layout."""
    lines = [line.split() for line in (whole / part / "spk2utt").read_text().splitlines()[:speakers]]
    kept = {utterance: speaker for speaker, *ids in lines for utterance in ids[:utterances]}
    paths = dict(line.split(maxsplit=1) for line in (whole / part / "wav.scp").read_text().splitlines())
    (corpus / part).mkdir(parents=True)
    (corpus / part / "utt2spk").write_text("".join(f"{id} {speaker}\n" for id, speaker in sorted(kept.items())))
    (corpus / part / "wav.scp").write_text("".join(f"{id} {paths[id]}\n" for id in sorted(kept)))
    for name in ("spk2gender", "spk2age"):
        rows = [line for line in (whole / part / name).read_text().splitlines() if line.split()[0] in kept.values()]
        (corpus / part / name).write_text("".join(f"{row}\n" for row in rows))
    for id in kept:
        target = corpus / paths[id]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(whole / paths[id])
