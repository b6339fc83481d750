"""The Data Transfer API by its stock client, over both transports."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_scheduled_query(tule_exec: Callable[..., subprocess.CompletedProcess[str]], transport: str) -> None:
    done = tule_exec(
        """
import time
from datetime import datetime, timezone
from google.api_core import exceptions
from google.cloud import bigquery, bigquery_datatransfer as transfer
bq = bigquery.Client()
bq.create_dataset("scheduled_TRANSPORT", exists_ok=True)
client = transfer.DataTransferServiceClient(transport="TRANSPORT")
parent = client.common_project_path(bq.project)
print([each.data_source_id for each in client.list_data_sources(parent=parent)])
config = transfer.TransferConfig(
    display_name="daily", data_source_id="scheduled_query", destination_dataset_id="scheduled_TRANSPORT",
    schedule="every day 09:00",
    params={"query": "SELECT @run_date AS day", "destination_table_name_template": "days_{run_date}",
            "write_disposition": "WRITE_TRUNCATE"})
made = client.create_transfer_config(parent=parent, transfer_config=config)
print(made.state.name, made.next_run_time.hour)
started = client.start_manual_transfer_runs(transfer.StartManualTransferRunsRequest(
    parent=made.name, requested_run_time=datetime(2026, 1, 2, tzinfo=timezone.utc)))
while client.get_transfer_run(name=started.runs[0].name).state.name in ("PENDING", "RUNNING"):
    time.sleep(0.05)
print(client.get_transfer_run(name=started.runs[0].name).state.name)
print(list(bq.query_and_wait("SELECT * FROM scheduled_TRANSPORT.days_20260102"))[0].values())
made.schedule = "every 6 hours"
print(client.update_transfer_config(transfer_config=made, update_mask={"paths": ["schedule"]}).schedule)
for bad in (transfer.TransferConfig(display_name="x", data_source_id="google_ads"),
            transfer.TransferConfig(display_name="x", data_source_id="scheduled_query", params={"query": "SELECT 1"},
                                    email_preferences={"enable_failure_email": True})):
    try:
        client.create_transfer_config(parent=parent, transfer_config=bad)
    except exceptions.GoogleAPICallError as error:
        print(type(error).__name__, error.message)
client.delete_transfer_config(name=made.name)
print(len(list(client.list_transfer_configs(parent=parent))))
""".replace("TRANSPORT", transport)
    )
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "['scheduled_query']",
        "PENDING 9",
        "SUCCEEDED",
        "(datetime.date(2026, 1, 2),)",
        "every 6 hours",
    ]
    assert "data_source_id must be scheduled_query" in lines[5] and lines[5].split()[0] in (
        "InvalidArgument",
        "BadRequest",
    )
    assert "MethodNotImplemented" in lines[6] and "Tule does not do transfer_config.email_preferences" in lines[6]
    assert lines[7] == "0"
