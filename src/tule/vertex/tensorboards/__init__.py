"""TensorBoards: what training runs report over time, as Vertex AI keeps it."""

from tule.vertex.tensorboards.blobs import Blobs
from tule.vertex.tensorboards.series import SeriesData
from tule.vertex.tensorboards.tensorboards import Tensorboards

__all__ = ["Blobs", "SeriesData", "Tensorboards"]
