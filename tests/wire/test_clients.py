"""Clients of other kinds under interception: they choose HTTP/2 by themselves, keep proxy connections, send big uploads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients


def curl(server: ServerProcess, *arguments: str) -> str:
    command = ["curl", "-sS", "--max-time", "30", "-H", f"Authorization: Bearer {server.token}", *arguments]
    return server.exec(command).stdout


def test_curl_that_would_speak_http_2_reaches_json_and_gapic_apis(server: ServerProcess) -> None:
    write = ("-w", "%{http_version} %{http_code}", "-o", "/dev/null", "--http2")
    assert curl(server, *write, "https://bigquery.googleapis.com/bigquery/v2/projects/p/datasets") == "1.1 200"
    path = "v1/projects/p/locations/us-central1/endpoints"
    assert curl(server, *write, f"https://us-central1-aiplatform.googleapis.com/{path}") == "1.1 200"


def test_curl_posts_what_waits_for_the_go_ahead(server: ServerProcess, tmp_path: Path) -> None:
    sql = "SELECT LENGTH('" + "x" * 200_000 + "') AS n"
    (tmp_path / "body").write_text(json.dumps({"query": sql, "useLegacySql": False}))
    url = "https://bigquery.googleapis.com/bigquery/v2/projects/p/queries"
    answer = json.loads(curl(server, "-H", "Expect: 100-continue", "-d", f"@{tmp_path}/body", url))
    assert answer["rows"] == [{"f": [{"v": "200000"}]}]


def test_a_proxy_connection_serves_one_host(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool keeps one connection to its proxy for all hosts without TLS: ours is closed after an answer of ours."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    done = server.exec(
        """
import threading, http.server, requests

class Other(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"other")
    def log_message(self, *about): pass

other = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Other)
threading.Thread(target=other.serve_forever, daemon=True).start()
session = requests.Session()
headers = {"Metadata-Flavor": "Google"}
for _ in range(2):
    print(session.get("http://metadata.google.internal/computeMetadata/v1/project/project-id", headers=headers).text)
    print(session.get(f"http://127.0.0.2:{other.server_port}/").text)
""",
        offline=False,
    )
    assert done.stdout.split() == ["test-project", "other"] * 2
