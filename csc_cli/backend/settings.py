"""The settings of the back-end's commands, and what they exclude."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from csc_cli.backend.normalise import Norm
from csc_cli.backend.streams import Pool
from csc_cli.errors import ConfigError

EnrollBy = Literal["vectors", "scores", "attention"]


@dataclass(frozen=True)
class ChainSettings:
    """What is done to vectors first, in this order. Names are rspecifiers, or paths of an scp or ark."""

    mean: str | None = None  # a vector subtracted
    center_on: str | None = None  # a table whose mean is subtracted
    transform: str | None = None  # Kaldi's matrix
    length_norm: bool = False  # to length sqrt(D)

    def __post_init__(self) -> None:
        if self.mean is not None and self.center_on is not None:
            raise ConfigError("--mean and --center-on both name a mean; give one of them")


@dataclass(frozen=True)
class ScoreSettings(ChainSettings):
    """Names as above; tables of words are files, `-` or commands. The cohort's vectors get the chain, too."""

    trials_format: Literal["kaldi", "voxceleb"] = "kaldi"
    streams: str | Path | None = None  # test utterance -> its vectors
    pooling: Pool | None = None  # default: log-mean of calibrated scores, max of others
    num_utts: str | None = None  # of how many utterances each enrollment is the mean (PLDA)
    enroll_spk2utt: str | Path | None = None  # enrollment -> its utterances, where the vectors are theirs
    enroll_by: EnrollBy = "vectors"
    attention_scale: float = 10.0  # inverse temperature of the softmax over cosines; where the network's own begins
    norm: Norm | None = None
    cohort: str | None = None
    top_n: int | None = None  # of an adaptive normalisation (`as`) alone; default: `TOP_N`
    calibration: str | Path | None = None  # of each stream's score, before pooling
    skip_missing: bool = False
    nj: int = 1  # threads

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.norm is None) != (self.cohort is None):
            raise ConfigError("a normalisation needs a cohort, and a cohort a normalisation")
        if self.top_n is not None and self.norm != "as":
            raise ConfigError(f"--top-n {self.top_n}: says nothing without --as-norm; give both, or leave it out")
        if self.num_utts is not None and self.enroll_spk2utt is not None:
            raise ConfigError("--enroll-spk2utt says of how many utterances an enrollment is; leave --num-utts out")
        if self.enroll_by != "vectors" and self.enroll_spk2utt is None:
            raise ConfigError(f"--enroll-by {self.enroll_by}: needs --enroll-spk2utt, to know each one's utterances")
        if not 0 < self.attention_scale < float("inf"):
            raise ConfigError(f"--attention-scale {self.attention_scale:g}: must be more than 0")
