"""Work that can wait is done in order, and one piece that raises costs no other."""

from __future__ import annotations

import asyncio

from ami_adapter.stories.later import Later


def choke() -> None:
    raise ValueError("hostile")


async def test_one_that_raises_costs_no_other() -> None:
    done: list[int] = []
    later = Later(10)
    running = asyncio.create_task(later.run())
    later.add(done.append, 1)
    later.add(choke)
    later.add(done.append, 2)
    async with asyncio.timeout(3):
        while len(done) < 2:
            await asyncio.sleep(0.01)
    later.add(choke)
    later.add(done.append, 3)
    later.catch_up()
    assert done == [1, 2, 3]
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
