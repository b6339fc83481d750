"""Docker or Podman on this machine: images of one's own as processes, by their command line."""

from tule.engines.docker.engine import ContainerEngine, Order

__all__ = ["ContainerEngine", "Order"]
