"""``tule tensorboard NAME``: the stock TensorBoard on what a Vertex AI tensorboard holds, written as event files.

TensorBoard's page reads event files; so the points are exported to them, and its own program shows them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tule.kernel.errors import FailedPrecondition, NotFound, Unavailable
from tule.wire.intercept.environment import Target


class _Api:
    """The TensorBoard service of a running server, over REST."""

    def __init__(self, target: Target) -> None:
        self.location = f"projects/{target.project}/locations/{target.location}"
        self._root = f"{target.url}/v1/"
        headers = {"Authorization": f"Bearer {target.token}"}
        self._client = httpx.Client(headers=headers, timeout=120, trust_env=False)

    def __enter__(self) -> _Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def pages(self, path: str, field: str, *, verb: str = "GET", **asked: str) -> Iterator[dict[str, Any]]:
        """The entries of a list, page after page; a method that takes a body is asked with POST."""
        token = ""
        while True:
            given = {**asked, "pageToken": token} if token else asked
            how: dict[str, Any] = {"params": given} if verb == "GET" else {"json": given}
            answer = self._client.request(verb, self._root + path, **how)
            if answer.status_code == 404:
                raise NotFound("The tensorboard must exist", given=path)
            if answer.status_code >= 400:
                raise Unavailable("The server must answer", given=answer.text[:500])
            body = answer.json()
            yield from body.get(field, ())
            token = body.get("nextPageToken", "")
            if not token:
                return


def export(target: Target, name: str, folder: Path) -> int:
    """Write the scalars and tensors of a tensorboard as event files, a folder a run; returns how many points."""
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise FailedPrecondition(
            "The package tensorboard must be installed", given="it is not", do="pip install 'tule[tensorboard]'"
        ) from None

    count = 0
    with _Api(target) as api:
        board = _find(api, name)
        for run in _runs(api, board):
            experiment, own = run["name"].split("/")[7], run["displayName"]
            writer = EventFileWriter(str(folder / experiment / own.replace("/", "_")))
            for series in api.pages(f"{run['name']}/timeSeries", "tensorboardTimeSeries", pageSize="1000"):
                first = True
                for point in api.pages(
                    f"{series['name']}:exportTensorboardTimeSeries",
                    "timeSeriesDataPoints",
                    verb="POST",
                    pageSize="10000",
                ):
                    value = summary_pb2.Summary.Value(tag=series["displayName"])
                    if "scalar" in point:
                        value.simple_value = float(point["scalar"].get("value", 0.0))
                    elif "tensor" in point:
                        value.tensor.CopyFrom(
                            tensor_pb2.TensorProto.FromString(base64.b64decode(point["tensor"]["value"]))
                        )
                        if first:
                            plugin = value.metadata.plugin_data
                            plugin.plugin_name = series.get("pluginName", "")
                            plugin.content = base64.b64decode(series.get("pluginData", ""))
                            value.metadata.data_class = summary_pb2.DATA_CLASS_TENSOR
                    else:
                        continue
                    first = False
                    event = event_pb2.Event(
                        step=int(point.get("step", 0)), wall_time=_moment(point.get("wallTime", ""))
                    )
                    event.summary.value.append(value)
                    writer.add_event(event)
                    count += 1
            writer.close()
    return count


def _find(api: _Api, name: str) -> str:
    """The resource name of a tensorboard, given so, by its id or by its display name."""
    boards = list(api.pages(f"{api.location}/tensorboards", "tensorboards"))
    for board in boards:
        if name in (board["name"], board["name"].rpartition("/")[2], board["displayName"]):
            return str(board["name"])
    known = ", ".join(board["displayName"] for board in boards) or "none"
    raise NotFound("The tensorboard must exist", given=name, do=f"name one of: {known}")


def _runs(api: _Api, board: str) -> Iterator[dict[str, Any]]:
    for experiment in api.pages(f"{board}/experiments", "tensorboardExperiments", pageSize="1000"):
        yield from api.pages(f"{experiment['name']}/runs", "tensorboardRuns", pageSize="1000")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
