"""Training: custom jobs, training pipelines and persistent resources, run as processes of this machine."""

from tule.vertex.training.capacity import Capacity
from tule.vertex.training.custom_jobs import FINAL, CustomJobs
from tule.vertex.training.logs import JobLogs
from tule.vertex.training.machines import Resources, this_machine
from tule.vertex.training.pipelines import CustomTask, Task, TrainingPipelines
from tule.vertex.training.resources import PersistentResources
from tule.vertex.training.specs import spec_fields

__all__ = [
    "FINAL",
    "Capacity",
    "CustomJobs",
    "CustomTask",
    "JobLogs",
    "PersistentResources",
    "Resources",
    "Task",
    "TrainingPipelines",
    "spec_fields",
    "this_machine",
]
