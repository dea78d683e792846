"""Source audio in memory: decoded once, kept up to a limit, with where its speech is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from csc_cli.errors import AudioError, DataError
from csc_cli.kaldi.audio import read_audio, read_part
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures.activity import active_range, activity, frame_length
from csc_cli.mixtures.known import KnownSpeech
from csc_cli.mixtures.surroundings import Surroundings

STARTS_BYTES = 1 << 26
Key = tuple[str, float]


def detector(data: DataDir, activity: str | None) -> VadTable | None:
    """What the setting `activity` of mixtures asks for. Raises DataError where vad.scp is not there."""
    return VadTable.of(data) if activity else None


class AudioStore:
    """Utterances of a data directory as samples at one rate.

    Args:
        utterances: a `DataDir` or any utterances.
        sample_rate: Hz; recordings of another rate are resampled.
        max_bytes: decoded audio kept in memory (least recently used goes first). The activity of each
            utterance seen is kept besides (a byte for 10 ms).
        vad: says where speech is; None: csc's own detector does.
        resample: whether recordings of another rate are resampled or refused.
        surroundings: where noises and impulse responses are.
        known: where speech is, measured before; what it lacks is measured.
    """

    def __init__(
        self, utterances: DataDir | Iterable[Utterance], sample_rate: int, max_bytes: int = 1 << 30,
        vad: VadTable | None = None, resample: bool = True, surroundings: Surroundings | None = None,
        known: KnownSpeech | None = None,
    ) -> None:  # fmt: skip
        source = utterances.utterances if isinstance(utterances, DataDir) else utterances
        self._utterances = {utterance.id: utterance for utterance in source}
        self.sample_rate = sample_rate
        self.max_bytes = max_bytes
        self.vad = vad
        self.resample = resample
        self.surroundings = surroundings or Surroundings()
        self.known = known
        self._bytes = 0
        self._samples: OrderedDict[Key, np.ndarray] = OrderedDict()
        self._speech: dict[Key, np.ndarray] = {}
        self._ranges: dict[Key, tuple[int, int]] = {}
        self._starts: OrderedDict[tuple[str, float, int], np.ndarray] = OrderedDict()
        self._starts_bytes = 0

    def utterance(self, name: str) -> Utterance:
        """The utterance of this id. Raises DataError where there is none."""
        found = self._utterances.get(name)
        if found is None:
            raise DataError(f"no utterance '{name}' in the data directory; give the one that the mixture names")
        return found

    def samples(self, utterance: str, speed: float = 1.0) -> np.ndarray:
        """The utterance's samples, (T,) float32, read-only; `speed` 1.1 shortens it by 1.1.

        Raises:
            DataError: an unknown utterance. AudioError: a recording that cannot be read.
        """
        key = (utterance, speed)
        found = self._found(key)
        if found is not None:
            return found
        samples, _ = read_audio(self.utterance(utterance), self.sample_rate, resample=self.resample)
        if speed != 1.0:
            samples = _change_speed(samples, speed)
        return self._keep(key, samples)

    def part(self, utterance: str, start: int, end: int, speed: float = 1.0) -> np.ndarray:
        """`samples(utterance, speed)[start:end]`; of a recording that is not in memory only these are decoded.

        They are not kept: random parts are hardly asked for again, and would drive out whole utterances. Half of an
        utterance and more is worth keeping it whole.

        Raises:
            As `samples`.
        """
        key = (utterance, speed)
        whole = self._found(key)
        if whole is not None:
            return whole[start:end]
        known = self._speech.get(key)
        mostly = known is not None and 2 * (end - start) >= known.size * frame_length(self.sample_rate)
        if speed == 1.0 and not mostly:
            found = read_part(self.utterance(utterance), self.sample_rate, start, end)
            if found is not None:
                found.flags.writeable = False
                return found
        return self.samples(utterance, speed)[start:end]

    def speech(self, utterance: str, speed: float = 1.0) -> np.ndarray:
        """Which 10 ms frames of the utterance are active, (frames,) bool.

        Raises:
            AudioError: no frame is; and as `samples`.
        """
        key = (utterance, speed)
        active = self._speech.get(key)
        if active is None:
            known = self.known.get(utterance) if self.known and speed == 1.0 else None
            active = self.decided(utterance, speed) if known is None else known.active
            if not active.any():
                why = "all samples are zero" if self.vad is None else f"{self.vad.scp} has no voiced frame of it"
                raise AudioError(f"utterance '{utterance}' is silent: {why}; leave it out")
            self._speech[key] = active
        return active

    def length(self, utterance: str, speed: float = 1.0) -> int:
        """Samples of the utterance; errors as `samples`."""
        known = self.known.get(utterance) if self.known and speed == 1.0 else None
        return self.samples(utterance, speed).size if known is None else known.samples

    def decided(self, utterance: str, speed: float = 1.0) -> np.ndarray:
        """As `speech`, from the audio; nowhere true in silence.

        By the decisions of `vad`, a frame is active if its centre is in a voiced stretch.
        """
        if self.vad is None:
            return activity(self.samples(utterance, speed), self.sample_rate)
        frame = frame_length(self.sample_rate)
        frames = -(-self.samples(utterance, speed).size // frame)
        centres_s = (np.arange(frames) + 0.5) * frame / self.sample_rate * speed
        edges_s = self.vad.ranges(self._utterances[utterance]).ravel()
        return np.searchsorted(edges_s, centres_s, side="right") % 2 == 1

    def active_range(self, utterance: str, speed: float = 1.0) -> tuple[int, int]:
        """(start, end) in samples of the utterance without the silence at its ends; whole 10 ms frames."""
        key = (utterance, speed)
        found = self._ranges.get(key)
        if found is None:
            active = self.speech(utterance, speed)
            first, last = active_range(active)
            frame = frame_length(self.sample_rate)
            end = last * frame
            if last == active.size:
                end = min(end, self.length(utterance, speed))
            found = self._ranges[key] = first * frame, end
        return found

    def crop_starts(self, utterance: str, frames: int, speed: float = 1.0) -> np.ndarray:
        """Where a stretch of so many frames may begin, in frames from the beginning of the utterance's speech.

        At least half of it is active wherever the utterance has such a stretch, else as much as it has.
        """
        key = (utterance, speed, frames)
        found = self._starts.get(key)
        if found is not None:
            self._starts.move_to_end(key)
            return found
        first, _ = self.active_range(utterance, speed)
        active = self.speech(utterance, speed)[first // frame_length(self.sample_rate) :]
        counts = np.concatenate(([0], np.cumsum(active)))
        counts = counts[frames:] - counts[:-frames]  # active frames from each first frame on
        found = np.flatnonzero(counts >= min(frames / 2 + 1, counts.max())).astype(np.int32)
        self._starts[key] = found
        self._starts_bytes += found.nbytes
        while self._starts_bytes > STARTS_BYTES:
            self._starts_bytes -= self._starts.popitem(last=False)[1].nbytes
        return found

    def _found(self, key: Key) -> np.ndarray | None:
        found = self._samples.get(key)
        if found is not None:
            self._samples.move_to_end(key)
        return found

    def _keep(self, key: Key, samples: np.ndarray) -> np.ndarray:
        samples.flags.writeable = False
        self._samples[key] = samples
        self._bytes += samples.nbytes
        while self._bytes > self.max_bytes and len(self._samples) > 1:
            _, dropped = self._samples.popitem(last=False)
            self._bytes -= dropped.nbytes
        return samples


def _change_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    from csc_cli.dsp import resample  # loads torch

    ratio = Fraction(speed).limit_denominator(100)
    return np.ascontiguousarray(resample(samples, ratio.numerator, ratio.denominator), dtype=np.float32)
