"""`csc score`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options

NORMS = ("z", "t", "s", "as")


@click.group()
def score() -> None:
    """Score trials from vectors."""


def _norm(name: str, what: str) -> Callable[[Any], Any]:
    return click.option(f"--{name}-norm", metavar="COHORT", help=what)


SETTINGS = (
    click.option("--trials-format", type=click.Choice(["kaldi", "voxceleb"]), default="kaldi", show_default=True,
                 help="Lines 'ENROLL TEST [target|nontarget]', or '1|0 ENROLL TEST'."),
    click.option("--streams", type=options.Source(), metavar="UTT2STREAMS",
                 help="Lines 'UTT UTT-s1 UTT-s2': the vectors of TEST that belong to a test utterance."),
    click.option("--pool", "pooling", type=click.Choice(["max", "log-mean"]),
                 help="How the scores of an utterance's streams become one (log-mean: for calibrated log ratios).  "
                 "[default: log-mean with --calibration, else max]"),
    click.option("--calibration", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
                 help="Make each stream's score a log likelihood ratio first (a file of 'csc calibrate train')."),
    click.option("--enroll-spk2utt", type=options.Source(), metavar="SPK2UTT",
                 help="Lines 'ENROLLMENT UTT UTT': ENROLL has a vector for each of these utterances."),
    click.option("--enroll-by", type=click.Choice(["vectors", "scores", "attention"]), default="vectors",
                 show_default=True, help="Average their vectors, or their scores, plainly or by attention."),
    click.option("--attention-scale", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True,
                 help="Attention weights are softmax(SCALE * cosine of the test with each utterance)."),
    _norm("z", "Normalise by each enrollment's scores with the vectors of this table."),
    _norm("t", "Normalise by the scores of this table's vectors with each test."),
    _norm("s", "Both, and the mean of the two."),
    _norm("as", "The same, from each side's highest scores only (AS-norm)."),
    click.option("--top-n", type=click.IntRange(min=2),
                 help="How many of them, with --as-norm alone.  [default: 300]"),
    options.skip_missing,
    click.option("--nj", type=click.IntRange(min=1), default=1, show_default=True, help="Threads."),
    options.no_pipes,
    options.quiet,
)  # fmt: skip


def _settings(command: Any) -> Any:
    for option in reversed(SETTINGS):
        command = option(command)
    return options.chain(command)


def _to_settings(values: dict[str, Any]) -> Any:
    """The library's settings from the options' values."""
    from csc_cli.backend.settings import ScoreSettings

    cohorts = {norm: values.pop(f"{norm}_norm") for norm in NORMS}
    given = {norm: cohort for norm, cohort in cohorts.items() if cohort is not None}
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(f'--{norm}-norm' for norm in given)}: give one of them")
    norm, cohort = next(iter(given.items()), (None, None))
    return ScoreSettings(**values, norm=norm, cohort=cohort)  # type: ignore[arg-type]


@score.command(
    epilog=options.examples(
        "csc score cosine data/trials/trials exp/csc/enroll/spk_xvector.scp exp/csc/test/xvector.scp exp/csc/scores",
        "csc score cosine --streams exp/csc/test/utt2streams trials enroll/spk_xvector.scp test/xvector.scp scores",
        "csc score cosine --mean mean.vec trials scp:enroll.scp 'ark:copy-vector scp:test.scp ark:- |' -",
        "csc score cosine --center-on train.scp --as-norm train.scp --top-n 300 trials enroll.scp test.scp scores",
        "csc score cosine --enroll-spk2utt spk2utt --enroll-by attention trials enroll.scp test.scp scores",
        "csc score cosine all enroll.scp test.scp ark:scores.ark",
    )
)
@options.source("trials", words=["all"])
@click.argument("enroll")
@click.argument("test")
@options.output("out")
@_settings
def cosine(trials: Path | str, enroll: str, test: str, out: Path, **settings: Any) -> None:
    """Write the cosine of the two vectors of each trial to OUT ('-': standard output).

    TRIALS has two or three columns, enrollment first; or is the word 'all': each enrollment with each test, and OUT
    may then be a table (ark:FILE). ENROLL and TEST are Kaldi rspecifiers, or paths of an scp or ark. A name without a
    vector is an error.
    """
    from csc_cli.backend.scoring import score_cosine
    from csc_cli.progress import note

    note(score_cosine(trials, enroll, test, out, _to_settings(settings)))


@score.command(
    epilog=options.examples(
        "csc score plda --num-utts ark:num_utts.ark plda trials spk_xvector.scp test.scp scores",
        "csc score plda --mean mean.vec --transform transform.mat --length-norm --enroll-spk2utt enroll/spk2utt "
        "plda trials enroll.scp test.scp scores",
        "csc score plda --normalize-length false 'csc plda copy --smoothing 0.1 plda - |' trials enroll.scp test.scp -",
    )
)
@click.argument("plda")
@options.source("trials", words=["all"])
@click.argument("enroll")
@click.argument("test")
@options.output("out")
@click.option("--num-utts", metavar="TABLE", help="Of how many utterances each vector of ENROLL is the mean "
              "(Kaldi's num_utts.ark).  [default: one]")  # fmt: skip
@click.option("--normalize-length", type=bool, default=True, show_default=True, metavar="true|false",
              help="Scale latent vectors to the length that the PLDA expects of them.")  # fmt: skip
@click.option("--simple-length-normalization", "simple", type=bool, default=False, show_default=True,
              metavar="true|false", help="Scale them to sqrt(dimension) instead.")  # fmt: skip
@_settings
def plda(
    plda: str, trials: Path | str, enroll: str, test: str, out: Path, normalize_length: bool, simple: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Write the log likelihood ratio of each trial by the PLDA to OUT ('-': standard output).

    The same numbers as Kaldi's ivector-plda-scoring. PLDA is Kaldi's object; the other arguments are those of 'csc
    score cosine'. --mean, --transform and --length-norm come before the PLDA; where --enroll-spk2utt is given, vectors
    are averaged after them and counted.
    """
    from csc_cli.backend.scoring import score_plda
    from csc_cli.progress import note

    length = "none" if not normalize_length else "simple" if simple else "expected"
    note(score_plda(plda, trials, enroll, test, out, _to_settings(settings), length=length))  # type: ignore[arg-type]
