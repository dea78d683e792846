"""Speech from the espeak-ng library of the `espeakng-loader` package, in process and repeatable to the byte.

The library keeps hidden state between utterances (flutter, roughness, a variant's speed), even after it is
told to terminate, and seeds its noise from the clock. Here it is loaded anew for each utterance (4 ms) and
its generator is seeded, so an utterance depends on its own arguments alone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli.errors import ConfigError, CscError

SAMPLE_RATE = 22_050
_LONGEST_PATH = 120  # bytes: the library copies the folder's name and what it looks for into 160
_SYNCHRONOUS, _DO_NOT_EXIT, _UTF8, _RATE = 2, 0x8000, 1, 1  # names of espeak-ng's speak_lib.h
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SynthesisError(CscError):
    """The espeak-ng library is missing, or did not do what it was asked for."""


@dataclass(frozen=True)
class Engine:
    """A data folder of espeak-ng's in which own voices can be written; picklable, so processes can share it.

    Not for threads: the library has one state for the whole process.
    """

    folder: Path
    library: str

    def speak(self, text: str, language: str, voice: str, rate: int, seed: int) -> np.ndarray:
        """The text spoken, (T,) int16 at 22,050 Hz.

        Args:
            text: plain UTF-8.
            language: a file of espeak-ng's folder `lang`, such as `gmw/en-US`.
            voice: lines of a voice file that overrule the language's own.
            rate: words a minute, 80 to 450.
            seed: of the noise in breathy voices, 0 <= seed < 2**31.

        Raises:
            SynthesisError: the library cannot be loaded or refuses the voice, or nothing was spoken.
        """
        # The library crashes on a voice of a language that it lacks, so the language's file is read here.
        name = f"p{os.getpid()}"
        voice_file = self.folder / "espeak-ng-data" / "voices" / name
        voice_file.write_text(f"{self._language(language)}\n{voice}", encoding="utf-8")
        with _loaded(self.library) as library:
            self._initialise(library, seed)
            # The file's name reaches no sound; a voice that is not found is reported, a variant would not be.
            if library.espeak_SetVoiceByName(name.encode()) != 0:
                raise SynthesisError(f"espeak-ng refuses the voice:\n{voice}")
            library.espeak_SetParameter(_RATE, rate, 0)
            return self._synthesise(library, text)

    def _language(self, name: str) -> str:
        path = self.folder / "espeak-ng-data" / "lang" / name
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise SynthesisError(f"espeak-ng has no language '{name}' (looked for {path})") from error

    def _initialise(self, library: ctypes.CDLL, seed: int) -> None:
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(self.folder), _DO_NOT_EXIT)
        if rate != SAMPLE_RATE:
            raise SynthesisError(f"espeak-ng does not start with the data in {self.folder} (rate {rate})")
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))

    @staticmethod
    def _synthesise(library: ctypes.CDLL, text: str) -> np.ndarray:
        blocks: list[np.ndarray] = []

        def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
            if samples and count > 0:
                blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 0

        callback = _Callback(receive)
        library.espeak_SetSynthCallback(callback)
        data = text.encode()
        status = library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
        library.espeak_Terminate()
        samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
        if status != 0 or not samples.any():
            raise SynthesisError(f"espeak-ng spoke nothing (status {status}) for the text '{text}'")
        return samples


@contextmanager
def engine() -> Iterator[Engine]:
    """An `Engine` in a temporary folder that is removed at the end.

    Raises:
        SynthesisError: `espeakng-loader` is not installed.
        ConfigError: the folder for temporary files has too long a name for espeak-ng.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        message = "synthetic voices need the espeak-ng library: pip install espeakng-loader"
        raise SynthesisError(message) from error
    folder = Path(tempfile.mkdtemp(prefix="csc-"))
    try:
        if len(os.fsencode(folder)) > _LONGEST_PATH:
            raise ConfigError(f"{folder}: too long a name for espeak-ng; set TMPDIR to a folder with a shorter one")
        data = folder / "espeak-ng-data"
        (data / "voices").mkdir(parents=True)
        for entry in Path(espeakng_loader.get_data_path()).iterdir():
            if entry.name != "voices":
                (data / entry.name).symlink_to(entry)
        yield Engine(folder, espeakng_loader.get_library_path())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _loaded(path: str) -> Iterator[ctypes.CDLL]:
    from _ctypes import dlclose  # ctypes itself cannot unload a library

    if _is_loaded(path):
        raise SynthesisError("other code in this process holds the espeak-ng library; use a process of its own")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise SynthesisError(f"{path}: cannot load the espeak-ng library: {error}") from error
    try:
        yield library
    finally:
        dlclose(library._handle)


def _is_loaded(path: str) -> bool:
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    from _ctypes import dlclose

    dlclose(library._handle)
    return True
