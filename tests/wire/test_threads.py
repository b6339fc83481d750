"""Threads that run requests: in turn, no more than allowed, and nothing that is raised is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tule.wire.threads import Threads


def run(work: object) -> object:
    return asyncio.run(work)  # type: ignore[arg-type]


def test_work_is_done_elsewhere_and_its_result_comes_back() -> None:
    async def main() -> list[str]:
        threads = Threads(3, "worker")
        found = [await threads.run(lambda: threading.current_thread().name) for _ in range(5)]
        threads.close()
        return found

    assert run(main()) == ["worker"] * 5


def test_what_is_raised_is_raised_here() -> None:
    async def main() -> None:
        threads = Threads(1, "worker")
        for kind in (ValueError, SystemExit):
            with pytest.raises(kind, match="7"):
                await threads.run(lambda kind=kind: (_ for _ in ()).throw(kind("7")))
        # The thread lives on.
        assert await threads.run(lambda: 1) == 1
        threads.close()

    run(main())


def test_as_many_at_once_as_allowed_and_the_rest_afterwards() -> None:
    async def main() -> None:
        threads, gate, begun = Threads(2, "worker"), threading.Event(), []

        def work(number: int) -> int:
            begun.append(number)
            gate.wait(20)
            return number

        futures = [threads.run(lambda number=number: work(number)) for number in range(6)]
        while len(begun) < 2:
            await asyncio.sleep(0)
        assert sorted(begun) == [0, 1]
        gate.set()
        assert await asyncio.gather(*futures) == [0, 1, 2, 3, 4, 5]
        assert sorted(begun) == [0, 1, 2, 3, 4, 5]
        threads.close()

    run(main())


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    async def main() -> None:
        threads, gate, begun = Threads(1, "worker"), threading.Event(), []
        first = threads.run(lambda: gate.wait(20))
        second = threads.run(lambda: begun.append(2))
        second.cancel()
        gate.set()
        assert await first is True and await threads.run(lambda: list(begun)) == []
        threads.close()

    run(main())


def test_a_loop_that_is_gone_is_no_trouble() -> None:
    gate, threads = threading.Event(), Threads(1, "worker")

    async def main() -> None:
        threads.run(lambda: gate.wait(20))

    run(main())
    worker = next(each for each in threading.enumerate() if each.name == "worker" and each.is_alive())
    gate.set()
    worker.join(20)
    assert not worker.is_alive()
