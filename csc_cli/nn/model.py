"""The model as a whole, and the directory that holds it.

A model directory is portable: `model.safetensors` (tensors), `config.yaml` (complete settings),
no pickle, no absolute path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from csc_cli import config as configs
from csc_cli.errors import ConfigError, DataError
from csc_cli.files import atomic_path, open_atomic
from csc_cli.nn.attention import CrossAttention
from csc_cli.nn.encoder import Encoded, EncoderConfig, Guide, SeparativeEncoder

WEIGHTS, SETTINGS = "model.safetensors", "config.yaml"


@dataclass(frozen=True)
class ModelConfig:
    sample_rate: int  # Hz
    encoder: EncoderConfig = EncoderConfig()
    readout_heads: int = 4
    cross_attention: bool = True  # false: the mean of segments in its place

    def __post_init__(self) -> None:
        if self.sample_rate < 1000:
            raise ConfigError(f"sample_rate={self.sample_rate}: must be in Hz, 8000 for instance")
        if self.encoder.embedding % self.readout_heads:
            raise ConfigError(f"readout_heads={self.readout_heads}: must divide embedding={self.encoder.embedding}")


class CscModel(nn.Module):
    """Separative encoder and readout: what remains of training, and all that extraction needs."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SeparativeEncoder(config.encoder)
        self.readout = CrossAttention(config.encoder.embedding, config.readout_heads, not config.cross_attention)

    def forward(self, mixture: Tensor, lengths: Tensor, guide: Guide | None = None) -> Encoded:
        """mixture (B, T) samples at `config.sample_rate`, lengths (B,) real samples; `guide` in training only."""
        return self.encoder(mixture, lengths, guide)

    def embed(self, query: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """z: one recording attends to its own segments; (..., E), (..., S, E), (..., S) -> unit (..., E)."""
        return self.readout(query, segments, mask).vectors


def new_model(config: ModelConfig, seed: int) -> CscModel:
    """An untrained model whose weights are a function of the seed; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CscModel(config)


def save_model(model: CscModel, directory: str | Path, settings: str) -> None:
    """Write weights and the YAML text `settings`, each whole or not at all."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with open_atomic(Path(directory) / SETTINGS) as stream:
        stream.write(settings)
    with atomic_path(Path(directory) / WEIGHTS) as path:
        save_file(state, path)


def load_model(directory: str | Path, device: str | torch.device = "cpu") -> CscModel:
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
    model = CscModel(read_model_config(directory / SETTINGS))
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
