"""Greedy batches on the event loop.

Whatever arrived in one turn of the loop runs together, up to the graph's largest batch;
nothing waits for more to come. `Waiting` is the pure part, without loop or clock: it
admits, groups and takes. `Batcher` puts a loop around it.

One batch runs per turn, so that a long queue never keeps the loop from its other work.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.problems import Deadline, Overloaded
from service.runtime.clock import Clock

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Entry(Generic[Ask, Answer]):
    """One row that waits. Rows run together only if their keys are equal; `cost` is in the queue's unit of work."""

    ask: Ask
    key: Hashable
    cost: int
    clock: Clock
    answer: "asyncio.Future[Answer]"


class Waiting(Generic[Ask, Answer]):
    """Rows in the order of arrival, by key; the keys take turns."""

    def __init__(self, max_batch: int, max_cost: int, setting: str, max_run: int | None = None) -> None:
        """The work that waits costs at most `max_cost`; a batch of more than two rows, where it is given, `max_run`.

        Two cost what one does: the graph runs a lone row twice, see `Session.run_rows_alike`.
        """
        self.max_batch, self.max_cost, self.setting = max_batch, max_cost, setting
        self.max_run = max_run
        self.cost = 0
        self._groups: dict[Hashable, deque[Entry[Ask, Answer]]] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def most(self, cost: int) -> int:
        """Rows in the largest batch of rows that cost so much each."""
        return self.max_batch if self.max_run is None else min(self.max_batch, max(2, self.max_run // cost))

    def admit(self, entries: Sequence[Entry[Ask, Answer]]) -> None:
        """Queue all the entries or none. An empty queue admits any call: its size was checked before.

        Raises:
            Overloaded: the work that waits and this would pass the bound.
        """
        cost = sum(entry.cost for entry in entries)
        if self.cost and self.cost + cost > self.max_cost:
            raise Overloaded("Too much work is waiting for this model.", setting=self.setting)
        self.cost += cost
        for entry in entries:
            self._groups.setdefault(entry.key, deque()).append(entry)

    def take(self) -> list[Entry[Ask, Answer]]:
        """The next batch, of one key. Callers that left are dropped, late ones are told and dropped."""
        key, group = next(iter(self._groups.items()))
        most = self.most(group[0].cost)  # rows of one key cost the same
        batch: list[Entry[Ask, Answer]] = []
        while group and len(batch) < most:
            entry = group.popleft()
            self.cost -= entry.cost
            if entry.answer.done():
                continue
            if entry.clock.late():
                entry.answer.set_exception(Deadline())
            else:
                batch.append(entry)
        del self._groups[key]
        if group:
            self._groups[key] = group
        return batch


class Batcher(Generic[Ask, Answer]):
    """Runs `run` on batches. An answer that is an exception fails its own row; one that `run` raises, its batch."""

    def __init__(
        self,
        run: Callable[[list[Ask]], Sequence[Answer | Exception]],
        waiting: Waiting[Ask, Answer],
        key: Callable[[Ask], Hashable],
        cost: Callable[[Ask], int],
    ) -> None:
        self._run, self._waiting, self._key, self._cost = run, waiting, key, cost
        self._scheduled = False

    async def submit(self, asks: Sequence[Ask], clock: Clock) -> list[Answer]:
        """The answers to `asks`, in their order. Checks belong before this call: a row here must be fit to run.

        Raises:
            Overloaded, Deadline: and whatever the run raised.
        """
        loop = asyncio.get_running_loop()
        start, ran = time.perf_counter(), clock.spent.get("run", 0.0)
        entries = [Entry(ask, self._key(ask), self._cost(ask), clock, loop.create_future()) for ask in asks]
        self._waiting.admit(entries)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._turn)
        answers = await asyncio.gather(*(entry.answer for entry in entries))
        ran = clock.spent.get("run", 0.0) - ran
        clock.add("queue", max(0.0, time.perf_counter() - start - ran))
        return answers

    def _turn(self) -> None:
        batch = self._waiting.take()
        if batch:
            start = time.perf_counter()
            try:
                answers = self._run([entry.ask for entry in batch])
            except Exception as error:
                answers = [error] * len(batch)
            spent = time.perf_counter() - start
            for clock in {id(entry.clock): entry.clock for entry in batch}.values():
                clock.add("run", spent)
            for entry, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Exception):
                    entry.answer.set_exception(answer)
                else:
                    entry.answer.set_result(answer)
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._turn)
