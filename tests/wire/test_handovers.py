"""Requests that wait only so long: either the time is up or the work is done first, never both."""

from __future__ import annotations

import asyncio
import threading

from tule.wire.handovers import Handovers


def test_what_is_done_in_time_is_kept_and_nothing_else_happens() -> None:
    async def main() -> None:
        handovers, called = Handovers(), []
        handovers.wait(asyncio.get_running_loop(), "a", 0.0, lambda: called.append("a"))
        assert handovers.keep("a")
        later = asyncio.Event()
        handovers.wait(asyncio.get_running_loop(), "b", 0.0, later.set)
        await asyncio.wait_for(later.wait(), 20)
        assert called == [] and not handovers.keep("b") and not handovers.keep("a")

    asyncio.run(main())


def test_whoever_waits_from_any_thread_is_called_once_also_after_a_pause() -> None:
    async def main() -> None:
        loop, handovers = asyncio.get_running_loop(), Handovers()
        for _ in range(3):
            called: list[int] = []
            ended = asyncio.Event()

            def then(number: int, called: list[int] = called, ended: asyncio.Event = ended) -> None:
                called.append(number)
                if len(called) == 8:
                    ended.set()

            workers = [
                threading.Thread(target=handovers.wait, args=(loop, number, 0.01, lambda number=number: then(number)))
                for number in range(8)
            ]
            for each in workers:
                each.start()
            await asyncio.wait_for(ended.wait(), 20)
            assert sorted(called) == list(range(8))
            # Nobody waits any more, so nobody looks: the next round begins anew.
            while handovers._looking:
                await asyncio.sleep(0)

    asyncio.run(main())


def test_of_two_that_race_exactly_one_answers() -> None:
    async def main() -> None:
        loop, handovers = asyncio.get_running_loop(), Handovers()
        outcomes: list[str] = []

        def work(who: int) -> None:
            handovers.wait(loop, who, 0.05, lambda: outcomes.append(f"{who} time"))
            threading.Event().wait(0.05)
            if handovers.keep(who):
                outcomes.append(f"{who} work")

        await asyncio.gather(*(asyncio.to_thread(work, who) for who in range(30)))
        while handovers._looking:
            await asyncio.sleep(0)
        assert sorted({each.split()[0] for each in outcomes}, key=int) == [str(who) for who in range(30)]
        assert len(outcomes) == 30

    asyncio.run(main())
