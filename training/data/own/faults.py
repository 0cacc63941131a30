"""What cannot be used: counted, the first ones named, and refused when it is too much."""

from __future__ import annotations

from collections.abc import Iterable

from training.data.source import DataError

MOST_NAMED = 20
ALLOWED = 0.01


class Faults:
    """The bad rows of a file, or the bad files of a folder, called `what`; `remedy` says how to get on."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        self.total = 0
        self._rows = 0
        self._named: list[tuple[int, str]] = []

    def add(self, rows: int, named: Iterable[tuple[int, str]], total: int | None = None) -> None:
        """So many rows more, which count as `total` where one takes several lines.

        `named` are their places, by which they are put in order, and what is said of each; it may
        end after the first twenty.
        """
        self.total += rows if total is None else total
        self._rows += rows
        self._named = sorted([*self._named, *named])[:MOST_NAMED]

    def told(self, of: int, allowed: float) -> list[str]:
        """Lines that tell what was skipped, `of` so many in all.

        Raises:
            DataError: more than the share `allowed` is bad; the message names the first.
        """
        if not self.total:
            return []
        named = [f"  {text}" for _, text in self._named]
        if self._rows > len(named):
            named.append(f"  and {self._rows - len(named):,} more")
        share = f"{self.total:,} of {of:,} {self.what} {'is' if self.total == 1 else 'are'} bad"
        if self.total > allowed * of:
            raise DataError("\n".join([f"{share}; {100 * allowed:.3g} % may be. {self.remedy}", *named]))
        return [f"  {share}: skipped", *(f"  {text}" for text in named)]
