"""Random voices for espeak-ng: what stays the same in everything that one synthetic speaker says.

The distributions are ours. Pitch alone must not tell speakers apart, so base pitches lie close together
(a standard deviation of about four semitones) while one speaker's utterances vary by up to ±15 %. What
does tell them apart is the vocal tract (formant frequencies, strengths and widths), the glottal tone, breath,
roughness, the strength of consonants, the way of stressing, and the accent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Language files of espeak-ng: accents of English, and other languages' letter-to-sound rules for a foreign accent.
ACCENTS = (
    *("gmw/en", "gmw/en-US", "gmw/en-GB-scotland", "gmw/en-GB-x-rp", "gmw/en-GB-x-gbclan", "gmw/en-GB-x-gbcwmd"),
    *("gmw/en-US-nyc", "gmw/en-029", "gmw/de", "gmw/nl", "gmq/sv", "gmq/da", "roa/es", "roa/it", "roa/pt-BR"),
    *("roa/fr", "roa/ro", "roa/ca", "zlw/pl", "zlw/cs", "poz/id", "trk/tr", "urj/fi", "urj/hu"),
)
_FORMANTS = 6  # 0 to 5: those above lie beyond 4 kHz
_MEDIAN_PITCH_HZ = 105.0


@dataclass(frozen=True)
class Voice:
    """One speaker. Percentages are of espeak-ng's own voice; pitch in Hz, rate in words a minute."""

    accent: str
    pitch_hz: float
    pitch_span: float  # highest over lowest pitch of the intonation
    rate: float
    formants: tuple[tuple[float, float, float], ...]  # (frequency %, strength %, width %) of formants 0, 1, ...
    tone: tuple[tuple[int, int], ...]  # (frequency Hz, amplitude 0 to 255) of voiced sounds
    breath: tuple[int, ...]  # noise at formants 1 to 8
    roughness: int  # 0 to 7: every n-th glottal cycle is weaker
    flutter: int
    voicing: int  # %
    consonants: tuple[int, int]  # %, unvoiced and voiced
    intonation: int  # 1 to 4
    stress: tuple[int, ...]  # added to the lengths of vowels by their stress


def draw_voice(rng: np.random.Generator) -> Voice:
    """A random speaker, all from `rng`."""
    tract = np.exp(rng.normal(0.0, 0.07))  # vocal tract length, common to all formants
    own = np.exp(rng.normal(0.0, 0.05, _FORMANTS))
    strengths = 100 * 10 ** (rng.uniform(-4.0, 4.0, _FORMANTS) / 20)
    widths = 100 * np.exp(rng.uniform(-0.4, 0.5, _FORMANTS))
    breathy = rng.random() < 0.5
    return Voice(
        accent=ACCENTS[rng.integers(len(ACCENTS))],
        pitch_hz=float(np.clip(_MEDIAN_PITCH_HZ * np.exp(rng.normal(0.0, 0.24)), 65.0, 200.0)),
        pitch_span=float(rng.uniform(1.2, 1.8)),
        rate=float(rng.uniform(150, 205)),
        formants=tuple(zip((100 * tract * own).tolist(), strengths.tolist(), widths.tolist())),
        tone=_draw_tone(rng),
        breath=tuple(int(n) for n in rng.integers(0, 9, 8)) if breathy else (0,) * 8,
        roughness=int(rng.integers(0, 8)),
        flutter=int(rng.integers(0, 9)),
        voicing=int(rng.integers(75, 131)),
        consonants=(int(rng.integers(60, 151)), int(rng.integers(60, 151))),
        intonation=int(rng.integers(1, 5)),
        stress=tuple(int(n) for n in rng.integers(-25, 26, 8)),
    )


def voice_lines(voice: Voice, pitch_factor: float) -> str:
    """What an espeak-ng voice file says of the voice beside its accent; the pitch is raised by `pitch_factor`.

    espeak-ng's formants do not follow the pitch, so a speaker who raises the voice keeps the vocal tract.
    """
    pitch = voice.pitch_hz * pitch_factor
    lines = ["speed 100", f"pitch {round(pitch)} {round(pitch * voice.pitch_span)}"]
    for number, (frequency, strength, width) in enumerate(voice.formants):
        lines.append(f"formant {number} {round(frequency)} {round(strength)} {round(width)}")
    lines += [
        "tone " + " ".join(f"{frequency} {amplitude}" for frequency, amplitude in voice.tone),
        "breath " + " ".join(map(str, voice.breath)),
        f"roughness {voice.roughness}",
        f"flutter {voice.flutter}",
        f"voicing {voice.voicing}",
        "consonants {} {}".format(*voice.consonants),
        f"intonation {voice.intonation}",
        "stressAdd " + " ".join(map(str, voice.stress)),
    ]
    return "\n".join(lines) + "\n"


def _draw_tone(rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    tilt_db = rng.uniform(-4.0, 3.0)  # an octave, from 500 Hz on
    points = []
    for frequency in (500, 1000, 2000, 3500):
        level_db = tilt_db * np.log2(frequency / 500) + rng.uniform(-3.0, 3.0)
        points.append((frequency, int(np.clip(150 * 10 ** (level_db / 20), 15, 255))))
    return tuple(points)
