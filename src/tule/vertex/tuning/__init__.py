"""Hyperparameter tuning: Vizier's studies and trials, which clients run, and tuning jobs, whose trials run here."""

from tule.vertex.tuning.jobs import TuningJobs, TuningTask
from tule.vertex.tuning.studies import Studies
from tule.vertex.tuning.trials import Trials

__all__ = ["Studies", "Trials", "TuningJobs", "TuningTask"]
