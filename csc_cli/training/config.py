"""All settings of a training: the only home of their defaults (conf/train/*.yaml sets the rest)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.mixtures.plan import MixtureConfig
from csc_cli.nn.encoder import EncoderConfig
from csc_cli.nn.inventory import InventoryConfig
from csc_cli.nn.model import ModelConfig

# Of a loss: a number, or points [share of the steps, number] between which it changes linearly.
Weight = float | tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class BatchConfig:
    """Which utterances meet in a batch (method's section 2); how a mixture sounds is MixtureConfig's.

    Each speed of `mixtures.speeds` other than 1 makes speakers (rows) of its own, as in Kaldi's recipes.
    """

    utterances: int = 16  # B of one optimiser step, over all ranks
    conditions: int = 2  # M: utterance i is mixed with i + 1 ... i + M, so it occurs in 2 M mixtures
    one_talker: float = 0.25  # share of mixtures without the interferer, once the streams have parted
    no_talker: float = 0.0  # share of noise alone, likewise
    more_talkers: tuple[float, ...] = ()  # shares of mixtures with 3, 4, ... talkers; what is left has two
    # Such batches whose mean gradient makes a step. L_batch and the standardisation of segments see one of them at a
    # time; rows are as they were stored before the step for all of them.
    accumulate: int = 1
    held_out: float = 0.05  # share of each speaker's utterances kept for the held-out bound
    held_out_mixtures: int = 64
    lost: float = 0.01  # share of the utterances that may turn out to be unreadable; more end the training

    def __post_init__(self) -> None:
        if self.utterances < 3 or not 1 <= self.conditions <= (self.utterances - 1) // 2:
            raise ConfigError(
                f"utterances={self.utterances}, conditions={self.conditions}: conditions must lie between 1 and "
                "(utterances - 1) / 2, beyond that pairs repeat"
            )
        if self.accumulate < 1:
            raise ConfigError(f"accumulate={self.accumulate}: must be at least 1 batch a step")
        if not 0 <= self.lost <= 1:
            raise ConfigError(f"lost={self.lost}: is a share of the utterances, it must lie in [0, 1]")
        shares = (self.one_talker, self.no_talker, *self.more_talkers)
        if not (all(0 <= share <= 1 for share in shares) and 0 <= self.held_out < 1):
            raise ConfigError("one_talker, no_talker, more_talkers must lie in [0, 1], held_out in [0, 1)")
        if sum(shares) > 1:
            raise ConfigError(f"shares of mixtures with other than two talkers add up to {sum(shares):g}: at most 1")
        if self.most_talkers - 1 > (self.utterances - 1) // 2:
            raise ConfigError(
                f"more_talkers={list(self.more_talkers)}: {self.most_talkers} talkers that never include a speaker's "
                f"two utterances need at least {2 * self.most_talkers - 1} utterances"
            )

    @property
    def most_talkers(self) -> int:
        return 2 + len(self.more_talkers)

    @property
    def mixtures(self) -> int:
        """B M, of one batch."""
        return self.utterances * self.conditions


@dataclass(frozen=True)
class ObjectiveConfig:
    """Which losses, and how much of each (method's sections 1 and 3).

    Each `..._weight` may be a schedule: [[0, 0], [0.3, 5]] grows from 0 to 5 over the first 0.3 of the steps.
    """

    separation: Literal["si_snr", "scale_aware", "none"] = "si_snr"
    contrastive_weight: Weight = 5.0  # lambda, of L_inv + L_batch, against decibels
    segment_weight: Weight = 0.2  # of the segments' own L_inv beside the recording's
    batch_weight: Weight = 1.0  # of L_batch beside L_inv
    silent_weight: Weight = 0.1  # of the silent streams' decibels
    si_snr_limit_db: float | None = None  # what lies beyond it is not rewarded; null: no limit
    regulariser_weight: Weight = 0.0  # gamma, keeps learned rows apart
    regulariser_rows: int | None = None  # rows a step, drawn at random, that it looks at; null: all
    # For comparison with what the method claims:
    speaker_loss: Literal["contrastive", "aam"] = "contrastive"  # aam: AAM-softmax in place of L_inv and L_batch
    aam_margin: float = 0.2  # radians
    aam_scale: float = 30.0
    aam_margin_warmup: float = 0.2  # the margin grows from 0 over this share of the steps
    negatives: int | None = None  # rows drawn for L_inv beside the own one; null: the whole inventory
    length_normalised: bool = True  # false: distances of vectors as long as they are
    own_stream: bool = False  # the anchor's mixture among its own keys: leaks, for comparison only
    # The share of mixtures whose speaker head hears the true sources falls from 1 to 0 at this share of steps: until
    # the masks part the streams, both streams sound alike and there is nothing to embed (ours).
    guide_until: float = 0.3
    alpha: float = 4.0  # inverse temperature at the start
    learn_alpha: bool = True
    parted_db: float = 3.5  # one-talker mixtures come in when the held-out SI-SNRi has passed this ...
    parted_latest: float = 0.5  # ... or after this share of the steps

    def __post_init__(self) -> None:
        for name in ("contrastive", "segment", "batch", "silent", "regulariser"):
            check_weight(f"{name}_weight", getattr(self, f"{name}_weight"))
        if not all(0 <= share <= 1 for share in (self.guide_until, self.parted_latest, self.aam_margin_warmup)):
            raise ConfigError(
                "guide_until, parted_latest and aam_margin_warmup are shares of the steps: they must lie in [0, 1]"
            )
        if not 1 <= self.alpha <= 100:
            raise ConfigError(f"alpha={self.alpha}: must lie in [1, 100]")
        if any(count is not None and count < 1 for count in (self.negatives, self.regulariser_rows)):
            raise ConfigError("negatives and regulariser_rows must be at least 1, or null for all")
        if self.si_snr_limit_db is not None and self.si_snr_limit_db <= 0:
            raise ConfigError(f"si_snr_limit_db={self.si_snr_limit_db:g}: must be above 0, or null for no limit")
        if not (0 <= self.aam_margin < 1.5 and 2 <= self.aam_scale <= 200):
            raise ConfigError("aam_margin must lie in [0, 1.5) radians, aam_scale in [2, 200]")
        if self.speaker_loss == "aam" and (self.negatives is not None or not self.length_normalised):
            raise ConfigError("speaker_loss=aam: takes neither negatives nor length_normalised=false")


def check_weight(name: str, weight: Weight) -> None:
    """
    Raises:
        ConfigError: the weight is negative, or a schedule whose shares are none or do not ascend.
    """
    points = weight if isinstance(weight, tuple) else ((0.0, weight),)
    shares = [share for share, _ in points]
    if not shares or shares != sorted(set(shares)) or min(shares) < 0 or max(shares) > 1:
        raise ConfigError(
            f"{name}={[list(point) for point in points]}: a schedule is [[share of the steps, weight], ...] with "
            "ascending shares in [0, 1]"
        )
    if min(value for _, value in points) < 0:
        raise ConfigError(f"{name}: weights of losses must not be negative")


@dataclass(frozen=True)
class RivalConfig:
    """How a network with an embedder is trained; without one nothing here has a meaning.

    Each talker of a recording is a target. Several embeddings of one recording are assigned to its talkers with the
    least loss; a cascade's are assigned as its streams are.
    """

    loss: Literal["aam_softmax", "margin_mixup", "ge2e", "nt_xent"] = "aam_softmax"
    margin: float = 0.2  # radians
    scale: float = 30.0
    margin_warmup: float = 0.2  # the margin grows from 0 over this share of the steps
    temperature: float = 0.1  # of nt_xent

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1.5 or self.scale <= 0 or self.temperature <= 0:
            raise ConfigError("margin must lie in [0, 1.5) radians, scale and temperature above 0")
        if not 0 <= self.margin_warmup <= 1:
            raise ConfigError(f"margin_warmup={self.margin_warmup}: is a share of the steps, it must lie in [0, 1]")


@dataclass(frozen=True)
class OptimiserConfig:
    steps: int = 2000
    learning_rate: float = 1e-3
    warmup: int = 100  # steps
    final_rate: float = 0.01  # share of the learning rate at the last step of the cosine
    weight_decay: float = 0.01
    clip: float = 5.0  # norm of the gradient
    # auto: bfloat16 where the hardware has it; float64 is to check by, and slow
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    ema: float = 0.0  # decay of the moving average of the weights that is measured and kept; 0: none
    skipped: int = 3  # steps whose loss is not finite that are passed over; one more ends the training
    # The activations of GALR blocks are made again in the backward pass instead of kept: less memory, more time.
    activation_checkpointing: bool = False
    compile: Literal["inductor", "aot_eager", "eager"] | None = None  # torch.compile with this backend; null: not
    frozen: tuple[str, ...] = ()  # parts of the model that stay as they are: encoder, encoder.trunk, ...

    def __post_init__(self) -> None:
        if self.steps < 0 or self.warmup < 0 or self.learning_rate <= 0 or self.clip <= 0:
            raise ConfigError("steps and warmup must be at least 0, learning_rate and clip positive")
        if not 0 <= self.ema < 1 or self.skipped < 0:
            raise ConfigError("ema must lie in [0, 1), skipped be at least 0")


@dataclass(frozen=True)
class TrackingConfig:
    log_every: int = 20  # steps a line of train.jsonl
    held_out_every: int = 200
    checkpoint_every: int = 200
    kept: int = 2  # checkpoints; more are for `csc average`
    # Training ends when `stop_on` has not become better for so many measurements; the best model stands in EXP/best.
    patience: int | None = None
    stop_on: Literal["bound", "si_snri", "eer_clean", "eer_mixed"] = "bound"  # EERs need `csc train --dev`

    def __post_init__(self) -> None:
        if min(self.log_every, self.held_out_every, self.checkpoint_every, self.kept) < 1:
            raise ConfigError("log_every, held_out_every, checkpoint_every and kept must be at least 1")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"patience={self.patience}: must be at least 1 measurement, or null for no early end")


@dataclass(frozen=True)
class TrainConfig:
    model: ModelConfig
    seed: int = 0
    inventory: InventoryConfig = InventoryConfig()
    mixtures: MixtureConfig = field(default_factory=MixtureConfig)
    batch: BatchConfig = BatchConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    rival: RivalConfig = RivalConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    tracking: TrackingConfig = TrackingConfig()
    initial: tuple[str, ...] = ()  # SHA-256 of the weights that it began from; written by `csc train --init`

    @property
    def slots(self) -> int:
        """Sources of a mixture in a batch, silent ones among them."""
        return max(2, self.model.streams)

    @property
    def step_mixtures(self) -> int:
        """Mixtures of a step of the optimiser, over all processes."""
        return self.batch.mixtures * self.batch.accumulate

    @property
    def step_audio_s(self) -> float:
        """Seconds of mixture in such a step."""
        return self.step_mixtures * (self.mixtures.crop_s or 0.0)

    def __post_init__(self) -> None:
        if self.model.sample_rate != self.mixtures.sample_rate:
            raise ConfigError(
                f"model.sample_rate={self.model.sample_rate}, mixtures.sample_rate={self.mixtures.sample_rate}: "
                "must be the same"
            )
        if self.inventory.label == "speaker" and self.batch.utterances % 2:
            raise ConfigError(
                f"batch.utterances={self.batch.utterances}: must be even, each speaker brings two "
                "(with an odd number the two could meet in one mixture)"
            )
        if self.mixtures.crop_s is None:
            raise ConfigError("mixtures.crop_s: training needs a fixed length in seconds, 2.5 for instance")
        if round(self.mixtures.crop_s * self.model.sample_rate) < self.model.window:
            raise ConfigError(f"mixtures.crop_s={self.mixtures.crop_s}: shorter than the first layer's window")
        if len(set(self.mixtures.speeds)) != len(self.mixtures.speeds):
            raise ConfigError(f"mixtures.speeds={list(self.mixtures.speeds)}: holds a speed twice")
        self.check_talkers()
        pairs = self.model.embedder is not None and self.rival.loss in ("ge2e", "nt_xent")
        if pairs and self.inventory.label == "utterance" and self.batch.conditions < 2:
            raise ConfigError(
                f"batch.conditions=1: rival.loss={self.rival.loss} holds crops of an utterance together; take 2 or more"
            )
        if self.model.encoder is not None:
            self.check_encoder(self.model.encoder)
        elif self.optimiser.activation_checkpointing:
            raise ConfigError(
                "optimiser.activation_checkpointing: is for GALR blocks, and without an encoder there is none"
            )
        elif self.optimiser.frozen and "embedder" in self.optimiser.frozen:
            raise ConfigError("optimiser.frozen: embedder: nothing would be left to train")

    def check_encoder(self, encoder: EncoderConfig) -> None:
        if encoder.streams < 2:
            raise ConfigError("model.encoder.streams: mixtures of two talkers need at least 2")
        if self.model.embedder is not None:
            if "encoder" not in self.optimiser.frozen:
                raise ConfigError(
                    "optimiser.frozen: a cascade's separator is trained on its own; add encoder here, and give the "
                    "trained separator with --init"
                )
            if self.rival.loss != "aam_softmax":
                raise ConfigError(f"rival.loss={self.rival.loss}: a cascade is trained by aam_softmax")
        elif encoder.speaker_input == "trunk" and self.objective.guide_until > 0:
            raise ConfigError(
                f"objective.guide_until={self.objective.guide_until}: the guide speaks through the masks, which "
                "model.encoder.speaker_input=trunk does not hear; set it to 0"
            )
        if self.objective.speaker_loss == "aam" and self.inventory.rows != "learned":
            raise ConfigError("objective.speaker_loss=aam: its rows are learned; set inventory.rows=learned")

    def check_talkers(self) -> None:
        """That there is a source for each talker, and noise alone is not nothing."""
        batch = self.batch
        if batch.most_talkers > self.slots:
            raise ConfigError(
                f"batch.more_talkers={list(batch.more_talkers)}: mixtures of {batch.most_talkers} talkers need as many "
                f"streams, the model has {self.model.streams}"
            )
        if batch.no_talker and not self.mixtures.noise.probability:
            raise ConfigError(
                f"batch.no_talker={batch.no_talker}: noise alone with mixtures.noise.probability=0 would be silence; "
                "set either of them"
            )


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of an older csc, with the defaults of keys that it did not have; as they are where unreadable now."""
    try:
        return configs.to_dict(configs.loads(TrainConfig, yaml.safe_dump(settings)))
    except ConfigError:
        return settings
