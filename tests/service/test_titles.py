import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.runtime.titles import Titles, fold
from tests.models import reproducible

FILMS = (
    "Alien", "Aliens", "Star Wars: Episode IV - A New Hope", "Matrix, The", "Stargate", "M*A*S*H", "Schindler's List",
    "Am\u00e9lie", "Casablanca", "Godfather, The", "Spider-Man", "Big Momma's House", "!!!", "", "The Twelfth Alien",
    "Terminator 2: Judgment Day", "8 \u00bd", "Stra\u00dfe", "\u6620\u753b\u306e\u672c", "New Star, A",
)  # fmt: skip


def found(query: str, *titles: str, popularity: tuple[float, ...] = ()) -> list[str]:
    titles = titles or FILMS
    shares = np.array(popularity or [0.5] * len(titles))
    return [titles[place] for place in Titles(titles, shares).find(query)]


def test_no_query_finds_everything_in_order() -> None:
    assert found("") == found(" \t") == list(FILMS)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("CASABLANCA", "Casablanca"),
        ("amelie", "Am\u00e9lie"),
        ("AME\u0301LIE", "Am\u00e9lie"),
        ("strasse", "Stra\u00dfe"),
        ("\uff33\uff34\uff32\uff21\uff33\uff33\uff25", "Stra\u00dfe"),
        ("schindlers list", "Schindler's List"),
        ("schindler\u2019s list", "Schindler's List"),
        ("mash", "M*A*S*H"),
        ("8 1/2", "8 \u00bd"),
        ("\u753b\u306e", "\u6620\u753b\u306e\u672c"),
        ("!!!", "!!!"),
        ("the matrix", "Matrix, The"),
        ("hope  NEW star", "Star Wars: Episode IV - A New Hope"),
        ("wars - episode", "Star Wars: Episode IV - A New Hope"),
        ("spiderman", "Spider-Man"),
        ("god father", "Godfather, The"),
        ("sablan", "Casablanca"),
    ],
)
def test_a_piece_of_a_title_finds_it(query: str, title: str) -> None:
    assert found(query)[:1] == [title]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("casablnca", "Casablanca"),  # missing
        ("cassablanca", "Casablanca"),  # too many
        ("casavlanca", "Casablanca"),  # another
        ("csaablanca", "Casablanca"),  # swapped
        ("matrx", "Matrix, The"),
        ("the amtrix", "Matrix, The"),
        ("alein", "Alien"),
        ("star wras", "Star Wars: Episode IV - A New Hope"),
        ("shcindler lits", "Schindler's List"),
        ("termntaor", "Terminator 2: Judgment Day"),  # two in nine letters
        ("judgemnt", "Terminator 2: Judgment Day"),
        ("casabln", "Casablanca"),  # not yet typed to its end
    ],
)
def test_typing_errors_are_forgiven(query: str, title: str) -> None:
    assert found(query)[:1] == [title]


@pytest.mark.parametrize("query", ["lis", "zzzz", "matrix reloaded", "mtx", "termntaer x", "alien alienist", "x" * 200])
def test_what_fits_nothing_finds_nothing(query: str) -> None:
    assert found(query, "Matrix, The", "Alien", "Terminator") == []


def test_letters_do_not_meet_across_words_by_their_ends() -> None:
    assert found("mash", "Big Momma's House") == []


def test_what_fits_better_comes_first() -> None:
    titles = ("Strr", "Bad Costar", "His Star", "A Costar is Born: Star", "Starry", "The Sta Rs", "Star", "Stir Crazy")
    assert found("star", *titles) == [
        "Star", "Starry", "His Star", "A Costar is Born: Star", "Bad Costar", "The Sta Rs", "Strr", "Stir Crazy",
    ]  # fmt: skip


def test_each_word_may_have_its_errors_and_fewer_come_first() -> None:
    titles = ("Brwn Dag", "Brown Dag", "Dags of Brown", "Brown Dogs")
    assert found("brown dags", *titles) == ["Dags of Brown", "Brown Dag", "Brown Dogs", "Brwn Dag"]


def test_of_equals_the_popular_comes_first_then_the_first() -> None:
    titles = ("Film A", "Film B", "Film C", "Filn D")
    assert found("film", *titles, popularity=(0.1, 0.3, 0.1, 0.9)) == ["Film B", "Film A", "Film C", "Filn D"]


def test_accents_that_spell_other_letters_are_kept() -> None:
    assert fold("\u0939\u093f\u0928\u094d\u0926\u0940") == "\u0939\u093f\u0928\u0926\u0940"  # vowel signs stay


def distance(query: str, word: str) -> int:
    """Optimal string alignment, letter by letter."""
    table = [[i + j if 0 in (i, j) else 0 for j in range(len(word) + 1)] for i in range(len(query) + 1)]
    for i in range(1, len(query) + 1):
        for j in range(1, len(word) + 1):
            table[i][j] = min(
                table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (query[i - 1] != word[j - 1])
            )
            if i > 1 and j > 1 and query[i - 2 : i] == word[j - 1] + word[j - 2]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[len(query)][len(word)]


words = st.text("abcd", min_size=1, max_size=11)


@given(words, st.lists(words, min_size=1, max_size=8))
@reproducible
def test_errors_are_counted_as_optimal_string_alignment_does(query: str, titles: list[str]) -> None:
    allowed = min(len(query) // 4, 2)
    fits = {
        title
        for title in titles
        if query in title or min(distance(query, title[:end]) for end in range(len(title) + 1)) <= allowed
    }
    assert set(found(query, *titles)) == fits


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6), st.text(max_size=6))
@settings(reproducible, max_examples=50)
def test_any_text_is_a_title_and_a_query(titles: list[str], query: str) -> None:
    index = Titles(titles, np.full(len(titles), 0.5))
    places = index.find(query).tolist()
    assert len(set(places)) == len(places)
    for place, title in enumerate(titles):
        places = index.find(title).tolist()
        assert place in places
        assert not fold(title) or fold(titles[places[0]]) == fold(title)
