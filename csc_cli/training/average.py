"""The mean of several models of one shape: often a little better than the best of them.

Polyak & Juditsky 1992 average the iterates of a stochastic descent; over the last checkpoints of a training it
is a habit of speech recognition (Vaswani et al. 2017, sec. 6.1). Running statistics are averaged alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from csc_cli.errors import ConfigError, DataError
from csc_cli.nn.model import SETTINGS, SpeakerModel, load_model, save_model
from csc_cli.training import checkpoint

State = dict[str, Tensor]


def average_models(sources: Sequence[Path], out: Path, last: int | None = None) -> str:
    """Write the model directory `out` whose weights are the mean of the sources'; the entry of `csc average`.

    Args:
        sources: model directories; with `last` a single one, whose newest `last` checkpoints are averaged.

    Returns:
        A line about what was written.

    Raises:
        ConfigError: the models are not of one shape, or there are too few.
        DataError: one cannot be read; `out` is one of the sources.
    """
    if out.exists() and any(out.samefile(source) for source in sources):
        raise DataError(f"{out}: would be written over one of its sources; give another folder")
    model = load_model(sources[0])
    if last is not None:
        if len(sources) != 1:
            raise ConfigError(f"--last {last}: takes one model directory, not {len(sources)}")
        names, states = _checkpoints(sources[0], last)
    else:
        if len(sources) < 2:
            raise ConfigError(f"{sources[0]}: one model has no mean; give several, or --last N for its checkpoints")
        names, states = [str(source) for source in sources], _models(sources)
    model.load_state_dict(mean_state(model, names, states))
    save_model(model, out, (sources[0] / SETTINGS).read_text(encoding="utf-8"))
    return f"mean of {len(names)} models ({', '.join(names)}) -> {out}"


def mean_state(model: SpeakerModel, names: Sequence[str], states: Iterable[State]) -> State:
    """The mean of each tensor, summed in float64; counters are the last one's.

    Raises:
        ConfigError: a model has other tensors than `model`.
    """
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    total: State = {}
    for name, state in zip(names, states, strict=True):
        if {key: tensor.shape for key, tensor in state.items()} != shapes:
            raise ConfigError(f"{name}: is not of the shape of {names[0]}; average models of the same settings")
        for key, tensor in state.items():
            exact = tensor.double() if tensor.is_floating_point() else tensor
            total[key] = total[key] + exact if key in total and tensor.is_floating_point() else exact
    return {key: tensor / len(names) if tensor.is_floating_point() else tensor for key, tensor in total.items()}


def _models(sources: Sequence[Path]) -> Iterator[State]:
    settings = load_model(sources[0]).config
    for source in sources:
        model = load_model(source)
        if model.config != settings:
            raise ConfigError(f"{source}: has other settings than {sources[0]}; average models of the same settings")
        yield model.state_dict()


def _checkpoints(directory: Path, last: int) -> tuple[list[str], Iterable[State]]:
    """Names and weights of the newest checkpoints of a training."""
    folder = directory / "checkpoints"
    steps = checkpoint.steps(folder)[-last:]
    if len(steps) < last:
        raise ConfigError(
            f"{folder}: holds {len(steps)} checkpoints, --last {last} asks for more; train with tracking.kept={last}"
        )
    paths = [checkpoint.path_of(folder, step) for step in steps]
    return [path.stem for path in paths], map(_weights, paths)


def _weights(path: Path) -> State:
    learner = checkpoint.read(path)["learner"]
    return {key.removeprefix("model."): tensor for key, tensor in learner.items() if key.startswith("model.")}
