"""Peak memory of a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from csc_cli.errors import CscError
from csc_cli.extraction.memory import Memory, inference_memory
from csc_cli.nn.model import read_model_config
from csc_cli.parallel import in_fresh_process

ALLOCATE = """
import numpy, sys
from csc_cli.extraction.memory import peak_while
memory = peak_while(lambda: numpy.ones(int(sys.argv[1]) << 17).sum(), "cpu")
print(memory.peak - memory.loaded)
"""


def test_what_is_allocated_is_seen():
    # The test's own process is large, and a peak must not be handed down from it.
    run = subprocess.run([sys.executable, "-c", ALLOCATE, "200"], capture_output=True, text=True, check=True)
    assert 190 << 20 < int(run.stdout) < 230 << 20


def test_a_process_of_its_own():
    assert in_fresh_process(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        in_fresh_process(int, "x")
    with pytest.raises(CscError, match="was killed, perhaps for memory"):
        in_fresh_process(os._exit, 9)


def test_of_a_longer_recording_is_more(make_model_dir):
    config = read_model_config(make_model_dir() / "config.yaml")
    short, long = (inference_memory(config, seconds) for seconds in (1, 240))
    assert short.device == "cpu" and 0 < short.loaded <= short.peak < short.loaded + (40 << 20)
    # The samples of 240 s, as float32, of the mixture, two streams and the noise, and twice that of overlapping frames.
    assert long.peak - long.loaded > 12 * 4 * 240 * 8000 > 4 * (short.peak - short.loaded)


def test_facts_are_plain_values():
    assert Memory(3, 5, "cpu").facts("x") == {"of": "x", "loaded_bytes": 3, "peak_bytes": 5, "device": "cpu"}
