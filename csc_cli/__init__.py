"""csc: speaker representations learned by separating voices (Contrastive Separative Coding)."""

__version__ = "0.1.0"
