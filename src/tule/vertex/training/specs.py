"""A CustomJobSpec of Google's (its JSON) as replicas to run: checked, and fitted to the machine.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.vertex.containers import Container
from tule.vertex.training.machines import Resources, resources_of

Spec = Mapping[str, Any]

_POOL = "worker_pool_specs"
_EXECUTED = (
    f"{_POOL}.container_spec.image_uri", f"{_POOL}.container_spec.command", f"{_POOL}.container_spec.args",
    f"{_POOL}.container_spec.env.*", f"{_POOL}.python_package_spec.executor_image_uri",
    f"{_POOL}.python_package_spec.package_uris", f"{_POOL}.python_package_spec.python_module",
    f"{_POOL}.python_package_spec.args", f"{_POOL}.python_package_spec.env.*", f"{_POOL}.replica_count",
    f"{_POOL}.machine_spec.machine_type", f"{_POOL}.machine_spec.accelerator_type",
    f"{_POOL}.machine_spec.accelerator_count", "scheduling.timeout", "scheduling.restart_job_on_worker_restart",
    "scheduling.strategy", "scheduling.disable_retries", "scheduling.max_wait_duration", "service_account",
    "base_output_directory.output_uri_prefix", "persistent_resource_id", "tensorboard", "experiment", "experiment_run",
)  # fmt: skip
# The disk is this machine's and so is the network: these describe what runs elsewhere.
_STORED = (f"{_POOL}.disk_spec.boot_disk_type", f"{_POOL}.disk_spec.boot_disk_size_gb", "network")

# The positions of pools, as CLUSTER_SPEC and TF_CONFIG name them.
ROLES = ("chief", "worker", "ps", "evaluator")
_WEEK = 7 * 24 * 3600.0
_ENV = {"containerSpec": "container_spec", "pythonPackageSpec": "python_package_spec"}


def executed(below: str) -> tuple[str, ...]:
    """The fields of a CustomJobSpec at the path ``below`` ('' for itself) that are executed."""
    return tuple(f"{below}.{each}" if below else each for each in _EXECUTED)


def stored(below: str) -> tuple[str, ...]:
    """Those that are only kept."""
    return tuple(f"{below}.{each}" if below else each for each in _STORED)


def spec_fields(below: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The executed and the stored fields of a CustomJobSpec at a path, for the doors of other rooms."""
    return executed(below), stored(below)


@dataclass(frozen=True)
class Replica:
    """One process of a job. ``pool`` and ``index`` as Google counts them: workerpool1-0."""

    pool: int
    index: int
    container: Container
    resources: Resources

    @property
    def name(self) -> str:
        return f"workerpool{self.pool}-{self.index}"

    @property
    def primary(self) -> bool:
        return self.pool == 0


@dataclass(frozen=True)
class Scheduling:
    """When a job runs and for how long. ``priority``: a lower one goes first."""

    timeout: float
    priority: int
    most_wait: float | None
    """Seconds that a job may wait for room, None for ever."""
    retries: bool
    restart_all: bool


_PRIORITIES = {"FLEX_START": 1, "SPOT": 2}
_FLEX_WAIT = 24 * 3600.0


def scheduling(spec: Spec) -> Scheduling:
    """The scheduling of a job: what waits cheaper goes later (on demand, flexible start, spot)."""
    given = spec.get("scheduling", {})
    strategy = given.get("strategy", "STRATEGY_UNSPECIFIED")
    timeout = seconds("scheduling.timeout", given.get("timeout")) or _WEEK
    wait = None
    if strategy == "FLEX_START":
        wait = seconds("scheduling.max_wait_duration", given.get("maxWaitDuration", f"{_FLEX_WAIT}s")) or None
    elif "maxWaitDuration" in given and seconds("scheduling.max_wait_duration", given["maxWaitDuration"]):
        raise InvalidArgument("max_wait_duration must come with the strategy FLEX_START", given=strategy)
    retries = not given.get("disableRetries", False)
    return Scheduling(
        timeout, _PRIORITIES.get(strategy, 0), wait, retries, retries and bool(given.get("restartJobOnWorkerRestart"))
    )


def seconds(field: str, duration: str | None) -> float:
    """A duration of protobuf's JSON; InvalidArgument below 0."""
    found = float(duration.removesuffix("s")) if duration else 0.0
    if found < 0:
        raise InvalidArgument(f"{field} must not be negative", given=duration)
    return found


def replicas(spec: Spec, machine: Resources, *, scale: bool) -> tuple[Replica, ...]:
    """The replicas of all pools, primary first.

    Together they must fit ``machine``, or are made smaller by one factor where ``scale`` says so. InvalidArgument names
    what is wrong with the spec; FailedPrecondition says that it is too large for this machine.
    """
    pools = spec.get("workerPoolSpecs", [])
    _check_pools(pools)
    found = [
        Replica(number, index, _container(number, pool, spec), _resources(pool))
        for number, pool in enumerate(pools)
        for index in range(int(pool.get("replicaCount", 0)))
    ]
    return fitted(found, machine, scale=scale)


def fitted(found: Sequence[Replica], machine: Resources, *, scale: bool) -> tuple[Replica, ...]:
    """The replicas with what they get of a machine; see ``replicas``."""
    total = sum((each.resources for each in found), Resources())
    factor = 1.0
    if not total.fits(machine):
        if not scale:
            raise FailedPrecondition(
                f"The job must fit on this machine, which has {machine}", given=f"{len(found)} replicas with {total}",
                do="name a smaller machine_type, or start the server with TULE_SCALE_MACHINES=1 to have them made smaller",
            )  # fmt: skip
        factor = min(machine.cpus / total.cpus, machine.memory_bytes / total.memory_bytes)
    return tuple(_limited(each, each.resources * factor) for each in found)


def notes(spec: Spec, found: Sequence[Replica]) -> list[str]:
    """What the replicas get less than their machine types have."""
    asked = {number: _resources(pool) for number, pool in enumerate(spec["workerPoolSpecs"]) if pool}
    return [
        f"{each.name}: it gets {each.resources} of {asked[each.pool]}, so that the job fits (TULE_SCALE_MACHINES)"
        for each in found
        if each.resources != asked[each.pool]
    ]


def _limited(replica: Replica, resources: Resources) -> Replica:
    container = replace(replica.container, cpus=resources.cpus, memory_bytes=resources.memory_bytes)
    return replace(replica, container=container, resources=resources)


def demand(found: Sequence[Replica]) -> Resources:
    return sum((each.resources for each in found), Resources())


def _check_pools(pools: Sequence[Spec]) -> None:
    if not pools or int(pools[0].get("replicaCount", 0)) != 1:
        raise InvalidArgument(
            "The first worker pool is the primary replica and must have a replica_count of 1",
            given=pools[0].get("replicaCount", 0) if pools else "no pool",
        )
    if len(pools) > len(ROLES):
        raise InvalidArgument("A job must have at most 4 worker pools", given=len(pools))
    for number, pool in enumerate(pools):
        if int(pool.get("replicaCount", 0)) < 0:
            raise InvalidArgument(f"{_POOL}[{number}].replica_count must not be negative", given=pool["replicaCount"])
        if pool and len([kind for kind in _ENV if kind in pool]) != 1:
            raise InvalidArgument(
                f"{_POOL}[{number}] must have a container_spec or a python_package_spec",
                given=", ".join(sorted(pool)) or "nothing",
            )


def _resources(pool: Spec) -> Resources:
    return resources_of(pool.get("machineSpec", {}).get("machineType", ""))


def _container(number: int, pool: Spec, spec: Spec) -> Container:
    machine = pool.get("machineSpec", {})
    kind = next(each for each in _ENV if each in pool)
    given = pool[kind]
    common = {
        "args": tuple(given.get("args", [])),
        "env": _env(f"{_POOL}[{number}].{_ENV[kind]}", given),
        "accelerators": int(machine.get("acceleratorCount", 0)),
        "service_account": spec.get("serviceAccount", ""),
    }
    if kind == "containerSpec":
        return Container(image=given.get("imageUri", ""), command=tuple(given.get("command", [])), **common)
    module, packages = given.get("pythonModule", ""), tuple(given.get("packageUris", []))
    if not module or not packages:
        lacking = "python_module" if not module else "package_uris"
        raise InvalidArgument(f"{_POOL}[{number}].python_package_spec must have {lacking}", given="none")
    command = ("python3", "-m", module)
    return Container(image=given.get("executorImageUri", ""), command=command, packages=packages, **common)


def _env(where: str, given: Spec) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given.get("env", []):
        name = each.get("name", "")
        if not name or name in found:
            raise InvalidArgument(f"The variables of {where} must have names that differ", given=repr(name))
        found[name] = each.get("value", "")
    return found


def output_variables(spec: Spec, trial: str = "") -> dict[str, str]:
    """Where a job writes its model, checkpoints and logs; those of a trial lie in a folder of its number."""
    prefix = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if not prefix:
        return {}
    base = prefix.rstrip("/") + (f"/{trial}" if trial else "")
    return {
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
    }


def check_output(spec: Spec) -> None:
    prefix = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if prefix and not (prefix.startswith("gs://") and prefix.removeprefix("gs://").strip("/")):
        raise InvalidArgument("base_output_directory must be a folder gs://BUCKET[/PATH]", given=repr(prefix))
