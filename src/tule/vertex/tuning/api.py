"""The doors of tuning: VizierService of google.cloud.aiplatform, and the tuning jobs of its JobService."""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.operations import Operation, Progress
from tule.vertex.messages import deletion, finisher, metadata, page_size, read_masked, timestamp
from tule.vertex.training import spec_fields
from tule.vertex.tuning import specs
from tule.vertex.tuning.jobs import TuningJobs
from tule.vertex.tuning.studies import STUDY, Studies
from tule.vertex.tuning.trials import TRIAL, Trials
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.surfaces import pb
from tule.wire.transcode import to_dict

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")

_EXECUTED, _STORED = spec_fields("trial_job_spec")
# What is done of a HyperparameterTuningJob beside its name and labels: also the inputs of a pipeline's tuning task.
TUNED = (
    "max_trial_count", "parallel_trial_count", "max_failed_trial_count",
    *specs.executed("study_spec"), *_EXECUTED,
)  # fmt: skip
KEPT = _STORED


class VizierService(Service):
    """Studies and trials that clients run themselves."""

    packages = PACKAGES
    service = "VizierService"

    def __init__(self, platform: Platform, studies: Studies, trials: Trials) -> None:
        super().__init__(platform)
        self._studies = studies
        self._trials = trials

    # -- studies

    @rpc(
        permission="aiplatform.studies.create",
        executes=("parent", "study.display_name", *specs.executed("study.study_spec")),
    )
    def create_study(self, request: Any, call: Call) -> dict[str, Any]:
        return self._studies.create(request.parent, to_dict(request.study))

    @rpc(permission="aiplatform.studies.get", executes=("name",))
    def get_study(self, request: Any, call: Call) -> dict[str, Any]:
        return self._studies.get(request.name)

    @rpc(permission="aiplatform.studies.list", executes=("parent", "page_size", "page_token"))
    def list_studies(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._studies.page(request.parent, page_size=request.page_size, page_token=request.page_token)
        return {"studies": found, "nextPageToken": token}

    @rpc(permission="aiplatform.studies.get", executes=("parent", "display_name"))
    def lookup_study(self, request: Any, call: Call) -> dict[str, Any]:
        return self._studies.lookup(request.parent, request.display_name)

    @rpc(permission="aiplatform.studies.delete", executes=("name",))
    def delete_study(self, request: Any, call: Call) -> None:
        self._studies.delete(request.name)

    # -- trials

    @rpc(permission="aiplatform.trials.create", executes=("parent", "suggestion_count", "client_id"))
    def suggest_trials(self, request: Any, call: Call) -> Operation:
        study, client, count = request.parent, request.client_id, request.suggestion_count
        self._studies.find(study)
        if count < 1:
            raise InvalidArgument("suggestion_count must be at least 1", given=count)
        began = timestamp(self.platform.records.clock.now())

        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            answer: dict[str, Any] = {"startTime": began}

            def commit(trials: list[dict[str, Any]]) -> None:
                if not trials and self._studies.settle(study) == "ACTIVE":
                    self._studies.exhaust(study)
                answer.update(trials=trials, studyState=self._studies.settle(study))
                answer["endTime"] = timestamp(self.platform.records.clock.now())
                finish(answer)

            self._trials.suggest(study, client, count, commit)
            return answer

        return call.start(study, work, metadata={**metadata(call), "clientId": client}, target=study)

    @rpc(
        permission="aiplatform.trials.create",
        executes=(
            "parent", "trial.parameters.*", "trial.measurements.*", "trial.final_measurement.*", "trial.client_id",
            "trial.state", "trial.infeasible_reason",
        ),
    )  # fmt: skip
    def create_trial(self, request: Any, call: Call) -> dict[str, Any]:
        self._studies.find(request.parent)
        return self._trials.create(request.parent, to_dict(request.trial))

    @rpc(permission="aiplatform.trials.get", executes=("name",))
    def get_trial(self, request: Any, call: Call) -> dict[str, Any]:
        TRIAL.parse(request.name)
        return self._trials.get(request.name)

    @rpc(permission="aiplatform.trials.list", executes=("parent", "page_size", "page_token"))
    def list_trials(self, request: Any, call: Call) -> dict[str, Any]:
        STUDY.parse(request.parent)
        self._studies.find(request.parent)
        found, token = self._trials.page(
            request.parent, page_size=request.page_size or 1000, page_token=request.page_token
        )
        return {"trials": found, "nextPageToken": token}

    @rpc(permission="aiplatform.trials.update", executes=("trial_name", "measurement.*"))
    def add_trial_measurement(self, request: Any, call: Call) -> dict[str, Any]:
        TRIAL.parse(request.trial_name)
        return self._trials.measure(request.trial_name, to_dict(request.measurement))

    @rpc(
        permission="aiplatform.trials.update",
        executes=("name", "final_measurement.*", "trial_infeasible", "infeasible_reason"),
    )
    def complete_trial(self, request: Any, call: Call) -> dict[str, Any]:
        TRIAL.parse(request.name)
        given = pb(request).HasField("final_measurement")
        return self._trials.complete(
            request.name,
            to_dict(request.final_measurement) if given else None,
            infeasible=request.trial_infeasible,
            reason=request.infeasible_reason,
        )

    @rpc(permission="aiplatform.trials.delete", executes=("name",))
    def delete_trial(self, request: Any, call: Call) -> None:
        TRIAL.parse(request.name)
        self._trials.delete(request.name)

    @rpc(permission="aiplatform.trials.get", executes=("trial_name",))
    def check_trial_early_stopping_state(self, request: Any, call: Call) -> Operation:
        TRIAL.parse(request.trial_name)
        name = request.trial_name
        study = str(name).rpartition("/trials/")[0]
        self._trials.get(name)

        def work(progress: Progress) -> dict[str, Any]:
            return {"shouldStop": self._trials.check_stop(name)}

        about = {**metadata(call), "study": study, "trial": name}
        return call.start(study, work, metadata=about, target=name)

    @rpc(permission="aiplatform.trials.update", executes=("name",))
    def stop_trial(self, request: Any, call: Call) -> dict[str, Any]:
        TRIAL.parse(request.name)
        return self._trials.stop(request.name)

    @rpc(permission="aiplatform.trials.list", executes=("parent",))
    def list_optimal_trials(self, request: Any, call: Call) -> dict[str, Any]:
        self._studies.find(request.parent)
        return {"optimalTrials": self._trials.optimal(request.parent)}


class TuningJobService(Service):
    """The part of JobService that is about hyperparameter tuning jobs."""

    packages = PACKAGES
    service = "JobService"

    def __init__(self, platform: Platform, jobs: TuningJobs) -> None:
        super().__init__(platform)
        self._jobs = jobs

    @rpc(
        permission="aiplatform.hyperparameterTuningJobs.create",
        executes=("parent", *(f"hyperparameter_tuning_job.{each}" for each in ("display_name", "labels", *TUNED))),
        stores=tuple(f"hyperparameter_tuning_job.{each}" for each in KEPT),
    )
    def create_hyperparameter_tuning_job(self, request: Any, call: Call) -> dict[str, Any]:
        return self._jobs.create(request.parent, to_dict(request.hyperparameter_tuning_job))

    @rpc(permission="aiplatform.hyperparameterTuningJobs.get", executes=("name",))
    def get_hyperparameter_tuning_job(self, request: Any, call: Call) -> dict[str, Any]:
        return self._jobs.get(request.name)

    @rpc(
        permission="aiplatform.hyperparameterTuningJobs.list",
        executes=("parent", "filter", "page_size", "page_token", "read_mask"),
    )
    def list_hyperparameter_tuning_jobs(self, request: Any, call: Call) -> dict[str, Any]:
        found, token = self._jobs.list(
            request.parent,
            filter=request.filter,
            page_size=page_size(request),
            page_token=request.page_token,
        )
        return {"hyperparameterTuningJobs": read_masked(found, request), "nextPageToken": token}

    @rpc(permission="aiplatform.hyperparameterTuningJobs.cancel", executes=("name",))
    def cancel_hyperparameter_tuning_job(self, request: Any, call: Call) -> None:
        self._jobs.cancel(request.name)

    @rpc(permission="aiplatform.hyperparameterTuningJobs.delete", executes=("name",))
    def delete_hyperparameter_tuning_job(self, request: Any, call: Call) -> Operation:
        name = request.name
        self._jobs.check_delete(name)
        return deletion(call, name, self._jobs.delete)
