"""Schedules: pipeline jobs by the calendar."""

from tule.vertex.schedules.schedules import Schedules

__all__ = ["Schedules"]
