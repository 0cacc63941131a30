import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.problems import Deadline
from service.runtime.clock import Clock
from service.runtime.turns import Turns


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_results_come_in_order_from_one_thread_or_from_several(threads: ThreadPoolExecutor) -> None:
    pieces = [lambda number=number: (number, threading.get_ident()) for number in range(20)]
    for turns in (Turns(Clock(60)), Turns(Clock(60), threads, 2)):
        assert [number for number, _ in turns.all(pieces)] == list(range(20))
    assert {thread for _, thread in Turns(Clock(60)).all(pieces)} == {threading.get_ident()}
    assert threading.get_ident() not in {thread for _, thread in Turns(Clock(60), threads, 2).all(pieces)}


def test_two_pieces_are_done_at_once_and_no_more(threads: ThreadPoolExecutor) -> None:
    """Both wait for the other, which only comes if they run at once; a third is not drawn before the first is done."""
    both = threading.Barrier(2)
    drawn: list[int] = []

    def pieces() -> Iterator[threading.Event]:
        for number in range(4):
            drawn.append(number)
            yield lambda: both.wait(10)  # pyright: ignore[reportReturnType]

    results = Turns(Clock(60), threads, 2).all(pieces())
    next(results)
    assert drawn == [0, 1]
    assert len(list(results)) == 3


def test_jobs_take_turns() -> None:
    """A job of one piece that comes while another has ninety-nine to go is done after the piece in hand."""
    with ThreadPoolExecutor(1) as threads:
        done: list[str] = []
        begun, go_on = threading.Event(), threading.Event()

        def first() -> None:
            begun.set()
            assert go_on.wait(10)

        def long() -> None:
            turns = Turns(Clock(60), threads)
            for _ in turns.all([first, *[lambda: done.append("long")] * 99]):
                pass

        def short() -> None:
            Turns(Clock(60), threads).one(lambda: done.append("short"))

        jobs = [threading.Thread(target=long), threading.Thread(target=short)]
        jobs[0].start()
        assert begun.wait(10)
        jobs[1].start()
        while threads._work_queue.qsize() < 1:  # pyright: ignore
            pass
        go_on.set()
        for job in jobs:
            job.join(10)
    assert done.count("long") == 99
    assert done.index("short") <= 1


@pytest.mark.parametrize("at_once", [None, 1, 2])
def test_nothing_is_begun_after_the_deadline_or_for_a_caller_that_left(
    threads: ThreadPoolExecutor, at_once: int | None
) -> None:
    done: list[int] = []
    clock = Clock(60)
    turns = Turns(clock, threads, at_once) if at_once else Turns(clock)

    def pieces() -> Iterator[object]:
        for number in range(10):
            if number == 5:
                clock.left = True
            yield lambda number=number: done.append(number)

    with pytest.raises(Deadline):
        list(turns.all(pieces()))  # pyright: ignore[reportArgumentType]
    assert set(done) <= {0, 1, 2, 3, 4}
    with pytest.raises(Deadline):
        Turns(Clock(-1)).one(lambda: done.append(99))
    assert 99 not in done


def test_a_piece_that_fails_ends_the_job_when_those_beside_it_have_ended(threads: ThreadPoolExecutor) -> None:
    ended = threading.Event()

    def beside() -> None:
        assert go_on.wait(10)
        ended.set()

    def fails() -> None:
        go_on.set()
        raise ZeroDivisionError

    go_on = threading.Event()
    with pytest.raises(ZeroDivisionError):
        list(Turns(Clock(60), threads, 2).all([fails, beside]))
    assert ended.is_set() or not threads._work_queue.empty()  # pyright: ignore
