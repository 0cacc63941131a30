import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from service.problems import Deadline
from service.runtime.clock import Clock
from service.runtime.turns import Threads, Turns


@pytest.fixture
def threads() -> Iterator[Threads]:
    two = Threads(2)
    yield two
    two.close()


class Recorded(Threads):
    """Remembers every piece that was handed in."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.futures: list[Future[Any]] = []
        self.handed_in = threading.Semaphore(0)

    def submit(self, deadline: float, piece: Callable[[], Any]) -> Future[Any]:
        future = super().submit(deadline, piece)
        self.futures.append(future)
        self.handed_in.release()
        return future


def test_results_come_in_order_from_one_thread_or_from_several(threads: Threads) -> None:
    pieces = [lambda number=number: (number, threading.get_ident()) for number in range(20)]
    for turns in (Turns(Clock(60)), Turns(Clock(60), threads)):
        assert [number for number, _ in turns.all("run", pieces)] == list(range(20))
    assert {thread for _, thread in Turns(Clock(60)).all("run", pieces)} == {threading.get_ident()}
    assert threading.get_ident() not in {thread for _, thread in Turns(Clock(60), threads).all("run", pieces)}


def test_the_pieces_of_one_job_run_at_once(threads: Threads) -> None:
    """Each waits for another, which only comes if they run at once; a fifth is not drawn before the first is done."""
    both = threading.Barrier(2)
    drawn: list[int] = []

    def pieces() -> Iterator[Callable[[], int]]:
        for number in range(6):
            drawn.append(number)
            yield lambda: both.wait(10)

    results = Turns(Clock(60), threads).all("run", pieces())
    next(results)
    assert drawn == [0, 1, 2]
    assert len(list(results)) == 5


def test_the_piece_with_the_next_deadline_comes_first() -> None:
    """Three jobs wait for one thread: the one with the least time left is done first, of equals the first to come."""
    threads = Recorded(1)
    done: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(10)

    late, clock, soon = Clock(300), Clock(200), Clock(40)
    jobs = [threading.Thread(target=lambda: Turns(late, threads).one("run", hold))]
    jobs[0].start()
    assert begun.wait(10)
    assert threads.handed_in.acquire(timeout=10)
    for name, given in (("late", late), ("first", clock), ("second", clock), ("soon", soon)):
        piece = partial(Turns(given, threads).one, "run", partial(done.append, name))
        jobs.append(threading.Thread(target=piece))
        jobs[-1].start()
        assert threads.handed_in.acquire(timeout=10)
    go_on.set()
    for job in jobs:
        job.join(10)
    threads.close()
    assert done == ["soon", "first", "second", "late"]


@pytest.mark.parametrize("apart", [False, True])
def test_nothing_is_begun_after_the_deadline_or_for_a_caller_that_left(threads: Threads, apart: bool) -> None:
    done: list[int] = []
    clock = Clock(60)
    turns = Turns(clock, threads if apart else None)

    def pieces() -> Iterator[Callable[[], None]]:
        for number in range(10):
            if number == 5:
                clock.left = True
            yield lambda number=number: done.append(number)

    with pytest.raises(Deadline):
        list(turns.all("run", pieces()))
    assert set(done) <= {0, 1, 2, 3, 4}
    with pytest.raises(Deadline):
        Turns(Clock(-1), threads if apart else None).one("run", lambda: done.append(99))
    assert 99 not in done


def test_when_a_piece_fails_none_of_the_job_runs_on() -> None:
    threads = Recorded(2)
    begun, go_on = threading.Event(), threading.Event()
    outcome: list[BaseException] = []

    def fails() -> None:
        assert begun.wait(10)  # the other is in hand
        raise ZeroDivisionError

    def beside() -> None:
        begun.set()
        assert go_on.wait(10)

    def job() -> None:
        try:
            list(Turns(Clock(60), threads).all("run", [fails, beside, beside, beside]))
        except ZeroDivisionError as error:
            outcome.append(error)
            outcome.extend(future.exception() or error for future in threads.futures if not future.done())

    thread = threading.Thread(target=job)
    thread.start()
    assert begun.wait(10)
    thread.join(0.1)
    assert thread.is_alive(), "it waits for what is in hand"
    go_on.set()
    thread.join(10)
    assert len(outcome) == 1, "all that was handed in is done or cancelled when the job ends"
    assert all(future.done() for future in threads.futures)
    threads.close()


def test_time_counts_as_queue_until_a_piece_begins_and_as_its_stage_then(threads: Threads) -> None:
    for given in (None, threads):
        clock = Clock(60)
        Turns(clock, given).one("decode", lambda: None)
        assert set(clock.spent) == {"queue", "decode"}


def test_closing_cancels_what_waits() -> None:
    threads = Threads(1)
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> str:
        begun.set()
        assert go_on.wait(10)
        return "done"

    running = threads.submit(0, hold)
    assert begun.wait(10)
    waiting = [threads.submit(0, lambda: None) for _ in range(5)]
    closing = threading.Thread(target=threads.close)
    closing.start()
    go_on.set()
    closing.join(10)
    assert running.result(10) == "done"
    assert all(future.cancelled() or future.done() for future in waiting)
