"""MLflow's tracking protocol over Vertex AI's experiments: what its client writes is seen by both."""

from tule.vertex.mlflow.artifacts import Artifacts
from tule.vertex.mlflow.experiments import Experiments
from tule.vertex.mlflow.logged import LoggedModels
from tule.vertex.mlflow.runs import Runs

__all__ = ["Artifacts", "Experiments", "LoggedModels", "Runs"]
