"""Who makes room for whom, without a socket."""

import logging
import resource

import pytest

from service import connections, limits
from service.connections import FILES, SPARE, Connections


class Kept:
    """A connection that notes what is asked of it."""

    def __init__(self, has_something_to_say: bool = False) -> None:
        self.fate = ""
        self.speaks = has_something_to_say

    def make_room(self) -> bool:
        if not self.speaks:
            self.fate = "closed"
        return not self.speaks

    def turn_away(self) -> None:
        self.fate = "refused"


def joined(held: Connections, *guests: Kept) -> list[str]:
    """What became of all after each has joined."""
    for guest in guests:
        held.join(guest)
    return [guest.fate for guest in guests]


def test_the_one_that_has_waited_longest_goes() -> None:
    held, guests = Connections(2), [Kept() for _ in range(5)]
    assert joined(held, *guests) == ["closed"] * 3 + [""] * 2


def test_an_answer_is_a_new_beginning() -> None:
    held, (first, second, third) = Connections(2), (Kept(), Kept(), Kept())
    joined(held, first, second)
    held.work(first)
    held.wait(first)
    joined(held, third)
    assert [guest.fate for guest in (first, second, third)] == ["", "closed", ""]


def test_one_that_works_stays() -> None:
    held, (first, second, third) = Connections(2), (Kept(), Kept(), Kept())
    joined(held, first, second)
    held.work(first)
    joined(held, third)
    assert [guest.fate for guest in (first, second, third)] == ["", "closed", ""]


def test_one_whose_request_has_come_is_passed_over() -> None:
    assert joined(Connections(2), Kept(has_something_to_say=True), Kept(), Kept()) == ["", "closed", ""]


def test_where_all_work_a_newcomer_is_refused() -> None:
    held, (first, second) = Connections(2), (Kept(), Kept())
    joined(held, first, second)
    for guest in (first, second):
        held.work(guest)
    late = [Kept(), Kept(), Kept()]
    for guest in late:
        held.join(guest)
        assert guest.fate == "refused"
    held.leave(first)
    assert joined(held, Kept()) == [""]
    assert [guest.fate for guest in (second, *late)] == ["", "refused", "refused", "refused"]  # none is hurried


def test_those_passed_over_make_room_for_the_next() -> None:
    held, first, second, late = Connections(2), Kept(True), Kept(True), Kept()
    assert joined(held, first, second, late) == ["", "", "refused"]
    for guest in (first, second):
        held.work(guest)
        held.wait(guest)
    first.speaks = second.speaks = False
    assert joined(held, Kept()) == [""]
    assert [guest.fate for guest in (first, second, late)] == ["closed", "", "refused"]


def test_those_on_their_way_out_are_not_without_number() -> None:
    """What one was sent may wait to be taken for long."""
    held, guests = Connections(10), [Kept() for _ in range(10 + SPARE)]
    assert "refused" not in joined(held, *guests)
    assert joined(held, *(Kept() for _ in range(100))) == ["closed"] * 100
    assert len(held) == 10 + SPARE
    held.leave(guests[0])
    held.leave(guests[1])
    assert joined(held, Kept()) == [""]


def test_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "service"):
        joined(Connections(2), *(Kept() for _ in range(50)))
    assert [record.getMessage() for record in caplog.records] == [
        "more than 2 connections (HARMONIUM_MAX_CONNECTIONS): those that wait make room for those that come"
    ]


def test_the_system_bounds_them(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > 2**20:
        pytest.skip("the system allows more than a setting can say")
    try:
        assert connections.most(100) == 100
        assert not caplog.records
        assert connections.most(2**20) == hard - SPARE - FILES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert f"this process may have {hard} files open: {hard - SPARE - FILES} connections at most" in caplog.text


def test_descriptors_are_raised_and_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 600:
        pytest.skip("the system allows too few descriptors")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard))
        assert limits.descriptors(400) == 500
        assert limits.descriptors(600) == 600
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
