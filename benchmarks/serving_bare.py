"""The reference of the serving benchmark: uvicorn, orjson and onnxruntime, and nothing else.

``python benchmarks/serving_bare.py PORT MODEL.onnx`` answers ``{"instances": [...]}`` at any path. The ONNX files are
written here by hand (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): a scaler with a linear classifier, and a
tree ensemble, are all the benchmark needs of the format.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# -- ONNX as bytes


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str | float) -> bytes:
    """One protobuf field: a varint, a 32-bit float, or something with a length."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name: str, value: Any) -> bytes:
    body = field(1, name)
    if isinstance(value, str):
        return body + field(4, value) + field(20, 3)
    if isinstance(value, int):
        return body + field(3, value) + field(20, 2)
    if value and isinstance(value[0], str):
        return body + b"".join(field(9, each) for each in value) + field(20, 8)
    if value and isinstance(value[0], int):
        return body + field(8, b"".join(varint(each) for each in value)) + field(20, 7)
    return body + field(7, struct.pack(f"<{len(value)}f", *value)) + field(20, 6)


def node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "ai.onnx.ml", **attributes: Any
) -> bytes:
    body = b"".join(field(1, each) for each in inputs) + b"".join(field(2, each) for each in outputs)
    body += field(4, kind) + b"".join(field(5, attribute(name, value)) for name, value in attributes.items())
    return body + field(7, domain)


def value_info(name: str, kind: int, shape: Iterable[int | None]) -> bytes:
    dimensions = b"".join(field(1, field(2, "n") if each is None else field(1, each)) for each in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dimensions)))


def model(nodes: Sequence[bytes], inputs: bytes, outputs: Sequence[bytes]) -> bytes:
    graph = b"".join(field(1, each) for each in nodes) + field(2, "g") + field(11, inputs)
    graph += b"".join(field(12, each) for each in outputs)
    opsets = field(8, field(1, "") + field(2, 15)) + field(8, field(1, "ai.onnx.ml") + field(2, 3))
    return field(1, 8) + opsets + field(7, graph)


def linear_classifier(scaler: Any, classifier: Any) -> bytes:
    """A fitted StandardScaler and a fitted binary LogisticRegression."""
    width = len(scaler.mean_)
    weights = [float(each) for each in classifier.coef_[0]]
    nodes = [
        node("Scaler", ["X"], ["S"], offset=[float(m) for m in scaler.mean_], scale=[1 / float(s) for s in scaler.scale_]),
        node(
            "LinearClassifier", ["S"], ["label", "scores"],
            coefficients=[*(-each for each in weights), *weights],
            intercepts=[-float(classifier.intercept_[0]), float(classifier.intercept_[0])],
            classlabels_ints=[int(each) for each in classifier.classes_], multi_class=1, post_transform="LOGISTIC",
        ),
    ]  # fmt: skip
    return model(nodes, value_info("X", 1, [None, width]), [value_info("label", 7, [None])])


def tree_ensemble(booster: Any, base_score: float, width: int) -> bytes:
    """An XGBoost booster with a binary objective."""
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing")
    }
    leaves: dict[str, list[Any]] = {"treeids": [], "nodeids": [], "weights": []}
    for tree, text in enumerate(booster.get_dump(dump_format="json")):
        waiting = [json.loads(text)]
        while waiting:
            each = waiting.pop()
            leaf = "leaf" in each
            row = (
                tree, each["nodeid"], 0 if leaf else int(each["split"].lstrip("f")),
                0.0 if leaf else float(each["split_condition"]), "LEAF" if leaf else "BRANCH_LT",
                0 if leaf else each["yes"], 0 if leaf else each["no"], 0 if leaf else int(each["missing"] == each["yes"]),
            )  # fmt: skip
            for name, value in zip(columns, row, strict=True):
                columns[name].append(value)
            if leaf:
                leaves["treeids"].append(tree)
                leaves["nodeids"].append(each["nodeid"])
                leaves["weights"].append(float(each["leaf"]))
            waiting.extend(each.get("children", []))
    names = {"missing": "missing_value_tracks_true"}
    ensemble = node(
        "TreeEnsembleRegressor", ["X"], ["margin"],
        **{f"nodes_{names.get(name, name)}": values for name, values in columns.items()},
        **{f"target_{name}": values for name, values in leaves.items()},
        target_ids=[0] * len(leaves["weights"]), n_targets=1, base_values=[base_score],
    )  # fmt: skip
    logistic = node("Sigmoid", ["margin"], ["scores"], domain="")
    return model([ensemble, logistic], value_info("X", 1, [None, width]), [value_info("scores", 1, [None, 1])])


# -- the application


def application(path: Path) -> Any:
    import numpy as np
    import onnxruntime
    import orjson

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    output = session.get_outputs()[0].name

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        rows = np.array(orjson.loads(body)["instances"], dtype=np.float32)
        answer = orjson.dumps({"predictions": session.run([output], {"X": rows})[0].ravel().tolist()})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(Path(sys.argv[2])), port=int(sys.argv[1]), log_level="error", access_log=False)
