"""Bare servers that do the least: the reference figures of the other benchmarks.

``python benchmarks/canned.py PORT`` answers every BigQuery call with one fixed result of ``SELECT 1``;
``python benchmarks/canned.py PORT FILE`` gives back recorded answers by path (and page token behind ``#``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson

ANSWER = orjson.dumps(
    {
        "kind": "bigquery#queryResponse",
        "schema": {"fields": [{"name": "f0_", "type": "INTEGER", "mode": "NULLABLE"}]},
        "jobReference": {"projectId": "p", "jobId": "job", "location": "US"},
        "totalRows": "1",
        "rows": [{"f": [{"v": "1"}]}],
        "totalBytesProcessed": "0",
        "jobComplete": True,
        "cacheHit": False,
    }
)
HEADERS = [(b"content-type", b"application/json; charset=UTF-8")]
RECORDED: dict[str, bytes] = {}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    orjson.loads(body or b"{}")
    answer = ANSWER
    if RECORDED:
        key = scope["path"]
        if key.endswith("/data"):
            key += "#" + parse_qs(scope["query_string"].decode()).get("pageToken", [""])[0]
        answer = RECORDED[key]
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    import uvicorn

    if len(sys.argv) > 2:
        read = orjson.loads(Path(sys.argv[2]).read_bytes())
        RECORDED |= {key: orjson.dumps(value) for key, value in read.items()}
    uvicorn.run(application, port=int(sys.argv[1]), log_level="error", access_log=False)
