import io
import shutil
import subprocess
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.archives import Archive

FILES = st.dictionaries(st.from_regex(r"[a-z]{1,8}\.png", fullmatch=True), st.binary(max_size=300), max_size=8)


def written(files: dict[str, bytes], take_every: int = 1) -> bytes:
    taken = b""
    with Archive() as archive:
        for place, (name, data) in enumerate(files.items()):
            archive.add(name, data)
            if place % take_every == 0:
                waiting, more = archive.waiting, archive.take()
                assert len(more) == waiting
                taken += more
    return taken + archive.take()


@given(FILES, st.integers(1, 4))
@settings(deadline=None)
def test_what_goes_in_comes_out(files: dict[str, bytes], take_every: int) -> None:
    data = written(files, take_every)
    assert data == written(files, 100)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == files


@given(FILES)
@settings(deadline=None)
def test_size_and_checksum_stand_before_each_file(files: dict[str, bytes]) -> None:
    data = written(files)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        for entry in found.infolist():
            head = data[entry.header_offset : entry.header_offset + 30]
            assert int.from_bytes(head[6:8], "little") & 8 == 0  # no data descriptor after the file
            assert int.from_bytes(head[14:18], "little") == entry.CRC
            assert int.from_bytes(head[18:22], "little") == int.from_bytes(head[22:26], "little") == entry.file_size


def test_no_file_is_kept() -> None:
    data = bytes(1_000_000)
    tracemalloc.start()
    with Archive() as archive:
        for number in range(50):
            archive.add(f"{number}.png", data)
            archive.take()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_unzip_reads_it(tmp_path: Path) -> None:
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not installed")
    (tmp_path / "a.zip").write_bytes(written({"0.png": b"first", "1.png": b"second" * 99}))
    subprocess.run([unzip, "-q", "a.zip"], cwd=tmp_path, check=True)
    assert (tmp_path / "1.png").read_bytes() == b"second" * 99
    assert (tmp_path / "0.png").stat().st_mode & 0o777 == 0o644
