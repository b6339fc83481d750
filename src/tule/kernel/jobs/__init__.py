"""Durable processes: what to run, how it ended, and the port behind which it runs."""

from tule.kernel.jobs.jobs import Job, Jobs, JobState
from tule.kernel.jobs.runner import Runner, Stream
from tule.kernel.jobs.spec import Exit, JobSpec, Reason, State

__all__ = ["Exit", "Job", "JobSpec", "JobState", "Jobs", "Reason", "Runner", "State", "Stream"]
