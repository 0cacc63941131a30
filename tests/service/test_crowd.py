from contextlib import ExitStack

import pytest

from service.problems import Overloaded
from service.runtime.crowd import BURST, CALM, ROUNDS, Crowd, Place


class Time:
    """What a crowd takes for the time."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def work(crowd: Crowd, time: Time, calls: int, seconds: float) -> None:
    """Calls one after the other, each of which takes so long."""
    for _ in range(calls):
        with crowd.enter():
            time.seconds += seconds


def fill(crowd: Crowd, time: Time | None = None) -> list[Place]:
    """As many calls as are let in: at once or, with `time`, one each millisecond."""
    places: list[Place] = []

    def come() -> None:
        while True:
            places.append(crowd.enter())
            if time:
                time.seconds += 0.001

    with pytest.raises(Overloaded) as caught:
        come()
    assert caught.value.setting == "HARMONIUM_QUEUE_SECONDS"
    assert caught.value.headers["Retry-After"] == f"{CALM:.0f}"
    return places


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_burst_of_slow_calls_is_let_in(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 100, 1.0)
    assert len(fill(crowd)) == BURST


def test_a_first_burst_is_bounded_before_any_of_it_is_done(time: Time) -> None:
    places = fill(Crowd(1, 0.5, now=time), time)
    assert BURST < len(places) <= 23  # 23 x 0.023 s


def test_a_burst_is_larger_where_more_can_be_worked_on(time: Time) -> None:
    crowd = Crowd(10, 0.5, now=time)
    work(crowd, time, 100, 1.0)
    assert len(fill(crowd)) == 10 * ROUNDS


def test_of_fast_calls_as_many_are_let_in_as_are_done_in_time(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 200, 0.001)
    assert len(fill(crowd)) == pytest.approx(500, abs=2)


def test_callers_that_wait_for_their_answers_are_all_let_in_for_ever(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    places = [crowd.enter() for _ in range(BURST)]
    for _ in range(1000):
        time.seconds += 1
        places.pop(0).leave()
        places.append(crowd.enter())


def refused(crowd: Crowd) -> bool:
    """Whether a call that is done at once is."""
    try:
        crowd.enter().leave(done=False)
    except Overloaded:
        return True
    return False


def test_once_it_overflowed_it_is_kept_short_as_long_as_most_are_refused(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 100, 0.1)
    places = fill(crowd)
    for _ in range(200):
        time.seconds += 0.1
        places.pop(0).leave()
        if len(places) < 2:
            places.append(crowd.enter())
        assert all(refused(crowd) for _ in range(9))
    assert len(places) == 2, "one is worked on, one waits"
    time.seconds += CALM
    assert len(fill(crowd)) == BURST - 2


def test_it_is_short_no_longer_than_a_second_when_most_are_answered(time: Time) -> None:
    """Calls of .1 s, one in eight of which meets two others: it is refused for a second, and from then on let in."""
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 100, 0.1)
    for place in fill(crowd):
        place.leave(done=False)
    outcomes: list[bool] = []
    for _ in range(20):
        with crowd.enter(), crowd.enter():
            outcomes.append(refused(crowd))
            time.seconds += 0.1
        work(crowd, time, 5, 0.1)
    assert outcomes == [True] * 2 + [False] * 18


def test_calls_that_are_done_at_once_are_let_in_even_then(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 200, 0.001)
    places = fill(crowd)
    while len(places) > 10:
        places.pop().leave()
    places.append(crowd.enter())


def test_who_waits_for_a_reader_keeps_nobody_out(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 100, 1.0)
    places = fill(crowd)
    time.seconds += CALM
    with places[0].outside(), crowd.enter(), pytest.raises(Overloaded):
        crowd.enter()
    assert crowd.calls == BURST
    for place in places:
        place.leave()
        place.leave()  # once is enough
    with places[0].outside():
        pass
    assert crowd.calls == 0


@pytest.mark.parametrize(
    ("on_the_loop", "in_threads", "let_in"),
    [(1, 0, True), (2, 0, False), (1, 1, True), (2, 1, False), (0, 2, True), (1, 2, False), (0, 3, False)],
)
def test_once_it_overflowed_one_call_waits_for_the_loop_and_none_for_threads(
    time: Time, on_the_loop: int, in_threads: int, let_in: bool
) -> None:
    crowd = Crowd(1, 0.5, threads=3, now=time)
    work(crowd, time, 100, 0.1)
    places = fill(crowd)
    while len(places) > on_the_loop + in_threads:
        places.pop().leave()
    with ExitStack() as threads:
        for place in places[:in_threads]:
            threads.enter_context(place.in_thread())
        assert refused(crowd) is not let_in


def test_every_thread_has_work_whatever_it_takes(time: Time) -> None:
    crowd = Crowd(1, 0.5, threads=16, now=time)
    work(crowd, time, 100, 1.0)
    with ExitStack() as threads:
        for _ in range(16):
            threads.enter_context(crowd.enter().in_thread())
            time.seconds += 0.1
        assert refused(crowd)
    assert refused(crowd), "all of them are back on the loop"


def test_a_long_wait_for_a_reader_is_not_the_pace(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 200, 0.001)
    with crowd.enter() as place, place.outside():
        time.seconds += 25
    assert 500 <= len(fill(crowd)) < 550


def test_calls_that_fail_are_not_the_pace(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 100, 0.2)
    for _ in range(200):
        with pytest.raises(ValueError, match="wrong"), crowd.enter():
            raise ValueError("wrong")
    assert len(fill(crowd)) == BURST


def test_long_calls_do_not_keep_quick_ones_out_for_ever(time: Time) -> None:
    """Two that take minutes, and after an overflow calls of 3 ms, now and then."""
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 200, 0.003)
    long = [crowd.enter(), crowd.enter()]
    time.seconds += 1
    quick = fill(crowd)
    for place in quick:
        time.seconds += 0.003
        place.leave()
    refused = 0
    for _ in range(100):
        try:
            work(crowd, time, 1, 0.003)
        except Overloaded:
            refused += 1
        time.seconds += 0.5
    assert refused <= 2 * CALM / 0.5
    for place in long:
        place.leave()


def test_time_without_calls_is_not_their_pace(time: Time) -> None:
    crowd = Crowd(1, 0.5, now=time)
    work(crowd, time, 200, 0.001)
    time.seconds += 3600
    work(crowd, time, 1, 0.001)
    assert len(fill(crowd)) == pytest.approx(500, abs=2)
