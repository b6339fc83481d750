"""Real and virtual time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tule.kernel.clock import RealClock, VirtualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_virtual_time_moves_only_when_told() -> None:
    clock = VirtualClock(START)
    assert clock.now() == START == clock.now()
    clock.advance(timedelta(days=90, microseconds=1))
    assert clock.now() == START + timedelta(days=90, microseconds=1)


def test_timers_run_in_order_and_see_their_own_moment() -> None:
    clock = VirtualClock(START)
    seen: list[tuple[str, timedelta]] = []

    def note(name: str) -> None:
        seen.append((name, clock.now() - START))

    clock.call_at(START + timedelta(hours=2), lambda: note("second"))
    clock.call_at(START + timedelta(hours=1), lambda: note("first"))
    cancel = clock.call_at(START + timedelta(hours=1), lambda: note("cancelled"))
    clock.call_at(START + timedelta(hours=9), lambda: note("too late"))
    cancel()
    clock.advance(timedelta(hours=3))
    assert seen == [("first", timedelta(hours=1)), ("second", timedelta(hours=2))]


def test_a_timer_may_set_the_next_one() -> None:
    clock = VirtualClock(START)
    ticks: list[datetime] = []

    def tick() -> None:
        ticks.append(clock.now())
        clock.call_at(clock.now() + timedelta(hours=1), tick)

    clock.call_at(START + timedelta(hours=1), tick)
    clock.advance(timedelta(days=1))
    assert len(ticks) == 24 and ticks[-1] == START + timedelta(days=1)


def test_a_sleeper_wakes_when_its_time_has_come() -> None:
    clock = VirtualClock(START)
    woke = threading.Event()
    sleeping = threading.Event()

    def sleep() -> None:
        sleeping.set()
        clock.sleep(60)
        woke.set()

    thread = threading.Thread(target=sleep, daemon=True)
    thread.start()
    sleeping.wait(5)
    clock.advance(timedelta(seconds=30))
    assert not woke.wait(0.05)
    # However late the thread came to its sleep, it asked for 60 seconds from then.
    clock.advance(timedelta(seconds=60))
    assert woke.wait(5)


def test_a_timer_of_the_past_runs_at_once() -> None:
    rang = threading.Event()
    clock = VirtualClock(START)
    clock.call_at(START, rang.set)()
    assert rang.wait(5) and clock.now() == START


def test_time_does_not_go_back() -> None:
    clock = VirtualClock(START)
    clock.advance(timedelta(seconds=-5))
    assert clock.now() == START


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone-aware"):
        VirtualClock(datetime(2026, 1, 1))


def test_real_time() -> None:
    clock = RealClock()
    before = clock.now()
    assert before.tzinfo is UTC
    start = clock.monotonic()
    clock.sleep(0.02)
    assert clock.monotonic() - start >= 0.02 and clock.now() > before
    rang = threading.Event()
    clock.call_at(clock.now() + timedelta(milliseconds=10), rang.set)
    assert rang.wait(5)
    silent = threading.Event()
    clock.call_at(clock.now() + timedelta(milliseconds=50), silent.set)()
    assert not silent.wait(0.1)
