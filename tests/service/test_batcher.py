import asyncio
from collections.abc import Sequence

import pytest

from service.problems import Deadline, Overloaded
from service.runtime.batcher import Batcher, Entry, Waiting
from service.runtime.clock import Clock


class Recorder:
    """A run that doubles numbers and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, asks: list[int]) -> Sequence[int | Exception]:
        self.batches.append(asks)
        if 13 in asks:
            raise ArithmeticError("13")
        return [ValueError("7") if ask == 7 else 2 * ask for ask in asks]


def batcher(run: Recorder, max_batch: int = 4, max_cost: int = 100) -> Batcher[int, int]:
    """Odd and even numbers never run together; a number costs one."""
    waiting: Waiting[int, int] = Waiting(max_batch, max_cost, "SETTING")
    return Batcher(run, waiting, key=lambda ask: ask % 2, cost=lambda ask: 1)


def entries(*asks: int, clock: Clock | None = None, cost: int = 1) -> list[Entry[int, int]]:
    loop = asyncio.get_running_loop()
    return [Entry(ask, ask % 2, cost, clock or Clock(60), loop.create_future()) for ask in asks]


async def test_all_of_one_turn_run_together_and_get_their_own_answers() -> None:
    run = Recorder()
    one = batcher(run)
    answers = await asyncio.gather(*(one.submit([ask], Clock(60)) for ask in (2, 4, 6)))
    assert answers == [[4], [8], [12]]
    assert run.batches == [[2, 4, 6]]


async def test_nothing_waits_for_a_fuller_batch() -> None:
    run = Recorder()
    one = batcher(run)
    assert await one.submit([2], Clock(60)) == [4]
    assert await one.submit([4], Clock(60)) == [8]
    assert run.batches == [[2], [4]]


async def test_batches_have_one_key_and_are_bounded_and_keys_take_turns() -> None:
    run = Recorder()
    assert await batcher(run).submit([2, 1, 4, 6, 3, 8, 10, 12], Clock(60)) == [4, 2, 8, 12, 6, 16, 20, 24]
    assert run.batches == [[2, 4, 6, 8], [1, 3], [10, 12]]


async def test_the_loop_gets_a_turn_between_batches() -> None:
    run = Recorder()
    seen: list[int] = []

    async def watch() -> None:
        while len(run.batches) < 3:
            seen.append(len(run.batches))
            await asyncio.sleep(0)

    await asyncio.gather(batcher(run, max_batch=1).submit([2, 4, 6], Clock(60)), watch())
    assert {0, 1, 2} <= set(seen)


async def test_the_bound_is_on_cost_and_admits_all_or_nothing() -> None:
    waiting: Waiting[int, int] = Waiting(4, 10, "SETTING")
    waiting.admit(entries(2, 4, cost=4))
    with pytest.raises(Overloaded) as caught:
        waiting.admit(entries(6, cost=3))
    assert caught.value.setting == "SETTING"
    assert waiting.cost == 8
    waiting.admit(entries(6, cost=2))
    assert [entry.ask for entry in waiting.take()] == [2, 4, 6]
    assert waiting.cost == 0
    waiting.admit(entries(2, cost=11))  # alone, a large call must be possible
    assert waiting.cost == 11


async def test_a_caller_that_left_is_dropped_before_the_run() -> None:
    run = Recorder()
    one = batcher(run)
    stays, leaves = (asyncio.ensure_future(one.submit([ask], Clock(60))) for ask in (2, 4))
    asyncio.get_running_loop().call_soon(leaves.cancel)
    await asyncio.sleep(0)  # both submit in this turn, the batch runs in the next
    leaves.cancel()
    assert await stays == [4]
    assert run.batches == [[2]]


async def test_a_passed_deadline_is_never_run() -> None:
    run = Recorder()
    one = batcher(run)
    late, other = await asyncio.gather(one.submit([2], Clock(-1)), one.submit([4], Clock(60)), return_exceptions=True)
    assert isinstance(late, Deadline)
    assert other == [8]
    assert run.batches == [[4]]


async def test_a_run_that_fails_fails_only_its_batch() -> None:
    run = Recorder()
    one = batcher(run)
    odd, even = await asyncio.gather(one.submit([13], Clock(60)), one.submit([2], Clock(60)), return_exceptions=True)
    assert isinstance(odd, ArithmeticError)
    assert even == [4]
    assert await one.submit([3], Clock(60)) == [6]


async def test_a_row_that_fails_fails_only_itself() -> None:
    one = batcher(Recorder())
    seven, nine = await asyncio.gather(one.submit([7], Clock(60)), one.submit([9], Clock(60)), return_exceptions=True)
    assert isinstance(seven, ValueError)
    assert nine == [18]


async def test_time_is_told_by_stage() -> None:
    clock = Clock(60)
    await batcher(Recorder()).submit([2, 4], clock)
    assert set(clock.spent) == {"queue", "run"}
    assert all(seconds >= 0 for seconds in clock.spent.values())


def test_a_batch_of_several_rows_keeps_to_the_bound_of_a_run() -> None:
    async def rows_of_runs(cost: int) -> list[int]:
        runs: list[int] = []

        def run(asks: list[int]) -> list[int]:
            runs.append(len(asks))
            return asks

        waiting: Waiting[int, int] = Waiting(8, 1000, "SETTING", max_run=100)
        batcher = Batcher(run, waiting, key=lambda ask: "one", cost=lambda ask: cost)
        assert await batcher.submit([1, 2, 3, 4, 5], Clock(60)) == [1, 2, 3, 4, 5]
        return runs

    assert asyncio.run(rows_of_runs(10)) == [5]
    assert asyncio.run(rows_of_runs(40)) == [2, 2, 1]
    assert asyncio.run(rows_of_runs(150)) == [2, 2, 1]
