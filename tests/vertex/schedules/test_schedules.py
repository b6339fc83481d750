"""Schedules on a virtual clock: what falls due runs, in its zone, once; pauses, limits, restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.vertex.pipelines.conftest import PARENT, ROOT, Room
from tests.vertex.pipelines.documents import component, pipeline, shell, task

from tule.kernel.clock import RealClock, VirtualClock
from tule.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, TuleError
from tule.vertex.schedules import Schedules, cron

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def noop(script: str = "true") -> dict[str, Any]:
    return pipeline("scheduled", {"work": task("work")}, {"work": component("work")}, {"work": shell(script)})


class Calendar:
    """Schedules and a clock, over a room of pipelines; opened again on the same data as after a crash."""

    def __init__(self, folder: Path, start: datetime = START) -> None:
        self._folder = folder
        self.clock = VirtualClock(start)
        self._open()

    def _open(self) -> None:
        self.room = Room(self._folder, self.clock)
        self.schedules = Schedules(self.room.records, self.clock, self.room.jobs)
        self.room.jobs.recover()
        self.schedules.start()

    def reopen(self, after: timedelta = timedelta(0)) -> None:
        self.close()
        self.clock = VirtualClock(self.clock.now() + after)
        self._open()

    def close(self) -> None:
        self.schedules.stop()
        self.room.close()

    def create(self, cron: str = "0 * * * *", script: str = "true", **more: Any) -> str:
        job = {"displayName": "run", "pipelineSpec": noop(script), "runtimeConfig": {"gcsOutputDirectory": ROOT}}
        body = {
            "displayName": "test", "cron": cron, "maxConcurrentRunCount": "1",
            "createPipelineJobRequest": {"parent": PARENT, "pipelineJob": job}, **more,
        }  # fmt: skip
        made: str = self.schedules.create(PARENT, body)["name"]
        return made

    def moments(self, name: str) -> list[str]:
        """When the runs of a schedule were due, in order."""
        records = self.room.records.list("pipelineJob", filter=f'schedule_name="{name}"')
        return sorted(each.body["_tule"]["scheduled"][:16] for each in records)

    def runs(self, name: str) -> list[str]:
        return [each.name for each in self.room.records.list("pipelineJob", filter=f'schedule_name="{name}"')]

    def settle(self, name: str) -> None:
        """Until the runs there are have ended, and the schedule knows it."""
        for each in self.runs(name):
            self.room.wait(each)
        clock = RealClock()
        end = clock.monotonic() + 60
        while self.room.records.get(name).body["_tule"]["active"]:
            assert clock.monotonic() < end
            clock.sleep(0.002)


@pytest.fixture
def calendar(tmp_path: Path) -> Iterator[Calendar]:
    made = Calendar(tmp_path / "home")
    yield made
    made.close()


def test_ninety_days_in_a_minute(calendar: Calendar, tmp_path: Path) -> None:
    name = calendar.create("TZ=Europe/Berlin 30 6 * * MON-FRI", f"echo x >> {tmp_path}/log")
    calendar.clock.advance(90 * DAY)
    calendar.settle(name)
    moments = calendar.moments(name)
    days = [START.date() + number * DAY for number in range(90)]
    wanted = [day for day in days if day.weekday() < 5]
    assert [each[:10] for each in moments] == [str(day) for day in wanted]
    # Berlin is an hour ahead in winter and two from 29 March on.
    assert {each[11:] for each in moments if each < "2026-03-29"} == {"05:30"}
    assert {each[11:] for each in moments if each > "2026-03-29"} <= {"04:30"}
    assert len((tmp_path / "log").read_text().split()) == len(wanted)
    found = calendar.schedules.get(name)
    assert found["startedRunCount"] == str(len(wanted)) and found["state"] == "ACTIVE"
    assert found["lastScheduledRunResponse"]["runResponse"].startswith("Created projects/p/")


def test_no_moment_has_two_runs_after_a_crash(calendar: Calendar) -> None:
    name = calendar.create()
    calendar.clock.advance(3 * HOUR)
    calendar.settle(name)
    calendar.reopen()
    calendar.clock.advance(2 * HOUR)
    calendar.settle(name)
    assert calendar.moments(name) == [f"2026-01-01T0{hour}:00" for hour in range(1, 6)]


def test_what_was_missed_while_no_server_ran_is_made_up_for_once(calendar: Calendar) -> None:
    name = calendar.create()
    calendar.clock.advance(HOUR)
    calendar.settle(name)
    calendar.reopen(after=timedelta(hours=5, minutes=30))
    calendar.settle(name)
    assert calendar.moments(name) == ["2026-01-01T01:00", "2026-01-01T06:00"]
    calendar.clock.advance(HOUR)
    assert calendar.moments(name)[-1] == "2026-01-01T07:00"


def test_pause_and_resume(calendar: Calendar) -> None:
    name = calendar.create()
    calendar.clock.advance(HOUR)
    calendar.schedules.pause(name)
    assert calendar.schedules.get(name)["lastPauseTime"].startswith("2026-01-01T01:00")
    with pytest.raises(FailedPrecondition, match="must be active to be paused"):
        calendar.schedules.pause(name)
    calendar.clock.advance(timedelta(hours=3, minutes=30))
    assert calendar.moments(name) == ["2026-01-01T01:00"]
    calendar.schedules.resume(name, catch_up=False)
    calendar.clock.advance(HOUR)
    assert calendar.moments(name) == ["2026-01-01T01:00", "2026-01-01T05:00"]
    with pytest.raises(FailedPrecondition, match="must be paused to be resumed"):
        calendar.schedules.resume(name, catch_up=False)


def test_catching_up_makes_every_missed_run(calendar: Calendar) -> None:
    name = calendar.create()
    calendar.schedules.pause(name)
    calendar.clock.advance(timedelta(hours=3, minutes=30))
    calendar.schedules.resume(name, catch_up=True)
    assert calendar.moments(name) == [f"2026-01-01T0{hour}:00" for hour in (1, 2, 3)]
    found = calendar.schedules.get(name)
    assert found["catchUp"] is True and found["nextRunTime"].startswith("2026-01-01T04:00")


@pytest.mark.parametrize(("queueing", "moments"), [(False, ["01:00"]), (True, ["01:00", "02:00", "03:00"])])
def test_active_runs_are_limited(calendar: Calendar, tmp_path: Path, queueing: bool, moments: list[str]) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done"
    name = calendar.create(script=wait, maxConcurrentActiveRunCount="1", allowQueueing=queueing)
    calendar.clock.advance(timedelta(hours=3, minutes=30))
    assert calendar.moments(name) == ["2026-01-01T01:00"]
    found = calendar.schedules.get(name)
    told = found["lastScheduledRunResponse"]["runResponse"]
    assert told.startswith("Created" if queueing else "Skipped: 1 runs are active")
    assert found["nextRunTime"].startswith("2026-01-01T02:00" if queueing else "2026-01-01T04:00")
    (tmp_path / "go").touch()
    clock = RealClock()
    end = clock.monotonic() + 60
    while len(calendar.moments(name)) < len(moments):
        assert clock.monotonic() < end
        clock.sleep(0.005)
    calendar.settle(name)
    assert calendar.moments(name) == [f"2026-01-01T{each}" for each in moments]


def test_a_schedule_ends(calendar: Calendar) -> None:
    counted = calendar.create(maxRunCount="2")
    ended = calendar.create(startTime="2026-01-01T03:00:00Z", endTime="2026-01-01T05:30:00Z")
    calendar.clock.advance(12 * HOUR)
    assert calendar.moments(counted) == ["2026-01-01T01:00", "2026-01-01T02:00"]
    assert calendar.moments(ended) == ["2026-01-01T03:00", "2026-01-01T04:00", "2026-01-01T05:00"]
    for name in (counted, ended):
        found = calendar.schedules.get(name)
        assert found["state"] == "COMPLETED" and "nextRunTime" not in found
        with pytest.raises(FailedPrecondition, match="must be active to be paused"):
            calendar.schedules.pause(name)
        with pytest.raises(FailedPrecondition, match="completed must stay as it is"):
            calendar.schedules.update(name, {"cron": "0 0 * * *"}, {"cron"})


def test_an_update_reckons_anew(calendar: Calendar) -> None:
    name = calendar.create()
    calendar.schedules.update(name, {"cron": "30 2 * * *", "displayName": "other"}, {"cron", "displayName"})
    found = calendar.schedules.get(name)
    assert found["displayName"] == "other" and found["nextRunTime"].startswith("2026-01-01T02:30")
    with pytest.raises(InvalidArgument, match="cron must have five fields"):
        calendar.schedules.update(name, {"cron": "hourly"}, {"cron"})
    with pytest.raises(InvalidArgument, match="update_mask must name fields of"):
        calendar.schedules.update(name, {"state": "PAUSED"}, {"state"})
    assert calendar.schedules.get(name) == found
    calendar.clock.advance(DAY)
    assert calendar.moments(name) == ["2026-01-01T02:30"]


def test_a_schedule_that_is_deleted_makes_no_more(calendar: Calendar) -> None:
    name = calendar.create()
    calendar.clock.advance(HOUR)
    calendar.settle(name)
    calendar.schedules.delete(name)
    with pytest.raises(NotFound):
        calendar.schedules.get(name)
    calendar.clock.advance(DAY)
    assert calendar.moments(name) == ["2026-01-01T01:00"]


def test_a_run_that_cannot_be_made_is_told_of(calendar: Calendar) -> None:
    calendar.room.objects.buckets.create("p", "going")
    body = {
        "createPipelineJobRequest": {
            "pipelineJob": {"pipelineSpec": noop(), "runtimeConfig": {"gcsOutputDirectory": "gs://going/root"}}
        }
    }
    name = calendar.create(**body)
    calendar.room.objects.buckets.delete("going")
    calendar.clock.advance(HOUR)
    found = calendar.schedules.get(name)
    assert found["lastScheduledRunResponse"]["runResponse"].startswith("NOT_FOUND: The bucket of")
    assert found["state"] == "ACTIVE" and calendar.moments(name) == []
    calendar.room.objects.buckets.create("p", "going")
    calendar.clock.advance(HOUR)
    assert calendar.moments(name) == ["2026-01-01T02:00"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cron": ""}, "A schedule must have a cron"),
        ({"cron": "* * * *"}, "cron must have five fields"),
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": "TZ=Mars/Olympus 0 * * * *"}, "must be a zone of the IANA time zone database; given: Mars/Olympus"),
        ({"maxConcurrentRunCount": "0"}, "max_concurrent_run_count must be 1 or more"),
        ({"endTime": "2025-01-01T00:00:00Z"}, "end_time must be after start_time"),
        ({"displayName": ""}, "must have a display_name"),
        ({"createPipelineJobRequest": {}}, "must have a create_pipeline_job_request"),
        ({"createPipelineJobRequest": {"parent": "projects/q/locations/x"}}, "parent must be the schedule's own"),
        ({"createPipelineJobRequest": {"pipelineJobId": "mine"}}, "pipeline_job_id must be empty"),
        ({"createPipelineJobRequest": {"pipelineJob": {}}}, "must have a pipeline_spec or a template_uri"),
    ],
)
def test_a_wrong_schedule_is_refused(calendar: Calendar, given: dict[str, Any], told: str) -> None:
    with pytest.raises(TuleError) as error:
        calendar.create(**given)
    assert told in error.value.message
    assert not calendar.room.records.list("schedule").records


_CLOCKS: list[tuple[str, str, Callable[[], list[str]] | list[str]]] = [
    ("0 6 * * *", "2026-01-01T06:00", ["2026-01-02T06:00", "2026-01-03T06:00"]),
    ("*/20 9-10 * * MON", "2026-01-05T10:20", ["2026-01-05T10:40", "2026-01-12T09:00"]),
    ("0 0 29 2 *", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ("0 0 1 * MON", "2026-01-01T00:00", ["2026-01-05T00:00", "2026-01-12T00:00"]),
    # The hour that is left out, and the one that comes twice.
    ("CRON_TZ=America/New_York 30 2 * * *", "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-09T06:30"]),
    ("TZ=America/New_York 30 1 * * *", "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
]


@pytest.mark.parametrize(("text", "after", "moments"), _CLOCKS)
def test_moments(text: str, after: str, moments: list[str]) -> None:
    at, found = cron.read(text), []
    moment: datetime | None = datetime.fromisoformat(f"{after}+00:00")
    for _ in moments:
        assert moment is not None
        moment = at.after(moment)
        found.append(f"{moment:%Y-%m-%dT%H:%M}")
        assert moment is not None and at.last(moment) == moment and at.last(moment + timedelta(seconds=1)) == moment
    assert found == moments


def test_a_cron_without_moments_is_completed_or_refused(calendar: Calendar) -> None:
    with pytest.raises(InvalidArgument, match="cron must be a cron expression"):
        calendar.create("0 0 30 2 *")
