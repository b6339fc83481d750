"""Processes on this machine, each under a launcher that holds its limits and sees its end."""

from tule.engines.local.adapter import LocalRunner

__all__ = ["LocalRunner"]
