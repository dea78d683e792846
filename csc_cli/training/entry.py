"""The entry of `csc train`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from csc_cli import config as configs
from csc_cli.errors import CscError, DataError, some
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.model import pick_device
from csc_cli.training import distributed
from csc_cli.training.config import TrainConfig
from csc_cli.training.device import keep_memory
from csc_cli.training.examples import Draw
from csc_cli.training.initial import Initial
from csc_cli.training.space import explained_if_disk_full
from csc_cli.training.trainer import Trainer


def other_speakers(dev: DataDir, data: DataDir) -> DataDir:
    """The development data, whose speakers are not trained on.

    Raises:
        DataError: some are.
    """
    common = sorted(dev.spk2utt.keys() & data.spk2utt.keys())
    if common:
        raise DataError(
            f"--dev {dev.path}: speakers {some(common)} are trained on, too; take them out of one of the two"
        )
    return dev


def train_model(
    conf: Path,
    data_dir: Path,
    directory: Path,
    overrides: tuple[str, ...] = (),
    device: str = "auto",
    nj: int = 1,
    workers: int = 0,
    initial: Sequence[Initial] = (),
    dev_dir: Path | None = None,
    on_checkpoint: Callable[[Path], None] = lambda directory: None,
    draw: Draw | None = None,
) -> str:
    """Train as the config file says, on `nj` local processes; the entry of `csc train`.

    Args:
        initial: models, or parts of them, whose weights it begins from.
        dev_dir: a data directory of other speakers, whose EER is measured as training goes on.
        draw: makes pictures of held-out mixtures for TensorBoard.

    Returns:
        A line about what was done.

    Raises:
        CscError: the settings or the data are unfit; a loss is not finite; the run was interrupted.
    """
    config = configs.load(TrainConfig, conf, overrides)
    config = replace(config, initial=tuple(model.digest(config.model.sample_rate) for model in initial))
    data, chosen = DataDir.load(data_dir), pick_device(device)
    dev = other_speakers(DataDir.load(dev_dir), data) if dev_dir else None
    keep_memory()
    others = distributed.launch(nj)
    try:
        with explained_if_disk_full(directory):
            return Trainer(config, data, directory, chosen, workers, initial, dev, draw).run(on_checkpoint)
    except RuntimeError as error:
        if distributed.world() > 1 and any(other.poll() for other in others):
            raise CscError("another process of this training ended early; its message stands above") from error
        raise
    finally:
        distributed.stop()
        for other in others:
            other.wait(timeout=60)
