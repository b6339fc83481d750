"""Scheduled queries: schedule texts, runs on the clock, backfills, failures, restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.bigquery.conftest import PROJECT, BigQueryApi, opened

from tule.bigquery.transfers import schedules
from tule.bigquery.transfers.transfers import Transfers, destination
from tule.kernel.clock import VirtualClock
from tule.kernel.errors import InvalidArgument, NotFound

PARENT = f"projects/{PROJECT}/locations/us"
OWNER = {"email": "me@example.com", "owner": True}
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday


def runs(text: str, count: int = 3, after: datetime = NOON) -> list[str]:
    schedule = schedules.read(text)
    found = []
    for _ in range(count):
        after = schedule.next_after(after, NOON)
        found.append(after.strftime("%a %d %b %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("every 24 hours", ["Wed 25 Nov 12:00", "Thu 26 Nov 12:00", "Fri 27 Nov 12:00"]),
        ("every 15 minutes", ["Tue 24 Nov 12:15", "Tue 24 Nov 12:30", "Tue 24 Nov 12:45"]),
        ("every 6 hours from 08:00 to 20:00", ["Tue 24 Nov 14:00", "Tue 24 Nov 20:00", "Wed 25 Nov 08:00"]),
        ("every day 09:00", ["Wed 25 Nov 09:00", "Thu 26 Nov 09:00", "Fri 27 Nov 09:00"]),
        ("Every Mon,wed 17:30", ["Wed 25 Nov 17:30", "Mon 30 Nov 17:30", "Wed 02 Dec 17:30"]),
        ("1st,third monday of month 15:30", ["Mon 07 Dec 15:30", "Mon 21 Dec 15:30", "Mon 04 Jan 15:30"]),
        ("first sunday of quarter 00:00", ["Sun 03 Jan 00:00", "Sun 04 Apr 00:00", "Sun 04 Jul 00:00"]),
        ("every fri of jan,jun 13:15", ["Fri 01 Jan 13:15", "Fri 08 Jan 13:15", "Fri 15 Jan 13:15"]),
        ("1,15 of month 06:00", ["Tue 01 Dec 06:00", "Tue 15 Dec 06:00", "Fri 01 Jan 06:00"]),
    ],
)
def test_when_a_schedule_runs(text: str, expected: list[str]) -> None:
    assert runs(text) == expected


@pytest.mark.parametrize(
    "text",
    ["hourly", "every day 25:00", "every 1 minutes", "2nd noday of month 10:00", "40 of month 01:00", "every day"],
)
def test_a_text_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"every day 09:00|every 5 minutes"):
        schedules.read(text)


def test_destination_templates() -> None:
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    assert destination("t_{run_date}", moment) == "t_20260101"
    assert destination('t_{run_time-1h|"%Y%m%d_%H"}', moment) == "t_20251231_23"
    with pytest.raises(InvalidArgument, match="must give a table's name"):
        destination("t_{today}", moment)
    with pytest.raises(InvalidArgument, match="must give a table's name"):
        destination("t$20260101", moment)


def transfers(api: BigQueryApi) -> Transfers:
    found: Transfers = api.app.transfers
    return found


def config(query: str, *, schedule: str = "every 24 hours", **more: Any) -> dict[str, Any]:
    params = {"query": query} | more.pop("params", {})
    return {
        "displayName": "nightly", "dataSourceId": "scheduled_query", "params": params, "schedule": schedule, **more
    }  # fmt: skip


def states(api: BigQueryApi, name: str) -> list[str]:
    return [each["state"] for each in transfers(api).list_runs(name, [], False, page_size=0, page_token="")[0]]


def settled(api: BigQueryApi, name: str, count: int) -> list[str]:
    """The states once ``count`` runs have ended; runs at once are on threads of their own."""
    import time

    deadline = time.monotonic() + 30
    while True:
        found = states(api, name)
        if len(found) == count and not {"PENDING", "RUNNING"} & set(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def test_a_scheduled_query_fills_a_table_each_day(timed: BigQueryApi, clock: VirtualClock) -> None:
    made = transfers(timed).create(
        PARENT,
        config(
            "SELECT @run_date AS day, @run_time AS moment",
            schedule="every day 09:00",
            destinationDatasetId="d",
            params={"destination_table_name_template": "days", "write_disposition": "WRITE_APPEND"},
        ),
        OWNER,
    )
    assert made["nextRunTime"] == "2026-11-25T09:00:00.000000Z"
    clock.advance(timedelta(days=3))
    assert settled(timed, made["name"], 3) == ["SUCCEEDED"] * 3
    assert [row[0] for row in timed.rows("SELECT CAST(day AS STRING) FROM d.days ORDER BY day")] == [
        "2026-11-25", "2026-11-26", "2026-11-27",
    ]  # fmt: skip
    assert transfers(timed).get(made["name"])["nextRunTime"] == "2026-11-28T09:00:00.000000Z"
    jobs = timed.ok("GET", "jobs", params={"allUsers": "true"})["jobs"]
    assert sum(each["jobReference"]["jobId"].startswith("scheduled_query_") for each in jobs) == 3


def test_an_interval_runs_at_once_and_then_in_its_rhythm(timed: BigQueryApi, clock: VirtualClock) -> None:
    made = transfers(timed).create(PARENT, config("SELECT 1", schedule="every 12 hours"), OWNER)
    settled(timed, made["name"], 1)
    clock.advance(timedelta(hours=24))
    assert settled(timed, made["name"], 3) == ["SUCCEEDED"] * 3


def test_a_failing_query_says_why_in_its_run_and_its_log(timed: BigQueryApi) -> None:
    service = transfers(timed)
    made = service.create(PARENT, config("SELECT * FROM d.nothing", schedule="every day 09:00"), OWNER)
    service.start_manual(made["name"], [NOON])
    assert settled(timed, made["name"], 1) == ["FAILED"]
    run = service.list_runs(made["name"], ["FAILED"], False, page_size=0, page_token="")[0][0]
    assert "Not found: Table test-project:d.nothing" in run["errorStatus"]["message"]
    messages = service.logs(run["name"])
    assert [each["severity"] for each in messages] == ["INFO", "ERROR"]
    assert service.get(made["name"])["state"] == "FAILED"


def test_a_backfill_runs_each_moment_of_a_range(timed: BigQueryApi) -> None:
    service = transfers(timed)
    made = service.create(PARENT, config("SELECT 1", schedule="every day 09:00"), OWNER)
    moments = service.moments(made["name"], NOON - timedelta(days=3), NOON)
    assert [each.day for each in moments] == [22, 23, 24]
    service.start_manual(made["name"], moments)
    assert settled(timed, made["name"], 3) == ["SUCCEEDED"] * 3
    latest = service.list_runs(made["name"], [], True, page_size=0, page_token="")[0]
    assert len(latest) == 3
    with pytest.raises(InvalidArgument, match="At most 366 runs"):
        service.start_manual(made["name"], [NOON] * 367)


def test_a_disabled_transfer_rests_and_a_changed_one_follows_its_new_schedule(
    timed: BigQueryApi, clock: VirtualClock
) -> None:
    service = transfers(timed)
    made = service.create(PARENT, config("SELECT 1", schedule="every day 09:00"), OWNER)
    service.update(made["name"], {"disabled": True}, ["disabled"], OWNER)
    clock.advance(timedelta(days=2))
    assert states(timed, made["name"]) == []
    service.update(made["name"], {"schedule": "every 6 hours"}, ["disabled", "schedule"], OWNER)
    clock.advance(timedelta(hours=12))
    assert settled(timed, made["name"], 2) == ["SUCCEEDED"] * 2
    service.delete(made["name"])
    with pytest.raises(NotFound):
        service.get(made["name"])
    clock.advance(timedelta(days=1))
    assert not list(timed.app.records.list("transferRun").records)


def test_the_end_time_ends_it(timed: BigQueryApi, clock: VirtualClock) -> None:
    options = {"endTime": "2026-11-26T00:00:00Z"}
    made = transfers(timed).create(
        PARENT, config("SELECT 1", schedule="every day 09:00", scheduleOptions=options), OWNER
    )
    clock.advance(timedelta(days=5))
    assert settled(timed, made["name"], 1) == ["SUCCEEDED"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (config("SELECT 1", dataSourceId="google_ads"), "data_source_id must be scheduled_query"),
        (config(" "), "must have the parameter query"),
        (config("SELECT 1", schedule="sometimes"), "schedule must say when to run"),
        (config("SELECT 1", params={"destination_table_name_template": "t"}), "needs a destination_dataset_id"),
        (config("SELECT 1", params={"write_disposition": "WRITE_TRUNCATE"}), "need a destination_table_name_template"),
        (config("SELECT 1", params={"region": "us"}), "takes the parameters"),
        (config("SELECT 1", displayName=""), "must have a display_name"),
    ],
    ids=["source", "no query", "schedule", "no dataset", "no table", "unknown parameter", "no name"],
)
def test_what_is_wrong_with_a_transfer_is_named(timed: BigQueryApi, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        transfers(timed).create(PARENT, given, OWNER)


def test_a_restart_makes_up_for_missed_runs_once_and_ends_cut_off_ones(tmp_path: Path, clock: VirtualClock) -> None:
    with opened(tmp_path / "home", clock) as api:
        made = transfers(api).create(PARENT, config("SELECT 1", schedule="every day 09:00"), OWNER)
        run = transfers(api)._new_run(api.app.records.get(made["name"]), NOON)
        api.app.records.update(run.name, lambda body: {**body, "state": "RUNNING"})
    clock.advance(timedelta(days=4))
    with opened(tmp_path / "home", clock) as api:
        _ = transfers(api)
        assert settled(api, made["name"], 2) == ["SUCCEEDED"] * 2
        assert transfers(api).get(made["name"])["nextRunTime"] == "2026-11-29T09:00:00.000000Z"
