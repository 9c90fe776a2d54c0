"""Encoders that run without padding, in place of transformers' own code for the same weights."""

from rebridge.scorers.encoders.packed import Encoder, packed

__all__ = ["Encoder", "packed"]
