from pathlib import Path

import pytest

from models.manifest import Credit
from training.data.source import DataError, Source, digest

CREDIT = Credit(data="Words", source="https://example.org/words", licence="CC0", citation="Nobody, 2026")


def source() -> Source[str]:
    return Source(
        "words", CREDIT, "words.txt", lambda folder: (folder / "words.txt").read_text(), lambda seed: "twin", "ratings"
    )


def test_the_files_lie_in_the_folder_or_in_the_one_of_the_source_s_name(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("outer")
    assert source().load(tmp_path) == "outer"
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "words.txt").write_text("inner")
    assert source().load(tmp_path) == "inner"
    assert source().load(tmp_path / "words") == "inner"


@pytest.mark.parametrize("folder", ["nowhere", "file", ""])
def test_what_is_missing_is_named_with_where_it_comes_from(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError) as caught:
        source().load(tmp_path / folder)
    assert str(caught.value) == (
        f"{tmp_path / folder / 'words.txt'} is not there. The folder must hold words.txt\n"
        "Source: https://example.org/words\nLicence: CC0"
    )


def test_a_folder_must_be_named() -> None:
    with pytest.raises(DataError, match=r"words needs --data-dir\. The folder must hold words\.txt"):
        source().load(None)


def test_the_digest_knows_where_a_part_ends() -> None:
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"]) != digest([b"abc"])
    assert digest([b"ab", b"c"]) == digest(iter([b"ab", b"c"]))
    assert digest([b"a", b"b"]) != digest([b"b", b"a"])
