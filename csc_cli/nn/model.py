"""The model as a whole, and the directory that holds it.

A model directory is portable: `model.safetensors` (tensors), `config.yaml` (complete settings),
no pickle, no absolute path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli import config as configs
from csc_cli.errors import ConfigError, DataError
from csc_cli.files import atomic_path, open_atomic
from csc_cli.nn.attention import CrossAttention
from csc_cli.nn.baselines.embedder import Embedder, EmbedderConfig
from csc_cli.nn.baselines.features import WINDOW_S
from csc_cli.nn.baselines.recursive import found
from csc_cli.nn.encoder import Encoded, EncoderConfig, Guide, SeparativeEncoder
from csc_cli.nn.masked import masked_mean
from csc_cli.nn.precision import at_least_float32

WEIGHTS, SETTINGS = "model.safetensors", "config.yaml"


@dataclass(frozen=True)
class ModelConfig:
    """What the network is made of.

    An encoder alone is CSC; an embedder alone hears the recording as it is; both are a cascade, in which the
    embedder hears each stream that the encoder separates.
    """

    sample_rate: int  # Hz
    encoder: EncoderConfig | None = EncoderConfig()
    readout_heads: int = 4
    cross_attention: bool = True  # false: the mean of segments in its place
    embedder: EmbedderConfig | None = None

    def __post_init__(self) -> None:
        if self.sample_rate < 1000:
            raise ConfigError(f"sample_rate={self.sample_rate}: must be in Hz, 8000 for instance")
        if self.encoder is None and self.embedder is None:
            raise ConfigError("encoder: null needs an embedder; leave out one of the two nulls")
        if self.encoder is not None and self.encoder.embedding % self.readout_heads:
            raise ConfigError(f"readout_heads={self.readout_heads}: must divide embedding={self.encoder.embedding}")
        if self.encoder is not None and self.embedder is not None and self.embedder.embeddings != 1:
            raise ConfigError(f"embedder.embeddings={self.embedder.embeddings}: must be 1 behind an encoder")

    @property
    def streams(self) -> int:
        """C, the embeddings of a recording."""
        if self.encoder is not None:
            return self.encoder.streams
        return self.embedder.embeddings if self.embedder else 0

    @property
    def embedding(self) -> int:
        """E, the dimensions of an embedding."""
        if self.embedder is not None:
            return self.embedder.embedding
        return self.encoder.embedding if self.encoder else 0

    @property
    def separates(self) -> bool:
        """Whether the streams are audio of their own."""
        return self.encoder is not None

    @property
    def window(self) -> int:
        """Samples of the shortest recording that is heard as it is: one window of the first layer."""
        if self.encoder is not None:
            return self.encoder.filterbank.window
        return int(self.sample_rate * WINDOW_S)


class SpeakerModel(nn.Module):
    """What all kinds of networks are to training and extraction."""

    config: ModelConfig

    def forward(self, mixture: Tensor, lengths: Tensor, guide: Guide | None = None) -> Encoded:
        """mixture (B, T) samples at `config.sample_rate`, lengths (B,) real samples; `guide` in training only."""
        raise NotImplementedError

    def embed(self, query: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """z of a recording: its query (..., E), segments (..., S, E) and their mask (..., S) -> unit (..., E)."""
        raise NotImplementedError


class CscModel(SpeakerModel):
    """Separative encoder and readout: what remains of training, and all that extraction needs."""

    def __init__(self, config: ModelConfig, encoder: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SeparativeEncoder(encoder)
        self.readout = CrossAttention(encoder.embedding, config.readout_heads, not config.cross_attention)

    def forward(self, mixture: Tensor, lengths: Tensor, guide: Guide | None = None) -> Encoded:
        return self.encoder(mixture, lengths, guide)

    def embed(self, query: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        return self.readout(query, segments, mask).vectors


class EmbedderModel(SpeakerModel):
    """An embedder that hears recordings as they are: C embeddings, each a segment of its own.

    A stream has no audio of its own: it is given an equal part of the recording, so that all count as active, or
    nothing where recursive pooling found no talker for it.
    """

    def __init__(self, config: ModelConfig, embedder: EmbedderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedder = Embedder(embedder, config.sample_rate)

    def forward(self, mixture: Tensor, lengths: Tensor, guide: Guide | None = None) -> Encoded:
        embedded = self.embedder.embed(mixture, lengths)
        vectors = functional.normalize(at_least_float32(embedded.vectors), dim=-1)  # (B, C, E)
        real = torch.arange(mixture.shape[1], device=mixture.device) < lengths[:, None]
        share = torch.ones_like(vectors[..., :1])  # (B, C, 1)
        if embedded.existence is not None:
            share = found(embedded.existence)[..., None].to(share.dtype)
        parts = (mixture * real)[:, None] * share / share.sum(1, keepdim=True)
        return as_encoded(parts, torch.zeros_like(mixture), vectors)

    def embed(self, query: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        return mean_vector(segments, mask)


class CascadeModel(SpeakerModel):
    """Separate, then embed: an embedder that hears the streams of a separator."""

    def __init__(self, config: ModelConfig, encoder: EncoderConfig, embedder: EmbedderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SeparativeEncoder(encoder)
        self.embedder = Embedder(embedder, config.sample_rate)

    def forward(self, mixture: Tensor, lengths: Tensor, guide: Guide | None = None) -> Encoded:
        separated = self.encoder(mixture, lengths)
        streams = separated.separated
        vectors = self.embedder(streams.flatten(0, 1), lengths.repeat_interleave(streams.shape[1]))  # (B C, 1, E)
        vectors = functional.normalize(at_least_float32(vectors), dim=-1).view(*streams.shape[:2], -1)
        return as_encoded(streams, separated.noise, vectors)

    def embed(self, query: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        return mean_vector(segments, mask)


def as_encoded(streams: Tensor, noise: Tensor, vectors: Tensor) -> Encoded:
    """Streams (B, C, T) and their unit vectors (B, C, E), each vector being the stream's only segment."""
    mask = torch.ones(len(vectors), 1, dtype=torch.bool, device=vectors.device)
    return Encoded(streams, noise, vectors[:, :, None], mask, vectors)


def mean_vector(segments: Tensor, mask: Tensor) -> Tensor:
    """The mean of the unmasked segments, of unit length: (..., S, E), (..., S) -> (..., E)."""
    return functional.normalize(masked_mean(segments, mask[..., None], -2), dim=-1)


def build(config: ModelConfig) -> SpeakerModel:
    """The network that the settings describe, with random weights."""
    if config.encoder is not None and config.embedder is not None:
        return CascadeModel(config, config.encoder, config.embedder)
    if config.encoder is not None:
        return CscModel(config, config.encoder)
    if config.embedder is not None:
        return EmbedderModel(config, config.embedder)
    raise ConfigError("model: neither an encoder nor an embedder")


def new_model(config: ModelConfig, seed: int) -> SpeakerModel:
    """An untrained model whose weights are a function of the seed; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


def save_model(model: SpeakerModel, directory: str | Path, settings: str) -> None:
    """Write weights and the YAML text `settings`, each whole or not at all."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with open_atomic(Path(directory) / SETTINGS) as stream:
        stream.write(settings)
    with atomic_path(Path(directory) / WEIGHTS) as path:
        save_file(state, path)


def load_model(directory: str | Path, device: str | torch.device = "cpu") -> SpeakerModel:
    """The trained model of a directory, in evaluation mode.

    Raises:
        DataError: a file is missing or damaged, or weights and settings disagree.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    directory = Path(directory)
    for name in (SETTINGS, WEIGHTS):
        if not (directory / name).is_file():
            raise DataError(f"{directory / name}: not found; a model directory is made by 'csc train'")
    model = build(read_model_config(directory / SETTINGS))
    try:
        state = load_file(directory / WEIGHTS)
        model.load_state_dict(state)
    except SafetensorError as error:
        raise DataError(f"{directory / WEIGHTS}: damaged ({error}); copy it again") from error
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DataError(f"{directory / WEIGHTS}: does not fit {SETTINGS}: {reason}") from error
    return model.to(device).eval()


def read_model_config(path: str | Path) -> ModelConfig:
    """The `model` block of a training config, without the rest."""
    import yaml

    try:
        text = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as the settings of a model ({error})") from error
    if not isinstance(text, dict) or "model" not in text:
        raise DataError(f"{path}: has no 'model' block; is this a model directory?")
    return configs.loads(ModelConfig, yaml.safe_dump(text["model"], sort_keys=False), f"{path} (model)")


def pick_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one; anything else is taken at its word.

    Raises:
        ConfigError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device {name}: write auto, cpu, cuda or cuda:n") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: torch sees no GPU here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: this machine has {torch.cuda.device_count()} GPU(s)")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"--device {name}: write auto, cpu, cuda or cuda:n")
    return device
