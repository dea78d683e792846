"""Signal processing that torchaudio gives; the only module that imports it.

torch and torchaudio are loaded on the first call, so importing this module costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

# A Kaiser window of 64 zero crossings: flat within 0.01 dB to 0.9 of the lower Nyquist frequency.
FILTER: dict[str, Any] = {
    "resampling_method": "sinc_interp_kaiser",
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "beta": 14.769656459379492,
}


@lru_cache(maxsize=1)
def torchaudio() -> ModuleType:
    """The torchaudio package, also beside a torch that its compiled extension was not built for.

    torchaudio 2.11, the last line, is built for CUDA and cannot load its extension beside a CPU
    build of torch. It has a path of its own without the extension, which is all that csc needs;
    this takes it. Can go when a torchaudio imports beside every torch.
    """
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError:
        raise
    except (OSError, RuntimeError, ImportError):
        utils = sys.modules["torchaudio._extension.utils"]
        utils._load_lib = lambda *_args, **_kwargs: False  # type: ignore[attr-defined]
        return importlib.import_module("torchaudio")


@lru_cache(maxsize=32)
def _resampler(from_hz: int, to_hz: int) -> Any:
    transforms = importlib.import_module(torchaudio().__name__ + ".transforms")
    return transforms.Resample(from_hz, to_hz, **FILTER)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Band-limited resampling of `samples` (..., T) to float32 (..., `resampled_length(T)`).

    Frequencies above 0.95 of the lower Nyquist frequency are removed; the delay is zero.
    """
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if from_hz == to_hz:
        return samples
    import torch

    with torch.inference_mode():
        return _resampler(from_hz, to_hz)(torch.from_numpy(samples.copy())).numpy()


def resampled_length(length: int, from_hz: int, to_hz: int) -> int:
    """The number of samples that `resample` makes of `length` samples.

    >>> resampled_length(44101, 44100, 8000)
    8001
    """
    return -(-length * to_hz // from_hz)
