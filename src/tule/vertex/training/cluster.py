"""The variables by which the replicas of a job find each other.

CLUSTER_SPEC is Google's own, TF_CONFIG TensorFlow's, MASTER_ADDR and so on are those of PyTorch's rendezvous
(https://cloud.google.com/vertex-ai/docs/training/distributed-training). Replicas run on one machine, so that each has a
port of its own.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from tule.vertex.training.specs import ROLES, Replica

HOST = "127.0.0.1"
# Pools whose replicas take part in a collective of PyTorch's: the primary one and the workers.
_COLLECTIVE = (0, 1)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def variables(
    replicas: Sequence[Replica], ports: Sequence[int], replica: Replica, job: Mapping[str, Any], trial: str = ""
) -> dict[str, str]:
    """The variables of one replica; ``ports`` in the order of the replicas, ``job`` the spec as JSON."""
    at = {each.name: f"{HOST}:{port}" for each, port in zip(replicas, ports, strict=True)}
    pools = sorted({each.pool for each in replicas})
    hosts = {pool: [at[each.name] for each in replicas if each.pool == pool] for pool in pools}
    described = json.dumps(job)
    task = {"index": replica.index, **({"trial": trial} if trial else {})}
    cluster = {
        "cluster": {f"workerpool{pool}": hosts[pool] for pool in pools},
        "environment": "cloud",
        "task": {"type": f"workerpool{replica.pool}", **task},
        "job": described,
    }
    tensorflow = {
        "cluster": {ROLES[pool]: hosts[pool] for pool in pools},
        "environment": "cloud",
        "task": {"type": ROLES[replica.pool], **task},
        "job": described,
    }
    found = {"CLUSTER_SPEC": json.dumps(cluster), "TF_CONFIG": json.dumps(tensorflow)}
    members = [each for each in replicas if each.pool in _COLLECTIVE]
    if len(members) > 1 and replica in members:
        found |= {
            "MASTER_ADDR": HOST,
            "MASTER_PORT": str(ports[0]),
            "RANK": str(members.index(replica)),
            "WORLD_SIZE": str(len(members)),
        }
    return found
