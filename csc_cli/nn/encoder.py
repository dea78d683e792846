"""The multi-task separative encoder: one trunk, a head that separates and a head that embeds.

Wang, Lam, Su, Yu, ICASSP 2021 (arXiv 2103.00816) gives the idea: a shared trunk trained by both
tasks. The form of the heads is ours: the speaker head sees each stream's masked spectrum beside
the trunk's features, and is shared by all streams.

Legend: B mixtures, C streams, T samples, L frames, F bins, D features, S segments of K frames,
E dimensions of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.errors import ConfigError
from csc_cli.nn.baselines.ecapa import SCALE, EcapaTrunk
from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.layers import share_statistics
from csc_cli.nn.chunks import chunk_count, first_frames, join, split
from csc_cli.nn.filterbank import FilterbankConfig, make_filterbank
from csc_cli.nn.galr import GalrBlock, GalrConfig
from csc_cli.nn.masked import masked_mean, statistics
from csc_cli.nn.precision import at_least_float32
from csc_cli.nn.standardise import Standardise

FLOOR = 1e-2  # under the log of magnitudes, relative to the recording's RMS: -40 dB


@dataclass(frozen=True)
class EncoderConfig:
    streams: int = 2  # C, the most talkers that are told apart
    filterbank: FilterbankConfig = FilterbankConfig()
    galr: GalrConfig = GalrConfig()
    trunk_blocks: int = 3
    separation_blocks: int = 1
    speaker_blocks: int = 1
    # How what the sources lack is shared out: evenly, or by their power, which leaves a silent stream silent. They lack
    # nothing where an STFT's masks add up to 1, but all that a learned filterbank does not give back.
    consistency: Literal["even", "power"] = "even"
    # What turns the speaker head's frames into features: `speaker_blocks` GALR blocks, or the frame layers of an
    # ECAPA-TDNN, whose 3 x `speaker_channels` features are pooled as `speaker_statistics` says of its own.
    speaker_network: Literal["galr", "tdnn"] = "galr"
    speaker_channels: int = 128
    speaker_input: Literal["masked", "trunk"] = "masked"  # masked spectrum beside the trunk, or the trunk alone
    speaker_mean_removed: bool = True  # take each bin's mean over the recording from the log masked spectrum
    # Features of a frame whose mean and deviation over a segment are pooled (statistics pooling, as x-vectors have
    # it: Snyder et al. 2018, sec. 2.1); 0: the mean of the D features alone.
    speaker_statistics: int = 0
    embedding: int = 128  # E

    def __post_init__(self) -> None:
        if self.streams < 1:
            raise ConfigError(f"streams={self.streams}: must be at least 1")
        if self.speaker_statistics < 0:
            raise ConfigError(f"speaker_statistics={self.speaker_statistics}: must be at least 0")
        if self.speaker_network == "tdnn":
            if self.speaker_input == "trunk":
                raise ConfigError("speaker_network=tdnn: hears masked spectra; set speaker_input=masked")
            if self.speaker_channels < 1 or self.speaker_channels % SCALE:
                raise ConfigError(f"speaker_channels={self.speaker_channels}: must be a multiple of {SCALE}")
        if self.trunk_blocks < 1 or min(self.separation_blocks, self.speaker_blocks) < 0:
            raise ConfigError("trunk_blocks must be at least 1, the heads' blocks at least 0")


class Encoded(NamedTuple):
    separated: Tensor  # (B, C, T) samples, in the mixture's scale
    noise: Tensor  # (B, T) what no stream took
    segments: Tensor  # (B, C, S, E) bottom-up embeddings
    segment_mask: Tensor  # (B, S) true at segments that hold a real frame
    query: Tensor  # (B, C, E) mean of the real segments


class Guide(NamedTuple):
    """True sources for the speaker head, while the masks are still too poor to embed through."""

    sources: Tensor  # (B, C, T) in the mixture's scale
    guided: Tensor  # (B,) true at mixtures whose speaker head hears the true sources' masks


class Framed(NamedTuple):
    """The trunk's view of a batch, handed to both heads."""

    spectrum: Tensor  # (B, L, F), complex for an STFT
    magnitude: Tensor  # (B, L, F)
    trunk: Tensor  # (B, S, K, D)
    frame_mask: Tensor  # (B, S, K, 1)
    frames: Tensor  # (B, L, 1) true at real frames


class SeparativeEncoder(nn.Module):
    """Waveform -> separated streams and one sequence of embeddings a stream."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        galr, d = config.galr, config.galr.features
        self.filterbank = make_filterbank(config.filterbank)
        bins = self.filterbank.bins
        self.bottleneck = nn.Sequential(nn.Linear(bins, d), nn.LayerNorm(d))
        self.trunk = blocks(galr, config.trunk_blocks)
        self.separation = blocks(galr, config.separation_blocks, config.trunk_blocks)
        self.masks = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, (config.streams + 1) * bins))
        if config.speaker_network == "tdnn":
            self.speaker_tdnn = EcapaTrunk(bins + d, config.speaker_channels)
            pooled = 2 * self.speaker_tdnn.features
        else:
            masked = config.speaker_input == "masked"
            self.speaker_in = nn.Linear(bins + d, d) if masked else nn.Linear(d, config.streams * d)
            self.speaker_norm = nn.LayerNorm(d)
            self.speaker = blocks(galr, config.speaker_blocks, config.trunk_blocks)
            if config.speaker_statistics:
                self.speaker_wide = nn.Linear(d, config.speaker_statistics)
            pooled = 2 * config.speaker_statistics or d
        self.standardise = Standardise(pooled)
        self.speaker_out = nn.Linear(pooled, config.embedding)

    def forward(self, mixture: Tensor, lengths: Tensor, guide: Guide | None = None) -> Encoded:
        """mixture (B, T) samples, lengths (B,) samples that are real; the rest is ignored.

        With a `guide` the speaker head hears the guided mixtures through the masks of their true sources.
        """
        real = torch.arange(mixture.shape[1], device=mixture.device) < lengths[:, None]  # (B, T)
        mixture = mixture * real
        # A recording's level says nothing of its talkers; streams get it back at the end.
        power = mixture.square().sum(1) / lengths.clamp(min=1)
        rms = power.clamp(min=1e-14).sqrt()[:, None]  # clamped first: the gradient of a root at 0 is not finite
        framed = self.frame(mixture / rms, lengths)
        masks = self.mask(framed)  # (B, C + 1, L, F)
        sources = self.synthesise(framed, masks, mixture.shape[1])  # (B, C + 1, T)
        by_power = self.config.consistency == "power"
        sources = consistent(sources * real[:, None], mixture / rms, by_power) * rms[:, None]
        heard = masks[:, :-1]
        if guide is not None:
            ideal = self.ideal_masks(framed, guide.sources * real[:, None] / rms[:, None], mixture / rms)
            heard = torch.where(guide.guided[:, None, None, None], ideal, heard)
        segments, query = self.embed(framed, heard)
        return Encoded(sources[:, :-1], sources[:, -1], segments, framed.frame_mask.any(2).squeeze(-1), query)

    def frame(self, x: Tensor, lengths: Tensor) -> Framed:
        """The filterbank, the bottleneck and the shared blocks."""
        galr = self.config.galr
        spectrum = self.filterbank.analyse(x)
        magnitude = self.filterbank.magnitude(spectrum)
        counts = self.filterbank.frame_count(lengths)
        frames = (torch.arange(magnitude.shape[1], device=x.device) < counts[:, None])[..., None]  # (B, L, 1)
        features = self.bottleneck(torch.log(magnitude + FLOOR)) * frames
        trunk = split(features, galr.chunk, galr.chunk_hop)
        frame_mask = split(frames.to(features.dtype), galr.chunk, galr.chunk_hop) > 0
        for block in self.trunk:
            trunk = block(trunk, frame_mask)
        return Framed(spectrum, magnitude, trunk, frame_mask, frames)

    def mask(self, framed: Framed) -> Tensor:
        """Masks (B, C + 1, L, F) of the streams and of the noise, which add up to 1."""
        x = framed.trunk
        for block in self.separation:
            x = block(x, framed.frame_mask)
        x = join(x, self.config.galr.chunk_hop, framed.magnitude.shape[1])  # (B, L, D)
        logits = self.masks(x).unflatten(-1, (self.config.streams + 1, -1))  # (B, L, C + 1, F)
        return at_least_float32(logits).softmax(2).transpose(1, 2)

    def ideal_masks(self, framed: Framed, sources: Tensor, mixture: Tensor) -> Tensor:
        """Ideal ratio masks (B, C, L, F) of the true sources (B, C, T), what is left over being noise."""
        parts = torch.cat([sources, (mixture - sources.sum(1))[:, None]], 1)
        magnitude = self.filterbank.magnitude(self.filterbank.analyse(parts.flatten(0, 1)))
        magnitude = magnitude.unflatten(0, parts.shape[:2])  # (B, C + 1, L, F)
        # A learned filter may answer none of the parts.
        return magnitude[:, :-1] / magnitude.sum(1, keepdim=True).clamp(min=1e-6)

    def synthesise(self, framed: Framed, masks: Tensor, length: int) -> Tensor:
        """Masked spectra back to samples: (B, C + 1, L, F) -> (B, C + 1, T)."""
        masked = (masks * (framed.spectrum * framed.frames)[:, None]).flatten(0, 1)
        return self.filterbank.synthesise(masked, length).unflatten(0, masks.shape[:2])

    def embed(self, framed: Framed, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The speaker head: masks (B, C, L, F) -> segments (B, C, S, E), query (B, C, E)."""
        frame_mask = framed.frame_mask.repeat_interleave(masks.shape[1], 0)  # (B C, S, K, 1)
        if self.config.speaker_network == "tdnn":
            pooled = statistics(at_least_float32(self.convolve(framed, self.masked(framed, masks))), frame_mask)
        else:
            pooled = self.pool(self.recur(framed, masks, frame_mask), frame_mask)
        x = pooled.unflatten(0, masks.shape[:2])  # (B, C, S, pooled features)
        segment_mask = framed.frame_mask.any(2)[:, None]  # (B, 1, S, 1)
        segments = at_least_float32(self.speaker_out(self.standardise(x, segment_mask))) * segment_mask
        return segments, masked_mean(segments, segment_mask, 2)

    def masked(self, framed: Framed, masks: Tensor) -> Tensor:
        """What the masks (B, C, L, F) let through, log, beside the trunk's features: (B, C, L, F + D)."""
        trunk = join(framed.trunk, self.config.galr.chunk_hop, masks.shape[2])  # (B, L, D)
        heard = torch.log(masks * framed.magnitude[:, None] + FLOOR)  # (B, C, L, F)
        if self.config.speaker_mean_removed:
            # A fixed channel is a constant in the log spectrum: it says nothing of the talker.
            heard = heard - masked_mean(heard, framed.frames[:, None], 2)[:, :, None]
        return torch.cat([heard, trunk[:, None].expand(-1, masks.shape[1], -1, -1)], -1)

    def recur(self, framed: Framed, masks: Tensor, frame_mask: Tensor) -> Tensor:
        """GALR blocks: masks (B, C, L, F) -> frames (B C, S, K, D)."""
        galr, streams = self.config.galr, masks.shape[1]
        if self.config.speaker_input == "trunk":
            x = self.speaker_in(framed.trunk).unflatten(-1, (streams, -1)).movedim(-2, 1)  # (B, C, S, K, D)
        else:
            x = self.speaker_in(self.masked(framed, masks))
            x = split((x * framed.frames[:, None]).flatten(0, 1), galr.chunk, galr.chunk_hop)
            x = x.unflatten(0, masks.shape[:2])
        x = self.speaker_norm(x).flatten(0, 1) * frame_mask
        for block in self.speaker:
            x = block(x, frame_mask)
        return x

    def convolve(self, framed: Framed, heard: Tensor) -> Tensor:
        """Frame layers of an ECAPA-TDNN: (B, C, L, F + D) -> frames (B C, S, K, features)."""
        real = framed.frames.repeat_interleave(heard.shape[1], 0)  # (B C, L, 1)
        frames = Frames(real.sum((1, 2)), None if bool(real.all()) else real.mT)
        x = self.speaker_tdnn(heard.flatten(0, 1).mT, frames).mT * real
        return split(x, self.config.galr.chunk, self.config.galr.chunk_hop)

    def pool(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Frames to segments: (B C, S, K, D), (B C, S, K, 1) -> (B C, S, pooled features)."""
        if not self.config.speaker_statistics:
            return masked_mean(at_least_float32(x), frame_mask, 2)
        return statistics(at_least_float32(functional.relu(self.speaker_wide(x))), frame_mask)

    def share_statistics(self, total: Callable[[Tensor], Tensor]) -> None:
        """Let normalisation over the batch sum its statistics by `total`: over all processes, with gradient."""
        self.standardise.total = total
        if self.config.speaker_network == "tdnn":
            share_statistics(self.speaker_tdnn, total)


def blocks(galr: GalrConfig, count: int, first: int = 0) -> nn.ModuleList:
    """A stack of `count` blocks that begins at depth `first`."""
    return nn.ModuleList(GalrBlock(galr, first + index) for index in range(count))


def consistent(sources: Tensor, mixture: Tensor, by_power: bool = False) -> Tensor:
    """Mixture consistency (Wisdom et al. 2019, eq. 3; weights as they propose): share out what the sources lack.

    Args:
        sources: (B, C + 1, T), the last one the noise; mixture: (B, T); both zeros where there is padding.
        by_power: each source's share is that of its energy over the recording, in place of an equal one.

    Returns:
        (B, C + 1, T) whose sum over the streams is the mixture.
    """
    lacking = (mixture - sources.sum(1))[:, None]
    if not by_power:
        return sources + lacking / sources.shape[1]
    energy = sources.square().sum(-1, keepdim=True) + 1e-8  # of silence, which is shared out evenly
    return sources + lacking * (energy / energy.sum(1, keepdim=True))


def segment_count(encoder: SeparativeEncoder, samples: Tensor) -> Tensor:
    """Segments S that recordings of `samples` (B,) samples give."""
    galr = encoder.config.galr
    return chunk_count(encoder.filterbank.frame_count(samples), galr.chunk, galr.chunk_hop)


def segment_spans(config: EncoderConfig, count: int) -> list[tuple[int, int]]:
    """(start, end) in samples of the frames that each of a recording's `count` segments holds.

    The first and the last may reach beyond the recording, into zeros. What a segment knows comes from the whole
    recording; these are the frames that it stands for.
    """
    bank, galr = config.filterbank, config.galr
    starts = [frame * bank.hop - (bank.window - bank.hop) for frame in first_frames(count, galr.chunk, galr.chunk_hop)]
    return [(start, start + (galr.chunk - 1) * bank.hop + bank.window) for start in starts]
