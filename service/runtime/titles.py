"""Finds items by a piece of their title, whatever its case and accents, and in spite of typing errors."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SILENT = "'`.*\u00b4\u2019"
"""Marks inside a word: Schindler's is schindlers, M*A*S*H is mash. Every other mark separates words."""
LETTERS_PER_ERROR, MOST_ERRORS = 4, 2
"""A word of 4 to 7 letters may have one error, a longer one two."""
EXACT, BEGINS, AT_A_WORD, INSIDE, WORDS = range(5)
"""How well a title fits, best first. WORDS + n: each word of the query begins a word of the title, with n errors."""


def fold(text: str) -> str:
    """`text` without case, accents and marks, its words separated by one space. Of marks alone nothing is taken."""
    lower = text.casefold()
    kept = lower.translate(ASCII) if lower.isascii() else "".join(map(_folded, unicodedata.normalize("NFKD", lower)))
    return " ".join(kept.split()) or " ".join(lower.split())


def _folded(sign: str) -> str:
    if sign.isalnum():
        return sign
    if unicodedata.combining(sign) or sign in SILENT:
        return ""
    return sign if unicodedata.category(sign).startswith("M") else " "  # a vowel sign is part of its word


ASCII = {code: _folded(chr(code)) for code in range(128)}


class Titles:
    """An index of titles, made once. It is never changed, so threads may share it."""

    def __init__(self, titles: Sequence[str], popularity: NDArray[np.float64]) -> None:
        self._popularity = popularity
        self._titles = [f" {fold(title)}" for title in titles]
        """Folded; a space stands before each word."""
        self._joined = [title.replace(" ", "") for title in self._titles]
        vocabulary: dict[str, int] = {}
        words = [
            [vocabulary.setdefault(word, len(vocabulary)) for word in title[1:].split(" ")] for title in self._titles
        ]
        lengths = [len(each) for each in words]
        self._word = np.fromiter((word for each in words for word in each), np.intp, sum(lengths))
        """The word at each place, title after title [P]."""
        self._start = np.cumsum([0, *lengths[:-1]])
        """The place where each title begins [I]."""
        self._spelling = np.zeros((max(map(len, vocabulary), default=0), len(vocabulary)), np.uint32)
        """Code points of each word [L,W], 0 after its end."""
        for word, place in vocabulary.items():
            self._spelling[: len(word), place] = _codes(word)
        self._letters = np.array([_letters(word) for word in vocabulary], np.uint64)

    def find(self, query: str) -> NDArray[np.intp]:
        """Places of the titles that fit, best first; of equals the most popular, then the first. No query: all."""
        folded = fold(query)
        if not folded:
            return np.arange(len(self._titles))
        rank = self._by_words(folded.split(" "))
        inside = [place for place, title in enumerate(self._titles) if folded in title]
        at_a_word = [place for place in inside if f" {folded}" in self._titles[place]]
        begins = [place for place in at_a_word if self._titles[place].startswith(f" {folded}")]
        rank[inside], rank[at_a_word], rank[begins] = INSIDE, AT_A_WORD, BEGINS
        rank[[place for place in begins if len(self._titles[place]) == 1 + len(folded)]] = EXACT
        joined = folded.replace(" ", "")
        for place in np.flatnonzero(rank > WORDS).tolist():
            if joined in self._joined[place] and _begins_a_word(joined, self._titles[place]):
                rank[place] = WORDS  # spiderman is spider man
        places = np.flatnonzero(np.isfinite(rank))
        return places[np.lexsort((-self._popularity[places], rank[places]))]

    def _by_words(self, words: list[str]) -> NDArray[np.float64]:
        """WORDS + errors of each title [I]; infinite where a word of the query is not found."""
        rank = np.full(len(self._titles), float(WORDS))
        for word in dict.fromkeys(words):
            rank += np.minimum.reduceat(self._errors(word)[self._word], self._start)
            if not np.isfinite(rank).any():
                break
        return rank

    def _errors(self, word: str) -> NDArray[np.float64]:
        """The fewest errors between `word` and the beginning of each word [W]; infinite above what it may have.

        An error is a letter too many, missing or another, or two neighbours swapped (optimal
        string alignment). All words at once, but for those that are too short or share too
        few letters.
        """
        errors = np.full(len(self._letters), np.inf)
        allowed = min(len(word) // LETTERS_PER_ERROR, MOST_ERRORS)
        if len(word) - allowed > len(self._spelling):
            return errors
        letters = _letters(word)
        likely = np.bitwise_count(self._letters & np.uint64(letters)) >= letters.bit_count() - allowed
        likely = np.flatnonzero(likely & (self._spelling[len(word) - allowed - 1] > 0))
        near, codes = self._spelling[: len(word) + allowed, likely], _codes(word)
        steps = np.arange(len(near) + 1)[:, None]
        row = above = np.repeat(steps, len(likely), axis=1)
        for place, code in enumerate(codes):
            below = np.empty_like(row)
            below[0] = place + 1
            below[1:] = np.minimum(row[:-1] + (near != code), row[1:] + 1)
            if place:
                swapped = (near[1:] == codes[place - 1]) & (near[:-1] == code)
                below[2:] = np.where(swapped, np.minimum(below[2:], above[:-2] + 1), below[2:])
            # A letter too many in the word: each place may come from any before it.
            below = np.minimum.accumulate(below - steps, axis=0) + steps
            above, row = row, below
        fewest = row.min(axis=0)
        errors[likely] = np.where(fewest <= allowed, fewest, np.inf)
        return errors


def _codes(word: str) -> NDArray[np.uint32]:
    return np.array([ord(sign) for sign in word], np.uint32)


def _letters(word: str) -> int:
    """One bit for each letter that the word has; a few letters share theirs with others."""
    bits = 0
    for sign in word:
        bits |= 1 << ord(sign) % 64
    return bits


def _begins_a_word(joined: str, title: str) -> bool:
    words = title.split(" ")
    return any("".join(words[place:]).startswith(joined) for place in range(len(words)))
