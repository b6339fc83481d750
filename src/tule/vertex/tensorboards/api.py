"""The door of tensorboards: google.cloud.aiplatform TensorboardService."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tule.kernel.errors import InvalidArgument
from tule.kernel.operations import Operation, Progress
from tule.kernel.records import Point
from tule.vertex.messages import finisher, metadata, read_masked
from tule.vertex.tensorboards.levels import EXPERIMENT, RUN, SERIES, TENSORBOARD, Level, tensorboard_of
from tule.vertex.tensorboards.series import SeriesData
from tule.vertex.tensorboards.tensorboards import Tensorboards
from tule.wire.service import Call, Platform, Service, rpc
from tule.wire.surfaces import pb, pb_class
from tule.wire.transcode import to_dict

_LISTED = ("parent", "filter", "order_by", "page_size", "page_token", "read_mask")
_PAGES = {TENSORBOARD: (100, 100), EXPERIMENT: (50, 1000), RUN: (50, 1000), SERIES: (50, 1000)}
_DATA = ("tensorboard_time_series_id", "value_type", "values.*")
_BOARD = tuple(f"tensorboard.{each}" for each in ("name", "display_name", "labels", "etag", "is_default"))
_EXPERIMENT = tuple(f"tensorboard_experiment.{each}" for each in ("name", "display_name", "labels", "etag"))
_RUN = tuple(f"tensorboard_run.{each}" for each in ("name", "display_name", "labels", "etag"))
_SERIES = tuple(f"tensorboard_time_series.{each}" for each in ("name", "display_name", "etag", "value_type"))
_SERIES_KEPT = tuple(f"tensorboard_time_series.{each}" for each in ("description", "plugin_name", "plugin_data"))


def _inside(prefix: str, fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}.{each}" for each in fields)


class TensorboardService(Service):
    """Tensorboards, experiments, runs, time series and their points."""

    packages = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1beta1")
    service = "TensorboardService"

    def __init__(self, platform: Platform, tensorboards: Tensorboards) -> None:
        super().__init__(platform)
        self._boards = tensorboards
        self._points = tensorboards.points

    # -- tensorboards

    @rpc(permission="aiplatform.tensorboards.create", executes=("parent", *_BOARD), stores=("tensorboard.description",))
    def create_tensorboard(self, request: Any, call: Call) -> Operation:
        message = to_dict(request.tensorboard)
        if not message.get("displayName"):
            raise InvalidArgument("A tensorboard must have a display name", given="none")

        def work(progress: Progress) -> dict[str, Any]:
            return self._boards.create(TENSORBOARD, request.parent, "", message)

        return call.start(request.parent, work, metadata=metadata(call), target=request.parent)

    @rpc(permission="aiplatform.tensorboards.get", executes=("name",))
    def get_tensorboard(self, request: Any, call: Call) -> dict[str, Any]:
        return self._boards.get(TENSORBOARD, request.name)

    @rpc(permission="aiplatform.tensorboards.list", executes=_LISTED)
    def list_tensorboards(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(TENSORBOARD, request, "tensorboards")

    @rpc(
        permission="aiplatform.tensorboards.update",
        executes=("update_mask", *_BOARD),
        stores=("tensorboard.description",),
    )
    def update_tensorboard(self, request: Any, call: Call) -> Operation:
        message, mask = to_dict(request.tensorboard), list(pb(request).update_mask.paths)
        name = request.tensorboard.name
        self._boards.get(TENSORBOARD, name)

        def work(progress: Progress) -> dict[str, Any]:
            return self._boards.update(TENSORBOARD, message, mask)

        return call.start(name.rsplit("/", 2)[0], work, metadata=metadata(call), target=name)

    @rpc(permission="aiplatform.tensorboards.delete", executes=("name",))
    def delete_tensorboard(self, request: Any, call: Call) -> Operation:
        return self._delete(TENSORBOARD, request.name, call)

    @rpc(permission="aiplatform.tensorboards.get", executes=("tensorboard",))
    def read_tensorboard_usage(self, request: Any, call: Call) -> dict[str, Any]:
        return {
            "monthlyUsageData": {
                month: {"userUsageData": [{"username": who, "viewCount": count} for who, count in views.items()]}
                for month, views in self._boards.usage(request.tensorboard).items()
            }
        }

    @rpc(permission="aiplatform.tensorboards.get", executes=("tensorboard",))
    def read_tensorboard_size(self, request: Any, call: Call) -> dict[str, Any]:
        return {"storageSizeByte": str(self._boards.size(request.tensorboard))}

    # -- experiments

    @rpc(
        permission="aiplatform.tensorboardExperiments.create",
        executes=("parent", "tensorboard_experiment_id", *_EXPERIMENT),
        stores=("tensorboard_experiment.description", "tensorboard_experiment.source"),
    )
    def create_tensorboard_experiment(self, request: Any, call: Call) -> dict[str, Any]:
        message = to_dict(request.tensorboard_experiment)
        return self._boards.create(EXPERIMENT, request.parent, request.tensorboard_experiment_id, message)

    @rpc(permission="aiplatform.tensorboardExperiments.get", executes=("name",))
    def get_tensorboard_experiment(self, request: Any, call: Call) -> dict[str, Any]:
        return self._boards.get(EXPERIMENT, request.name)

    @rpc(permission="aiplatform.tensorboardExperiments.list", executes=_LISTED)
    def list_tensorboard_experiments(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(EXPERIMENT, request, "tensorboardExperiments")

    @rpc(
        permission="aiplatform.tensorboardExperiments.update",
        executes=("update_mask", *_EXPERIMENT, "tensorboard_experiment.source"),
        stores=("tensorboard_experiment.description",),
    )
    def update_tensorboard_experiment(self, request: Any, call: Call) -> dict[str, Any]:
        return self._update(EXPERIMENT, request, request.tensorboard_experiment)

    @rpc(permission="aiplatform.tensorboardExperiments.delete", executes=("name",))
    def delete_tensorboard_experiment(self, request: Any, call: Call) -> Operation:
        return self._delete(EXPERIMENT, request.name, call)

    # -- runs

    @rpc(
        permission="aiplatform.tensorboardRuns.create",
        executes=("parent", "tensorboard_run_id", *_RUN),
        stores=("tensorboard_run.description",),
    )
    def create_tensorboard_run(self, request: Any, call: Call) -> dict[str, Any]:
        return self._boards.create(RUN, request.parent, request.tensorboard_run_id, to_dict(request.tensorboard_run))

    @rpc(
        permission="aiplatform.tensorboardRuns.batchCreate",
        executes=("parent", "requests.parent", "requests.tensorboard_run_id", *_inside("requests", _RUN)),
        stores=("requests.tensorboard_run.description",),
    )
    def batch_create_tensorboard_runs(self, request: Any, call: Call) -> dict[str, Any]:
        for each in request.requests:
            if each.parent != request.parent:
                raise InvalidArgument("The parent of each run must be that of the batch", given=each.parent or "none")
        wanted = [
            (RUN, each.parent, each.tensorboard_run_id, to_dict(each.tensorboard_run)) for each in request.requests
        ]
        return {"tensorboardRuns": self._boards.create_all(wanted)}

    @rpc(permission="aiplatform.tensorboardRuns.get", executes=("name",))
    def get_tensorboard_run(self, request: Any, call: Call) -> dict[str, Any]:
        return self._boards.get(RUN, request.name)

    @rpc(permission="aiplatform.tensorboardRuns.list", executes=_LISTED)
    def list_tensorboard_runs(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(RUN, request, "tensorboardRuns")

    @rpc(
        permission="aiplatform.tensorboardRuns.update",
        executes=("update_mask", *_RUN),
        stores=("tensorboard_run.description",),
    )
    def update_tensorboard_run(self, request: Any, call: Call) -> dict[str, Any]:
        return self._update(RUN, request, request.tensorboard_run)

    @rpc(permission="aiplatform.tensorboardRuns.delete", executes=("name",))
    def delete_tensorboard_run(self, request: Any, call: Call) -> Operation:
        return self._delete(RUN, request.name, call)

    # -- time series

    @rpc(
        permission="aiplatform.tensorboardTimeSeries.create",
        executes=("parent", "tensorboard_time_series_id", *_SERIES),
        stores=_SERIES_KEPT,
    )
    def create_tensorboard_time_series(self, request: Any, call: Call) -> dict[str, Any]:
        message = to_dict(request.tensorboard_time_series)
        return self._boards.create(SERIES, request.parent, request.tensorboard_time_series_id, message)

    @rpc(
        permission="aiplatform.tensorboardTimeSeries.batchCreate",
        executes=("parent", "requests.parent", "requests.tensorboard_time_series_id", *_inside("requests", _SERIES)),
        stores=_inside("requests", _SERIES_KEPT),
    )
    def batch_create_tensorboard_time_series(self, request: Any, call: Call) -> dict[str, Any]:
        for each in request.requests:
            if not each.parent.startswith(f"{request.parent}/"):
                raise InvalidArgument(
                    "The runs must be those of the batch's experiment", given=each.parent or "none", do=request.parent
                )
        wanted = [
            (SERIES, each.parent, each.tensorboard_time_series_id, to_dict(each.tensorboard_time_series))
            for each in request.requests
        ]
        return {"tensorboardTimeSeries": self._boards.create_all(wanted)}

    @rpc(permission="aiplatform.tensorboardTimeSeries.get", executes=("name",))
    def get_tensorboard_time_series(self, request: Any, call: Call) -> dict[str, Any]:
        return self._boards.get(SERIES, request.name)

    @rpc(permission="aiplatform.tensorboardTimeSeries.list", executes=_LISTED)
    def list_tensorboard_time_series(self, request: Any, call: Call) -> dict[str, Any]:
        return self._list(SERIES, request, "tensorboardTimeSeries")

    @rpc(
        permission="aiplatform.tensorboardTimeSeries.update",
        executes=("update_mask", *_SERIES),
        stores=_SERIES_KEPT,
    )
    def update_tensorboard_time_series(self, request: Any, call: Call) -> dict[str, Any]:
        return self._update(SERIES, request, request.tensorboard_time_series)

    @rpc(permission="aiplatform.tensorboardTimeSeries.delete", executes=("name",))
    def delete_tensorboard_time_series(self, request: Any, call: Call) -> Operation:
        return self._delete(SERIES, request.name, call)

    # -- points

    @rpc(
        permission="aiplatform.tensorboardRuns.write",
        executes=("tensorboard_run", *_inside("time_series_data", _DATA)),
    )
    def write_tensorboard_run_data(self, request: Any, call: Call) -> None:
        message = pb(request)
        self._points.write({message.tensorboard_run: self._given(message)})

    @rpc(
        permission="aiplatform.tensorboardExperiments.write",
        executes=("tensorboard_experiment", "write_run_data_requests.tensorboard_run",
                  *_inside("write_run_data_requests.time_series_data", _DATA)),
    )  # fmt: skip
    def write_tensorboard_experiment_data(self, request: Any, call: Call) -> None:
        message = pb(request)
        runs: dict[str, list[SeriesData]] = {}
        for each in message.write_run_data_requests:
            runs.setdefault(each.tensorboard_run, []).extend(self._given(each))
        self._points.write(runs, experiment=message.tensorboard_experiment)

    def _given(self, message: Any) -> list[SeriesData]:
        """The points that a request writes to one run; blobs that came with their bytes are stored."""
        found = []
        for data in message.time_series_data:
            kind = data.DESCRIPTOR.fields_by_name["value_type"].enum_type.values_by_number.get(data.value_type)
            series = f"{message.tensorboard_run}/timeSeries/{data.tensorboard_time_series_id}"
            points = [self._point(point, series) for point in data.values]
            found.append(SeriesData(data.tensorboard_time_series_id, kind.name if kind else "", points))
        return found

    def _point(self, point: Any, series: str) -> Point:
        moment = point.wall_time.seconds * 1_000_000 + point.wall_time.nanos // 1000
        kind = point.WhichOneof("value")
        if kind == "scalar":
            return Point(point.step, moment, point.scalar.value)
        if kind is None:
            raise InvalidArgument("A point must have a value", given=f"none at step {point.step} of {series}")
        if kind == "blobs":
            for blob in point.blobs.values:
                if blob.data:
                    blob.id = self._boards.blobs.add(series, blob.data)
                    blob.ClearField("data")
        return Point(point.step, moment, float("nan"), getattr(point, kind).SerializeToString())

    @rpc(
        permission="aiplatform.tensorboardTimeSeries.read",
        executes=("tensorboard_time_series", "max_data_points", "filter"),
    )
    def read_tensorboard_time_series_data(self, request: Any, call: Call) -> Any:
        name = request.tensorboard_time_series
        data = self._points.read(name, most=request.max_data_points, filter=request.filter)
        self._boards.viewed(tensorboard_of(name), call.principal.email)
        response = pb_class(call.method.response)()
        _fill(response.time_series_data, data)
        return response

    @rpc(permission="aiplatform.tensorboardTimeSeries.batchRead", executes=("tensorboard", "time_series"))
    def batch_read_tensorboard_time_series_data(self, request: Any, call: Call) -> Any:
        found = self._points.read_all(request.tensorboard, list(request.time_series))
        self._boards.viewed(request.tensorboard, call.principal.email)
        response = pb_class(call.method.response)()
        for data in found:
            _fill(response.time_series_data.add(), data)
        return response

    @rpc(
        permission="aiplatform.tensorboardTimeSeries.read",
        executes=("tensorboard_time_series", "filter", "page_size", "page_token", "order_by"),
    )
    def export_tensorboard_time_series_data(self, request: Any, call: Call) -> Any:
        name = request.tensorboard_time_series
        data, token = self._points.export(
            name,
            filter=request.filter,
            order_by=request.order_by,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        self._boards.viewed(tensorboard_of(name), call.principal.email)
        response = pb_class(call.method.response)(next_page_token=token)
        _fill_points(response.time_series_data_points, data)
        return response

    @rpc(permission="aiplatform.tensorboardTimeSeries.read", executes=("time_series", "blob_ids"))
    def read_tensorboard_blob_data(self, request: Any, call: Call) -> Iterator[Any]:
        series, ids = request.time_series, list(request.blob_ids)
        data = self._points.read(series, most=-1)
        if data.value_type != "BLOB_SEQUENCE":
            raise InvalidArgument("Blobs are read from a series of BLOB_SEQUENCE", given=f"{series}: {data.value_type}")
        self._boards.viewed(tensorboard_of(series), call.principal.email)
        kind = pb_class(call.method.response)

        def blobs() -> Iterator[Any]:
            for id in ids:
                response = kind()
                response.blobs.add(id=id, data=b"".join(self._boards.blobs.read(series, id)))
                yield response

        return blobs()

    # -- what the levels have in common

    def _list(self, level: Level, request: Any, field: str) -> dict[str, Any]:
        usual, largest = _PAGES[level]
        found, token = self._boards.page(
            level,
            request.parent,
            filter=request.filter,
            order_by=request.order_by,
            page_size=min(request.page_size or usual, largest),
            page_token=request.page_token,
        )
        return {field: read_masked(found, request), "nextPageToken": token}

    def _update(self, level: Level, request: Any, message: Any) -> dict[str, Any]:
        return self._boards.update(level, to_dict(message), list(pb(request).update_mask.paths))

    def _delete(self, level: Level, name: str, call: Call) -> Operation:
        self._boards.get(level, name)

        def work(progress: Progress) -> dict[str, Any]:
            finish = finisher(call, progress)
            self._boards.delete(level, name, finish=lambda: finish({}))
            return {}

        return call.start("/".join(name.split("/")[:4]), work, metadata=metadata(call), target=name)


def _fill(message: Any, data: SeriesData) -> None:
    message.tensorboard_time_series_id = data.series.rpartition("/")[2]
    field = message.DESCRIPTOR.fields_by_name["value_type"]
    message.value_type = field.enum_type.values_by_name[data.value_type].number
    _fill_points(message.values, data)


def _fill_points(values: Any, data: SeriesData) -> None:
    for point in data.points:
        made = values.add(step=point.step)
        made.wall_time.seconds, rest = divmod(point.moment, 1_000_000)
        made.wall_time.nanos = rest * 1000
        if point.payload is None:
            made.scalar.value = point.value
        else:
            (made.tensor if data.value_type == "TENSOR" else made.blobs).MergeFromString(point.payload)
