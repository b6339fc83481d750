"""The door of MLflow's tracking protocol: its REST API 2.0, as the stock client speaks it."""

from __future__ import annotations

from typing import Any

from tule.kernel.errors import InvalidArgument, TuleError, Unimplemented
from tule.kernel.records import pages
from tule.vertex.mlflow import values
from tule.vertex.mlflow.artifacts import Artifacts
from tule.vertex.mlflow.experiments import Experiments
from tule.vertex.mlflow.logged import LoggedModels
from tule.vertex.mlflow.runs import Runs
from tule.vertex.mlflow.values import ACTIVE, DELETED, whole, written
from tule.wire.door import Door, Reply, Request, route
from tule.wire.errors import http_status

_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts"
_READ, _WRITE, _REMOVE = "aiplatform.contexts.get", "aiplatform.contexts.update", "aiplatform.contexts.delete"
_CREATE = "aiplatform.contexts.create"
_PAGE = ("max_results", "page_token")
_METRIC = ("run_id", "key", "value", "timestamp", "step", "model_id", "dataset_name", "dataset_digest")
_LARGEST_PAGE, _HISTORY_PAGE = 50_000, 25_000
# MLflow's own words for errors, by code.
_WORDS = {
    "NOT_FOUND": "RESOURCE_DOES_NOT_EXIST", "ALREADY_EXISTS": "RESOURCE_ALREADY_EXISTS",
    "INVALID_ARGUMENT": "INVALID_PARAMETER_VALUE", "OUT_OF_RANGE": "INVALID_PARAMETER_VALUE",
    "FAILED_PRECONDITION": "INVALID_STATE", "PERMISSION_DENIED": "PERMISSION_DENIED",
    "UNAUTHENTICATED": "UNAUTHENTICATED", "UNIMPLEMENTED": "NOT_IMPLEMENTED",
    "RESOURCE_EXHAUSTED": "RESOURCE_EXHAUSTED", "UNAVAILABLE": "TEMPORARILY_UNAVAILABLE",
}  # fmt: skip


class MlflowTracking(Door):
    """Experiments, runs, logged models and their files."""

    name = "mlflow"

    def __init__(
        self, project: str, experiments: Experiments, runs: Runs, models: LoggedModels, artifacts: Artifacts
    ) -> None:
        self._project = project
        self._experiments = experiments
        self._runs = runs
        self._models = models
        self._artifacts = artifacts

    def resource(self, request: Request) -> str:
        return f"projects/{self._project}"

    def error_reply(self, error: TuleError) -> Reply:
        status = http_status(error)
        # Its client takes these states for ones that pass, and asks again for minutes.
        status = 400 if error.code in ("FAILED_PRECONDITION", "ALREADY_EXISTS") else status
        body = {"error_code": _WORDS.get(error.code, "INTERNAL_ERROR"), "message": error.message}
        return Reply(status, body, {"WWW-Authenticate": "Bearer"} if status == 401 else {})

    # -- experiments

    @route("POST", f"{_API}/experiments/create", permission=_CREATE, executes=("name", "artifact_location", "tags.*"))
    def create_experiment(self, request: Request) -> dict[str, Any]:
        body = request.json()
        given = values.tags(body.get("tags"))
        return {
            "experiment_id": self._experiments.create(body.get("name", ""), given, body.get("artifact_location", ""))
        }

    @route("GET", f"{_API}/experiments/get", permission=_READ, executes=("experiment_id",))
    def get_experiment(self, request: Request) -> dict[str, Any]:
        return {"experiment": self._experiments.get(request.query.get("experiment_id", ""))}

    @route("GET", f"{_API}/experiments/get-by-name", permission=_READ, executes=("experiment_name",))
    def get_experiment_by_name(self, request: Request) -> dict[str, Any]:
        return {"experiment": self._experiments.by_name(request.query.get("experiment_name", ""))}

    @route("GET", f"{_API}/experiments/search", permission=_READ, executes=(*_PAGE, "filter", "order_by", "view_type"))
    @route("POST", f"{_API}/experiments/search", permission=_READ, executes=(*_PAGE, "filter", "order_by", "view_type"))
    def search_experiments(self, request: Request) -> dict[str, Any]:
        body = _asked(request)
        page = _Page(body, "experiments", 1000)
        found, then = self._experiments.search(
            body.get("view_type", ""), body.get("filter", ""), body.get("order_by", []), page.size, page.offset
        )
        return page.answer("experiments", found, then)

    @route("POST", f"{_API}/experiments/update", permission=_WRITE, executes=("experiment_id", "new_name"))
    def update_experiment(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._experiments.update(body.get("experiment_id", ""), body.get("new_name", ""))
        return {}

    @route("POST", f"{_API}/experiments/delete", permission=_REMOVE, executes=("experiment_id",))
    def delete_experiment(self, request: Request) -> dict[str, Any]:
        self._experiments.set_stage(request.json().get("experiment_id", ""), DELETED)
        return {}

    @route("POST", f"{_API}/experiments/restore", permission=_WRITE, executes=("experiment_id",))
    def restore_experiment(self, request: Request) -> dict[str, Any]:
        self._experiments.set_stage(request.json().get("experiment_id", ""), ACTIVE)
        return {}

    @route(
        "POST", f"{_API}/experiments/set-experiment-tag", permission=_WRITE, executes=("experiment_id", "key", "value")
    )
    def set_experiment_tag(self, request: Request) -> dict[str, Any]:
        body = request.json()
        given = values.tags([body])
        self._experiments.change_tags(body.get("experiment_id", ""), lambda tags: tags.update(given))
        return {}

    @route("POST", f"{_API}/experiments/delete-experiment-tag", permission=_WRITE, executes=("experiment_id", "key"))
    def delete_experiment_tag(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._experiments.change_tags(body.get("experiment_id", ""), lambda tags: _removed(tags, body.get("key", "")))
        return {}

    # -- runs

    @route(
        "POST",
        f"{_API}/runs/create",
        permission=_CREATE,
        executes=("experiment_id", "user_id", "run_name", "start_time", "tags.*"),
    )
    def create_run(self, request: Request) -> dict[str, Any]:
        body = request.json()
        run = self._runs.create(
            body.get("experiment_id", "") or "0",
            body.get("run_name", ""),
            body.get("user_id", ""),
            whole(body.get("start_time"), "start_time"),
            values.tags(body.get("tags")),
        )
        return {"run": run}

    @route("GET", f"{_API}/runs/get", permission=_READ, executes=("run_id", "run_uuid"))
    def get_run(self, request: Request) -> dict[str, Any]:
        return {"run": self._runs.get(_run(request.query))}

    @route(
        "POST",
        f"{_API}/runs/update",
        permission=_WRITE,
        executes=("run_id", "run_uuid", "status", "end_time", "run_name"),
    )
    def update_run(self, request: Request) -> dict[str, Any]:
        body = request.json()
        info = self._runs.update(
            _run(body), body.get("status", ""), whole(body.get("end_time"), "end_time"), body.get("run_name", "")
        )
        return {"run_info": info}

    @route("POST", f"{_API}/runs/delete", permission=_REMOVE, executes=("run_id",))
    def delete_run(self, request: Request) -> dict[str, Any]:
        self._runs.set_stage(_run(request.json()), DELETED)
        return {}

    @route("POST", f"{_API}/runs/restore", permission=_WRITE, executes=("run_id",))
    def restore_run(self, request: Request) -> dict[str, Any]:
        self._runs.set_stage(_run(request.json()), ACTIVE)
        return {}

    @route(
        "POST",
        f"{_API}/runs/search",
        permission=_READ,
        executes=(*_PAGE, "experiment_ids", "filter", "run_view_type", "order_by"),
    )
    def search_runs(self, request: Request) -> dict[str, Any]:
        body = request.json()
        page = _Page(body, "runs", 1000)
        found, then = self._runs.search(
            body.get("experiment_ids", []),
            body.get("run_view_type", ""),
            body.get("filter", ""),
            body.get("order_by", []),
            page.size,
            page.offset,
        )
        return page.answer("runs", found, then)

    # -- what runs log

    @route(
        "POST",
        f"{_API}/runs/log-metric",
        permission=_WRITE,
        executes=("run_uuid", *_METRIC),
    )
    def log_metric(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._log(_run(body), metrics=[body])
        return {}

    @route("POST", f"{_API}/runs/log-parameter", permission=_WRITE, executes=("run_id", "run_uuid", "key", "value"))
    def log_parameter(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._runs.log(_run(body), params=[body])
        return {}

    @route(
        "POST",
        f"{_API}/runs/log-batch",
        permission=_WRITE,
        executes=("run_id", *(f"metrics.{each}" for each in _METRIC), "params.*", "tags.*"),
    )
    def log_batch(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._log(_run(body), metrics=body.get("metrics", []), params=body.get("params", []), tags=body.get("tags", []))
        return {}

    def _log(self, run: str, *, metrics: list[dict[str, Any]], **more: Any) -> None:
        with self._runs.transaction():
            self._runs.log(run, metrics=metrics, **more)
            self._models.add_metrics(run, metrics)

    @route("POST", f"{_API}/runs/set-tag", permission=_WRITE, executes=("run_id", "run_uuid", "key", "value"))
    def set_tag(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._runs.log(_run(body), tags=[body])
        return {}

    @route("POST", f"{_API}/runs/delete-tag", permission=_WRITE, executes=("run_id", "key"))
    def delete_tag(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._runs.change_tags(_run(body), lambda tags: _removed(tags, body.get("key", "")))
        return {}

    @route("POST", f"{_API}/runs/log-inputs", permission=_WRITE, executes=("run_id", "datasets.*", "models.*"))
    def log_inputs(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._runs.note(_run(body), datasets=body.get("datasets", []), model_inputs=body.get("models", []))
        return {}

    @route("POST", f"{_API}/runs/outputs", permission=_WRITE, executes=("run_id", "models.*"))
    def log_outputs(self, request: Request) -> dict[str, Any]:
        body = request.json()
        self._runs.note(_run(body), model_outputs=body.get("models", []))
        return {}

    @route(
        "GET",
        f"{_API}/metrics/get-history",
        permission=_READ,
        executes=("run_id", "run_uuid", "metric_key", *_PAGE),
    )
    def get_metric_history(self, request: Request) -> dict[str, Any]:
        query = request.query
        run, key = _run(query), query.get("metric_key", "")
        size = min(whole(query.get("max_results"), "max_results", _HISTORY_PAGE), _HISTORY_PAGE)
        asked = ("mlflow history", run, key)
        token = query.get("page_token", "")
        place = pages.key_of(asked, token) if token else None
        found = self._runs.history(run, key, most=size, after=(place[0], place[1]) if place else None)
        metrics = [
            {"key": key, "value": written(point.value), "timestamp": point.moment // 1000, "step": point.step}
            for _, point in found
        ]
        then = {"next_page_token": pages.token(asked, list(found[-1][0]))} if len(found) == size else {}
        return {"metrics": metrics, **then}

    # -- logged models

    @route(
        "POST",
        f"{_API}/logged-models",
        permission="aiplatform.artifacts.create",
        executes=("experiment_id", "name", "model_type", "source_run_id", "params.*", "tags.*"),
    )
    def create_logged_model(self, request: Request) -> dict[str, Any]:
        body = request.json()
        return {"model": self._models.create(body, values.tags(body.get("tags")), _params(body))}

    @route("GET", f"{_API}/logged-models/{{model}}", permission="aiplatform.artifacts.get")
    def get_logged_model(self, request: Request) -> dict[str, Any]:
        return {"model": self._models.get(request.params["model"])}

    @route(
        "PATCH",
        f"{_API}/logged-models/{{model}}",
        permission="aiplatform.artifacts.update",
        executes=("model_id", "status"),
    )
    def finalize_logged_model(self, request: Request) -> dict[str, Any]:
        status = request.json().get("status", "")
        numbered = {1: "LOGGED_MODEL_PENDING", 2: "LOGGED_MODEL_READY", 3: "LOGGED_MODEL_UPLOAD_FAILED"}
        return {"model": self._models.finalize(request.params["model"], numbered.get(status, status))}

    @route(
        "DELETE", f"{_API}/logged-models/{{model}}", permission="aiplatform.artifacts.delete", executes=("model_id",)
    )
    def delete_logged_model(self, request: Request) -> dict[str, Any]:
        self._models.delete(request.params["model"])
        return {}

    @route(
        "POST",
        f"{_API}/logged-models/search",
        permission="aiplatform.artifacts.list",
        executes=(*_PAGE, "experiment_ids", "filter", "order_by.field_name", "order_by.ascending"),
    )
    def search_logged_models(self, request: Request) -> dict[str, Any]:
        body = request.json()
        page = _Page(body, "models", 50)
        order = [
            f"{each.get('field_name', '')} {'ASC' if each.get('ascending', True) else 'DESC'}"
            for each in body.get("order_by", [])
        ]
        found, then = self._models.search(
            body.get("experiment_ids", []), body.get("filter", ""), order, page.size, page.offset
        )
        return page.answer("models", found, then)

    @route(
        "PATCH",
        f"{_API}/logged-models/{{model}}/tags",
        permission="aiplatform.artifacts.update",
        executes=("model_id", "tags.*"),
    )
    def set_logged_model_tags(self, request: Request) -> dict[str, Any]:
        given = values.tags(request.json().get("tags"))
        return {"model": self._models.change_tags(request.params["model"], lambda tags: tags.update(given))}

    @route(
        "DELETE",
        f"{_API}/logged-models/{{model}}/tags/{{tag}}",
        permission="aiplatform.artifacts.update",
        executes=("model_id", "tag_key"),
    )
    def delete_logged_model_tag(self, request: Request) -> dict[str, Any]:
        self._models.change_tags(request.params["model"], lambda tags: _removed(tags, request.params["tag"]))
        return {}

    @route(
        "POST",
        f"{_API}/logged-models/{{model}}/params",
        permission="aiplatform.artifacts.update",
        executes=("model_id", "params.*"),
    )
    def log_logged_model_params(self, request: Request) -> dict[str, Any]:
        self._models.add_params(request.params["model"], _params(request.json()))
        return {}

    @route(
        "GET",
        f"{_API}/logged-models/{{model}}/artifacts/directories",
        permission="aiplatform.artifacts.get",
        executes=("artifact_directory_path", "page_token"),
    )
    def list_logged_model_artifacts(self, request: Request) -> dict[str, Any]:
        uri = self._models.get(request.params["model"])["info"]["artifact_uri"]
        return self._listed(uri, request.query.get("artifact_directory_path", ""))

    # -- files

    @route("GET", f"{_API}/artifacts/list", permission=_READ, executes=("run_id", "run_uuid", "path", "page_token"))
    def list_artifacts(self, request: Request) -> dict[str, Any]:
        uri = self._runs.get(_run(request.query))["info"]["artifact_uri"]
        return self._listed(uri, request.query.get("path", ""))

    def _listed(self, uri: str, path: str) -> dict[str, Any]:
        return {"root_uri": uri, "files": self._artifacts.list_at(uri, path)}

    @route("GET", f"{_FILES}/artifacts", permission=_READ, executes=("path",))
    def list_files(self, request: Request) -> dict[str, Any]:
        return {"files": self._artifacts.listed(request.query.get("path", ""))}

    @route("PUT", f"{_FILES}/artifacts/{{path:path}}", permission=_WRITE, streams=True)
    def upload_artifact(self, request: Request) -> dict[str, Any]:
        self._artifacts.put(request.params["path"], request.chunks())
        return {}

    @route("GET", f"{_FILES}/artifacts/{{path:path}}", permission=_READ)
    def download_artifact(self, request: Request) -> Reply:
        path = self._artifacts.file(request.params["path"])
        return Reply(
            200, path, {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        )

    @route("DELETE", f"{_FILES}/artifacts/{{path:path}}", permission=_REMOVE)
    def delete_artifact(self, request: Request) -> dict[str, Any]:
        self._artifacts.delete(request.params["path"])
        return {}

    # -- what is not here

    @route("GET", f"{_API}/{{rest:path}}", permission=_READ, executes=("*",))
    @route("POST", f"{_API}/{{rest:path}}", permission=_WRITE, executes=("*",))
    @route("PATCH", f"{_API}/{{rest:path}}", permission=_WRITE, executes=("*",))
    @route("DELETE", f"{_API}/{{rest:path}}", permission=_WRITE, executes=("*",))
    def refuse(self, request: Request) -> dict[str, Any]:
        """Everything else of the API, refused by name."""
        what = request.params["rest"]
        registry = what.startswith(("registered-models", "model-versions"))
        do = "upload the files with aiplatform.Model.upload" if registry else "see docs/experiments.md for what is done"
        raise Unimplemented(f"Tule does not do {request.method} {what} of MLflow", do=do)


class _Page:
    """The page that a search asks for."""

    def __init__(self, body: dict[str, Any], what: str, usual: int) -> None:
        size = whole(body.get("max_results"), "max_results", usual)
        if not 1 <= size <= _LARGEST_PAGE:
            raise InvalidArgument(f"max_results must be 1 to {_LARGEST_PAGE}", given=size)
        self.size = size
        asked = {key: value for key, value in body.items() if key not in _PAGE}
        self._asked = ("mlflow", what, repr(sorted(asked.items())))
        token = body.get("page_token", "")
        self.offset = int(pages.key_of(self._asked, token)[0]) if token else 0

    def answer(self, name: str, found: list[dict[str, Any]], then: int | None) -> dict[str, Any]:
        return {name: found, **({"next_page_token": pages.token(self._asked, [then])} if then is not None else {})}


def _asked(request: Request) -> dict[str, Any]:
    if request.method != "GET":
        return request.json()
    return {**request.query, "order_by": request.query_list("order_by")}


def _run(body: dict[str, Any]) -> str:
    return str(body.get("run_id") or body.get("run_uuid") or "")


def _params(body: dict[str, Any]) -> dict[str, str]:
    return {values.key(each.get("key"), "param"): values.param(each.get("value")) for each in body.get("params") or ()}


def _removed(tags: dict[str, str], key: str) -> None:
    if key not in tags:
        raise InvalidArgument("The tag must be set to be deleted", given=key or "none")
    del tags[key]
