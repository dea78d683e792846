"""Float wav files whose bytes are a function of their samples: libsndfile puts the time of day into its own."""

from __future__ import annotations

import struct

import numpy as np

from csc_cli.errors import AudioError

IEEE_FLOAT = 3
MOST_BYTES = (1 << 32) - 64


def float_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """The bytes of a mono 32-bit float wav of `samples` (T,) (Multimedia Data Standards Update 3.0, 1994).

    Raises:
        AudioError: more samples than the format can count.
    """
    data = np.asarray(samples, dtype="<f4").tobytes()
    if len(data) > MOST_BYTES:
        raise AudioError(f"{samples.size} samples are more than a float wav can hold; make the mixture shorter")
    form = struct.pack("<HHIIHHH", IEEE_FLOAT, 1, sample_rate, 4 * sample_rate, 4, 32, 0)
    chunks = b"".join(
        struct.pack("<4sI", name, len(content)) + content
        for name, content in ((b"fmt ", form), (b"fact", struct.pack("<I", samples.size)), (b"data", data))
    )
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks
