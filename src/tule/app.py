"""The wiring: builds every object and passes it in. Only the command line imports this module.

``build`` opens the data directory and knows every door; a room's own modules are imported when it is first asked for, so
that a server is ready in about a second and small while idle.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tule.engines.local import LocalRunner
from tule.kernel import allocator
from tule.kernel.access import Access
from tule.kernel.clock import Clock, RealClock
from tule.kernel.errors import FailedPrecondition, InvalidArgument
from tule.kernel.home import Home, write_private
from tule.kernel.iam import Policies
from tule.kernel.jobs import Jobs
from tule.kernel.journal import Journal
from tule.kernel.operations import Operations
from tule.kernel.projects import Projects
from tule.kernel.records import Records
from tule.kernel.retention import Retention
from tule.kernel.settings import Settings
from tule.wire.grpc import Grpc
from tule.wire.handlers import HandlerTable
from tule.wire.intercept.ca import CertificateAuthority
from tule.wire.intercept.names import METADATA
from tule.wire.intercept.proxy import Proxy
from tule.wire.rest import Rest
from tule.wire.server import Server
from tule.wire.service import Platform

if TYPE_CHECKING:
    from tule.wire.door import Door

_LOG = logging.getLogger(__name__)

RESOURCE_MANAGER = ("google.cloud.resourcemanager_v3",)
BIGQUERY_TRANSFER = ("google.cloud.bigquery_datatransfer_v1",)
BIGQUERY_CONNECTION = ("google.cloud.bigquery_connection_v1",)
BIGQUERY_STORAGE = ("google.cloud.bigquery_storage_v1",)
VERTEX = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")
_PREDICT = r"/v1/(?P<name>projects/[^/]+/locations/[^/]+/endpoints/[^/:]+):predict"

_PORTS = "ports"
# Jobs of Vertex AI that the last server left in the middle.
_UNFINISHED = " OR ".join(f"state = JOB_STATE_{each}" for each in ("QUEUED", "PENDING", "RUNNING", "CANCELLING"))
_UNFINISHED_RUNS = " OR ".join(f"state = PIPELINE_STATE_{each}" for each in ("PENDING", "RUNNING", "CANCELLING"))

# Pools of native libraries read these once, when they are loaded.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "ARROW_NUM_THREADS",
)


# What TULE_SQL begins with, and how it is written.
SQL_ENGINES = {
    "duckdb": "duckdb",
    "bigquery": "bigquery://PROJECT[/DATASET][?location=US]",
    "spark": "spark",
    "sc": "sc://HOST:PORT[/;PARAMETERS]",
}


class Part(cached_property[Any]):
    """A room, built once however many threads ask for it first."""

    _building = threading.RLock()

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        with self._building:
            made = super().__get__(instance, owner)
            # It and the libraries it brought stay to the end: no collection has to walk them again.
            gc.freeze()
            return made


class App:
    """One server over one data directory."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or RealClock()
        self.threads = settings.threads or len(os.sched_getaffinity(0))
        for name in _THREAD_VARIABLES:
            os.environ.setdefault(name, str(self.threads))
        # Batches are small, and asked for by several threads of the engine at once: a second pool beside them costs many
        # times what it gives.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Arrow's own pool keeps what it once had.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
        allocator.give_back()
        self.home = Home.open(settings)
        self._closing: list[Callable[[], Any]] = [self.home.close]
        self._beginning: list[Callable[[], Any]] = []
        try:
            self._open()
        except BaseException:
            self._close()
            raise

    def _open(self) -> None:
        settings, clock = self.settings, self.clock
        if settings.sql.partition("://")[0] not in SQL_ENGINES:
            raise InvalidArgument("TULE_SQL must be one of " + ", ".join(SQL_ENGINES.values()), given=settings.sql)
        if settings.job_network not in ("open", "closed"):
            raise InvalidArgument("TULE_JOB_NETWORK must be open or closed", given=settings.job_network)
        self.records = Records(f"sqlite:///{self.home.path('tule.db')}", clock)
        self._closing.append(self.records.close)
        self.journal = Journal(self.records)
        self.operations = Operations(self.records, self.journal, clock)
        self._closing.append(self.operations.close)
        self.jobs = Jobs(self.records, LocalRunner(self.home.folder("jobs"), clock), clock)
        self._closing.append(self.jobs.close)
        self.retention = Retention(self.journal, self.operations, self.jobs, clock, days=settings.keep_days)
        self._closing.append(self.retention.close)
        self.projects = Projects(self.records)
        self.policies = Policies(self.records)
        hosts = () if settings.host in ("127.0.0.1", "localhost", "::1") else (settings.host,)
        # Credentials and certificates are made and judged by clients too, whose time is the machine's.
        self.access = Access(self.home, RealClock(), settings.project, policies=self.policies, hosts=hosts)
        self.authority = CertificateAuthority(self.home, RealClock())
        self.platform = Platform(self.records, self.operations, self.projects, self.policies)
        self.table = HandlerTable(self.platform, self.access)
        for wire in (_interception, _resource_manager, _storage, _bigquery, _vertex):
            wire(self)
        self.jobs.recover()
        self.operations.recover()
        self.server = Server(
            Rest(
                self.table,
                self.access,
                max_body=settings.max_body,
                fast=((_PREDICT, VERTEX[0], "PredictionService", "predict"),),
            ),
            lambda socket: Grpc(self.table, self.access, socket, max_body=settings.max_body),
            tls=self.authority.context,
            connect=Proxy(self.access, offline=settings.offline),
            private=self.home.folder("sockets"),
            host=settings.host,
            port=settings.port,
            tls_port=settings.tls_port,
            before=_ports_before(self.home),
        )

    def on_stop(self, action: Callable[[], Any]) -> None:
        """Run ``action`` when the server stops, before what was opened earlier is closed."""
        self._closing.append(action)

    def on_start(self, action: Callable[[], Any]) -> None:
        """Run ``action`` once the server answers: what goes on with work whose processes call it."""
        self._beginning.append(action)

    def start(self) -> None:
        """Return when both ports accept connections; secrets and certificates that clients read exist by then."""
        _ = self.access.token
        self.server.start()
        self.retention.start()
        # The next server takes the same ports if it can: an environment made with `tule env` stays right.
        write_private(self.home.path(_PORTS), f"{self.server.port} {self.server.tls_port}\n".encode(), replace=True)
        for action in self._beginning:
            action()

    def stop(self) -> None:
        """Let requests in flight end, then close everything. Idempotent."""
        self.server.stop()
        self._close()

    def _close(self) -> None:
        while self._closing:
            try:
                self._closing.pop()()
            except Exception:
                _LOG.exception("A part of the server could not be closed")

    # -- rooms, built when they are first needed

    @Part
    def objects(self) -> Any:
        from tule.kernel.objects import Objects

        return Objects(self.home, self.records, self.clock)

    @Part
    def object_uploads(self) -> Any:
        """Unfinished uploads of objects, in chunks and in parts."""
        from tule.kernel.uploads import Uploads
        from tule.storage import parts, uploads

        sessions = [Uploads(self.records, self.home, self.clock, kind) for kind in (uploads.KIND, parts.KIND)]
        for each in sessions:
            each.sweep(starting=True)
        return sessions

    @Part
    def warehouse(self) -> Any:
        from tule.bigquery.connections.connections import Connections
        from tule.bigquery.connections.federation import Federation
        from tule.bigquery.ml import MachineLearning
        from tule.bigquery.public import PublicTables
        from tule.bigquery.warehouse import Warehouse
        from tule.engines.federation import MySql, PostgreSql, Spanner
        from tule.engines.filesystems import Folders
        from tule.engines.javascript import QuickJs

        connections = Connections(self.records, self.home, self.policies, self.projects)
        warehouse = Warehouse(
            records=self.records,
            clock=self.clock,
            home=self.home,
            engine=_sql_engine(self),
            objects=self.objects,
            folders=Folders(self.settings.folders),
            federation=Federation(
                connections,
                {"POSTGRES": PostgreSql(), "MYSQL": MySql(), "SPANNER": Spanner()},
                self.settings.cloud_sql,
                self.settings.spanner,
            ),
            connections=connections,
            access=self.access,
            policies=self.policies,
            projects=self.projects,
            public=PublicTables(),
        )
        learning = MachineLearning(
            records=self.records,
            datasets=warehouse.datasets,
            models=warehouse.models,
            home=self.home,
            clock=self.clock,
            objects=self.objects,
            registry=lambda: self.registry,
            location=self.settings.location,
            automl_hour=self.settings.automl_hour,
            foreign=lambda: self.foreign_models,
            endpoints=lambda: self.endpoints.router,
            connections=connections,
            states=warehouse.states,
            story=lambda: self.provenance,
        )
        warehouse.use_models(learning)
        if QuickJs.installed():
            warehouse.use_javascript(QuickJs())
        self.on_stop(warehouse.stop)
        warehouse.start()
        learning.sweep()
        return warehouse

    @Part
    def transfers(self) -> Any:
        from tule.bigquery.transfers.transfers import Transfers

        transfers = Transfers(self.records, self.clock, self.warehouse.requests.run_to_end)
        self.on_stop(transfers.stop)
        transfers.start()
        return transfers

    @Part
    def models(self) -> Any:
        from tule.vertex.registry import Artifacts, Models

        models = Models(self.records, Artifacts(self.home), self.clock, lambda: self.provenance)
        models.sweep()
        return models

    @Part
    def registry(self) -> Any:
        """The model registry as training rooms see it."""
        from tule.vertex.registry import Registry

        return Registry(self.models)

    @Part
    def launcher(self) -> Any:
        """What starts jailed workers for models."""
        from tule.vertex.endpoints import Launcher, Limits

        limits = Limits(
            memory=self.settings.model_memory,
            load_seconds=self.settings.model_load_seconds,
            predict_seconds=self.settings.model_predict_seconds,
        )
        launcher = Launcher(self.clock, limits)
        self.on_stop(launcher.close)
        return launcher

    @Part
    def foreign_models(self) -> Any:
        from tule.vertex.endpoints import ForeignModels

        models = ForeignModels(self.launcher, self.threads)
        self.on_stop(models.close)
        return models

    @Part
    def endpoints(self) -> Any:
        from tule.bigquery.ml import Transforms
        from tule.vertex.endpoints import Endpoints, LocalReplicas, Router

        transforms = Transforms(lambda: self.warehouse.physical.engine)
        replicas = LocalReplicas(self.launcher, self.models.artifacts, transforms)
        endpoints = Endpoints(
            self.home, self.records, self.models, replicas, Router(), self.clock, lambda: self.provenance
        )
        self.on_stop(endpoints.close)
        endpoints.recover()
        return endpoints

    @Part
    def machine(self) -> Any:
        """The room of this machine, for which jobs queue."""
        from tule.vertex.training import Capacity, this_machine

        return Capacity(this_machine())

    @Part
    def persistent_resources(self) -> Any:
        from tule.vertex.training import PersistentResources

        scale = self.settings.scale_machines
        resources = PersistentResources(self.records, self.clock, self.machine, scale=scale)
        resources.recover()
        return resources

    @Part
    def custom_jobs(self) -> Any:
        from tule.vertex.training import CustomJobs

        room, scale = self.machine, self.settings.scale_machines
        jobs = CustomJobs(self.records, self.jobs, self.containers, self.clock, machine=room, scale=scale)
        jobs.rooms = self.persistent_resources.room
        self.on_stop(jobs.close)
        return jobs

    @Part
    def training_pipelines(self) -> Any:
        from tule.vertex.endpoints.explanation import check_spec
        from tule.vertex.registry import BucketSource
        from tule.vertex.training import CustomTask, TrainingPipelines
        from tule.vertex.tuning import TuningTask
        from tule.vertex.tuning.api import KEPT, TUNED

        return TrainingPipelines(
            self.records,
            self.clock,
            self.models,
            lambda uri: BucketSource(self.objects, uri),
            {
                "custom_task_1.0.0": CustomTask(self.custom_jobs),
                "hyperparameter_tuning_task_1.0.0": TuningTask(self.tuning_jobs, (*TUNED, *KEPT)),
            },
            check_spec,
        )

    @Part
    def tuning_jobs(self) -> Any:
        from tule.vertex.tuning import TuningJobs

        jobs = TuningJobs(self.records, self.home, self.clock, self.custom_jobs, self.trials)
        self.on_stop(jobs.close)
        return jobs

    @Part
    def trials(self) -> Any:
        from tule.vertex.tuning import Trials

        return Trials(self.records, self.clock)

    @Part
    def containers(self) -> Any:
        """What makes processes of container specs."""
        from tule.engines.docker import ContainerEngine
        from tule.engines.mount.files import BucketFiles
        from tule.vertex.containers import Accounts, Containers

        containers = Containers(
            self.home,
            self.objects,
            Accounts(self.access, self.policies, self.projects, self.records),
            self._intercepted,
            files=BucketFiles(lambda: self.server.port, closed=self.settings.job_network == "closed"),
            engine=ContainerEngine(self.clock),
            scale=self.settings.scale_machines,
            image_python=self.settings.image_python,
            disk_bytes=self.settings.job_disk,
            hang_seconds=self.settings.hang_seconds,
        )
        alive = self.jobs.list(filter="state = QUEUED OR state = RUNNING")
        containers.sweep({job.spec.cwd for job in alive if job.spec.cwd is not None})
        return containers

    def _intercepted(self, *, project: str, credential: str, credentials: Path) -> dict[str, str]:
        """The variables under which a process of this server reaches Google's APIs here."""
        from tule.wire.intercept.environment import Target, variables

        target = Target(
            port=self.server.port,
            token=credential,
            project=project,
            location=self.settings.location,
            bundle=self.authority.bundle,
            credentials=credentials,
        )
        return variables(target, os.environ, offline=self.settings.offline)

    @Part
    def metadata(self) -> Any:
        """The metadata stores: experiments, and the lineage of what other rooms make."""
        from tule.vertex.experiments import Metadata

        return Metadata(self.records)

    @Part
    def provenance(self) -> Any:
        """The story of models and endpoints, as other rooms tell it."""
        from tule.vertex.experiments import Provenance

        return Provenance(self.metadata, self.objects)

    @Part
    def tensorboards(self) -> Any:
        from tule.vertex.tensorboards import Blobs, Tensorboards

        return Tensorboards(self.records, Blobs(self.objects))

    @Part
    def pipelines(self) -> Any:
        from tule.vertex.pipelines import Cache, LocalLaunches, MetadataLineage, PipelineJobs, Runs

        launches = LocalLaunches(self.home, self.objects, self.containers, self.jobs, warm=self.settings.warm_steps)
        cache, lineage = Cache(self.records, self.objects), MetadataLineage(self.metadata)
        runs = Runs(self.records, self.clock, self.jobs, launches, cache, lineage)
        jobs = PipelineJobs(self.records, self.clock, self.objects, self.jobs, launches, runs)
        self.on_stop(jobs.stop)
        jobs.recover()
        return jobs

    @Part
    def schedules(self) -> Any:
        from tule.vertex.schedules import Schedules

        schedules = Schedules(self.records, self.clock, self.pipelines)
        self.on_stop(schedules.stop)
        schedules.start()
        return schedules


def build(settings: Settings, clock: Clock | None = None) -> App:
    """Everything of one server, not yet listening. Raises FailedPrecondition when the data directory is in use."""
    return App(settings, clock)


def _spark(app: App, sql: str, field: Any) -> Any:
    """Spark on this machine, or one that is elsewhere and sees the same folder."""
    import pyspark.sql.connect.session  # noqa: F401 (what is not installed is told now)

    from tule.engines.spark import LocalSpark, SparkEngine

    lake = app.home.folder("lake")
    if sql != "spark":
        return SparkEngine(lake, lambda: sql, field=field)
    local = LocalSpark(app.home.folder("spark"), app.clock, threads=app.threads, memory=app.settings.memory)
    return SparkEngine(lake, local.remote, field=field, stop=local.stop)


def _sql_engine(app: App) -> Any:
    """The engine that ``TULE_SQL`` names."""
    from tule.bigquery.types import Field

    sql = app.settings.sql
    try:
        if sql.startswith("bigquery"):
            from tule.engines.bigquery import BigQueryEngine

            return BigQueryEngine(sql, field=Field)
        if sql == "spark" or sql.startswith("sc://"):
            return _spark(app, sql, Field)
    except ImportError as error:
        raise FailedPrecondition(
            "The client of this TULE_SQL must be installed",
            given=f"{sql}: {error}",
            do=f"pip install 'tule[{'bigquery' if sql.startswith('bigquery') else 'spark'}]'",
        ) from None
    from tule.engines.duckdb import DuckDBEngine

    return DuckDBEngine(app.home.folder("tables"), threads=app.threads, memory=app.settings.memory, field=Field)


def _interception(app: App) -> None:
    def tokens() -> Door:
        from tule.wire.intercept.oauth import TokenEndpoint

        return TokenEndpoint(app.access)

    def metadata() -> Door:
        from tule.wire.intercept.metadata_server import MetadataServer

        return MetadataServer(app.access, location=app.settings.location)

    tokens_at = ("oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com")
    app.table.add_door(tokens_at, ("/token", "/o/oauth2/token"), tokens)
    app.table.add_door(METADATA, ("/computeMetadata/",), metadata)


def _resource_manager(app: App) -> None:
    def version_3() -> Any:
        from tule.apis.resourcemanager.api import ProjectsService

        return ProjectsService(app.platform)

    def version_1() -> Door:
        from tule.apis.resourcemanager.api import ProjectsV1

        return ProjectsV1(app.platform)

    host = "cloudresourcemanager.googleapis.com"
    app.table.add_api(host, RESOURCE_MANAGER, "resourcemanager")
    app.table.add_service(RESOURCE_MANAGER, "Projects", version_3)
    # On loopback names its paths would take those of Vertex AI, so it is known by its host alone.
    app.table.add_door((host,), (), version_1)


def _storage(app: App) -> None:
    def rooms() -> tuple[Any, ...]:
        return app.objects, *app.object_uploads, app.projects, app.policies, app.access

    def json() -> Door:
        from tule.storage.api import Storage

        return Storage(*rooms())

    def xml() -> Door:
        from tule.storage.api import StorageXml

        return StorageXml(*rooms())

    def hosted() -> Door:
        from tule.storage.api import StorageHosted

        return StorageHosted(*rooms())

    hosts = ("storage.googleapis.com", "www.googleapis.com", "storage.mtls.googleapis.com")
    prefixes = ("/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/", "/batch/storage/v1")
    app.table.add_door(hosts, prefixes, json)
    # Paths of objects could be anything, so they are known by their host alone.
    app.table.add_door(("storage.googleapis.com",), (), xml)
    app.table.add_door(("*.storage.googleapis.com",), (), hosted)


def _bigquery(app: App) -> None:
    def rest() -> Door:
        from tule.bigquery.api import BigQuery

        return BigQuery(app.warehouse)

    def read() -> Any:
        from tule.bigquery.storage_api import BigQueryRead

        return BigQueryRead(app.platform, app.warehouse)

    def write() -> Any:
        from tule.bigquery.storage_write_api import BigQueryWrite

        return BigQueryWrite(app.platform, app.warehouse)

    def connections() -> Any:
        from tule.bigquery.connections.api import ConnectionService

        return ConnectionService(app.platform, app.warehouse.connections)

    def transfers() -> Any:
        from tule.bigquery.transfers.api import DataTransferService

        return DataTransferService(app.platform, app.transfers)

    hosts = ("bigquery.googleapis.com", "www.googleapis.com", "bigquery.mtls.googleapis.com")
    app.table.add_door(hosts, ("/bigquery/", "/upload/bigquery/", "/resumable/upload/bigquery/", "/projects/"), rest)
    app.table.add_api("bigquerystorage.googleapis.com", BIGQUERY_STORAGE, "bigquery")
    app.table.add_service(BIGQUERY_STORAGE, "BigQueryRead", read)
    app.table.add_service(BIGQUERY_STORAGE, "BigQueryWrite", write)
    app.table.add_api("bigqueryconnection.googleapis.com", BIGQUERY_CONNECTION)
    app.table.add_service(BIGQUERY_CONNECTION, "ConnectionService", connections)
    app.table.add_api("bigquerydatatransfer.googleapis.com", BIGQUERY_TRANSFER, "bigquery")
    app.table.add_service(BIGQUERY_TRANSFER, "DataTransferService", transfers)
    if app.records.list("bigquery#dataset", page_size=1).records:
        # Jobs that a crash cut off are brought to their end before anybody asks.
        _ = app.warehouse
    if app.records.list("transferConfig", page_size=1).records:
        _ = app.transfers


def _vertex(app: App) -> None:
    def models() -> Any:
        from tule.vertex.endpoints.explanation import check_spec
        from tule.vertex.registry import BucketSource, Exporter
        from tule.vertex.registry.api import ModelService

        exporter = Exporter(app.models.artifacts, app.objects, app.clock)
        return ModelService(app.platform, app.models, lambda uri: BucketSource(app.objects, uri), exporter, check_spec)

    def endpoints() -> Any:
        from tule.vertex.endpoints.api import EndpointService

        return EndpointService(app.platform, app.endpoints)

    def predictions() -> Any:
        from tule.vertex.endpoints import Explainer
        from tule.vertex.endpoints.api import PredictionService

        return PredictionService(app.platform, app.endpoints.router, Explainer(app.endpoints, app.models))

    def studies() -> Any:
        from tule.vertex.tuning import Studies
        from tule.vertex.tuning.api import VizierService

        return VizierService(app.platform, Studies(app.records, app.trials), app.trials)

    def custom_jobs() -> Any:
        from tule.vertex.training.api import CustomJobService

        return CustomJobService(app.platform, app.custom_jobs)

    def persistent_resources() -> Any:
        from tule.vertex.training.api import PersistentResourceService

        return PersistentResourceService(app.platform, app.persistent_resources)

    def tuning_jobs() -> Any:
        from tule.vertex.tuning.api import TuningJobService

        return TuningJobService(app.platform, app.tuning_jobs)

    def training_pipelines() -> Any:
        from tule.vertex.training.api import TrainingPipelineService

        return TrainingPipelineService(app.platform, app.training_pipelines)

    def metadata() -> Any:
        from tule.vertex.experiments.api import MetadataService

        return MetadataService(app.platform, app.metadata)

    def tracking() -> Door:
        from tule.vertex.mlflow import Artifacts, Experiments, LoggedModels, Runs
        from tule.vertex.mlflow.api import MlflowTracking

        project = app.settings.project
        experiments = Experiments(app.metadata, f"projects/{project}/locations/{app.settings.location}")
        runs, models = Runs(app.metadata, experiments), LoggedModels(app.metadata, experiments)
        return MlflowTracking(project, experiments, runs, models, Artifacts(app.objects, project))

    app.table.add_door((), ("/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/"), tracking)

    def tensorboards() -> Any:
        from tule.vertex.tensorboards.api import TensorboardService

        return TensorboardService(app.platform, app.tensorboards)

    def logs() -> Door:
        from tule.vertex.training import JobLogs
        from tule.vertex.training.logging_api import Logging

        return Logging(JobLogs(app.records, app.jobs))

    app.table.add_door(("logging.googleapis.com",), ("/v2/entries:list",), logs)

    def pipelines() -> Any:
        from tule.vertex.pipelines.api import PipelineService

        return PipelineService(app.platform, app.pipelines)

    def schedules() -> Any:
        from tule.vertex.schedules.api import ScheduleService

        return ScheduleService(app.platform, app.schedules)

    app.table.add_api("aiplatform.googleapis.com", VERTEX)
    app.table.add_service(VERTEX, "ModelService", models)
    app.table.add_service(VERTEX, "EndpointService", endpoints)
    app.table.add_service(VERTEX, "PredictionService", predictions)
    app.table.add_service(VERTEX, "VizierService", studies)
    app.table.add_service(VERTEX, "JobService", custom_jobs)
    app.table.add_service(VERTEX, "JobService", tuning_jobs)
    app.table.add_service(VERTEX, "PersistentResourceService", persistent_resources)
    app.table.add_service(VERTEX, "PipelineService", training_pipelines)
    app.table.add_service(VERTEX, "MetadataService", metadata)
    app.table.add_service(VERTEX, "TensorboardService", tensorboards)
    app.table.add_service(VERTEX, "PipelineService", pipelines)
    app.table.add_service(VERTEX, "ScheduleService", schedules)
    if app.records.list("Endpoint", page_size=1).records:
        # Deployed models are opened again before anybody asks.
        _ = app.endpoints
    if app.records.list("customJob", filter=_UNFINISHED, page_size=1).records:
        app.on_start(lambda: app.custom_jobs.recover())
    if app.records.list("hyperparameterTuningJob", filter=_UNFINISHED, page_size=1).records:
        app.on_start(lambda: app.tuning_jobs.recover())
    if app.records.list("trainingPipeline", filter=_UNFINISHED.replace("JOB", "PIPELINE"), page_size=1).records:
        app.on_start(lambda: app.training_pipelines.recover())
    if app.records.list("pipelineJob", filter=_UNFINISHED_RUNS, page_size=1).records:
        app.on_start(lambda: app.pipelines)
    if app.records.list("schedule", filter="state = ACTIVE", page_size=1).records:
        app.on_start(lambda: app.schedules)


def _ports_before(home: Home) -> tuple[int, int]:
    """The ports of the last server of this data directory, (0, 0) where there was none."""
    path = home.path(_PORTS)
    words = path.read_text().split() if path.exists() else []
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(each.isdigit() for each in words) else (0, 0)


def credentials_file(app: App) -> Path:
    """The application-default credentials of this data directory, as a file (mode 0600)."""
    import json

    path = app.home.path("credentials", "adc.json")
    content = json.dumps(app.access.adc(), indent=2).encode()
    if not path.exists() or path.read_bytes() != content:
        write_private(path, content, replace=True)
    return path
