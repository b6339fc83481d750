"""Training: custom jobs, training pipelines and persistent resources, run as processes of this machine."""

from tule.vertex.training.capacity import Capacity
from tule.vertex.training.custom_jobs import FINAL, CustomJobs
from tule.vertex.training.machines import Resources, this_machine

__all__ = ["FINAL", "Capacity", "CustomJobs", "Resources", "this_machine"]
