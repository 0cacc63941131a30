import asyncio
import threading

import pytest

from service.problems import Deadline, Overloaded
from service.runtime.clock import Clock
from service.runtime.pool import SMALL, Pool


async def test_jobs_run_in_threads_and_give_their_result() -> None:
    pool = Pool(1, 100, 60)
    assert await pool.run(threading.current_thread, 10, Clock(60)) is not threading.main_thread()
    await asyncio.sleep(0)
    assert pool.small.pixels == 0
    pool.close()


async def test_the_bound_is_on_pixels_and_holds_until_the_thread_is_done() -> None:
    pool = Pool(1, 100, 60)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert go_on.wait(10)
        return "done"

    first = asyncio.ensure_future(pool.run(work, 90, Clock(60)))
    assert await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(Overloaded):
        await pool.run(work, 11, Clock(60))
    first.cancel()
    await asyncio.wait({first})
    assert pool.small.pixels == 90  # the caller left, the thread works on
    go_on.set()
    assert await pool.run(work, 10, Clock(60)) == "done"
    pool.close()


async def test_what_is_collected_counts_and_is_given_to_a_job() -> None:
    pool = Pool(1, 100, 60)
    with pool.held(90):
        assert pool.small.pixels == 90
        with pytest.raises(Overloaded), pool.held(11):
            pass
        assert pool.small.pixels == 90
    assert await pool.run(lambda: pool.small.pixels, 90, Clock(60)) == 90
    await asyncio.sleep(0)
    with pool.held(500):  # alone it may be of any size
        assert await pool.run(lambda: "of none", 0, Clock(60)) == "of none"
    with pytest.raises(ZeroDivisionError), pool.held(90):
        _ = 1 / 0
    await asyncio.sleep(0)
    assert pool.small.pixels == 0
    pool.close()


async def test_late_and_abandoned_jobs_are_not_begun() -> None:
    pool = Pool(1, 100, 60)
    begun: list[int] = []
    with pytest.raises(Deadline):
        await pool.run(lambda: begun.append(1), 1, Clock(-1))
    abandoned = Clock(60)
    abandoned.left = True
    with pytest.raises(Deadline):
        await pool.run(lambda: begun.append(2), 1, abandoned)
    assert begun == []
    pool.close()


async def test_small_jobs_have_threads_of_their_own() -> None:
    """Every thread of the large ones is busy, and as many pixels wait as may: a small one is admitted and done."""
    pool = Pool(2, 3 * (SMALL + 1), 60)
    busy, go_on = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        busy.release()
        assert go_on.wait(10)

    large = [
        asyncio.ensure_future(pool.run_in_turns(lambda turns: turns.one("run", hold), SMALL + 1, Clock(60)))
        for _ in range(3)
    ]
    for _ in range(2):
        assert await asyncio.to_thread(busy.acquire, timeout=10)
    with pytest.raises(Overloaded):
        await pool.run_in_turns(lambda turns: None, SMALL + 1, Clock(60))
    assert await pool.run_in_turns(lambda turns: turns.one("run", lambda: "done"), SMALL, Clock(60)) == "done"
    go_on.set()
    await asyncio.gather(*large)
    await asyncio.sleep(0)
    assert pool.large.pixels == 0
    pool.close()


async def test_closing_ends_a_large_job_with_its_piece_in_hand() -> None:
    pool = Pool(1, 10 * SMALL, 60)
    begun, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    def piece() -> None:
        begun.set()
        assert go_on.wait(10)
        done.append(1)

    job = asyncio.ensure_future(
        pool.run_in_turns(lambda turns: list(turns.all("run", [piece] * 50)), 2 * SMALL, Clock(60))
    )
    assert await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.ensure_future(asyncio.to_thread(pool.close))
    go_on.set()
    await closing
    with pytest.raises((asyncio.CancelledError, RuntimeError)):
        await job
    assert len(done) < 50
    await asyncio.sleep(0)
    assert pool.large.pixels == 0
