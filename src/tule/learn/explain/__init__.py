"""Attributions over many rows. Row by row: ``Model.explain``."""

from tule.learn.explain.overall import global_explain

__all__ = ["global_explain"]
