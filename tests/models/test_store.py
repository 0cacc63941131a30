"""The store under faults: deaths, a disk that refuses, rivals, broken versions.

Faults are injected into a forked process at the calls that Python makes to the operating
system (audit events and `os.fsync`); the store itself runs as it is.
"""

import errno
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models import sample
from models.manifest import Manifest
from models.store import MAX_MANIFEST, BrokenVersion, NothingToAdopt, Store, verify
from tests import versions
from tests.models import reproducible

MANIFEST, FILES = versions.recommend()
NAME = MANIFEST.name
PROSE = {"card.md": b"# A card", "figures/curve.png": b"\x89PNG"}


def called(summary: str) -> Manifest:
    """The manifest of `FILES` with another summary, to tell versions apart."""
    return MANIFEST.model_copy(update={"summary": summary})


def summaries(store: Store) -> dict[int, str]:
    """What is visible: every version must verify."""
    return {number: verify(path, NAME, number).manifest.summary for number, path in store.find().get(NAME, {}).items()}


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in `folder`: files with their bytes, folders with None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# Publish


def test_what_was_published_is_found_and_verified(tmp_path: Path) -> None:
    store = Store([tmp_path / "new" / "folder"])
    folder = store.publish(MANIFEST, FILES)
    assert store.find() == {NAME: {1: folder}}
    version = verify(folder, NAME, 1)
    assert version.files == FILES
    assert version.folder == folder
    assert version.items() == versions.film_items()
    assert version.manifest == MANIFEST


def test_folders_that_cannot_be_listed_are_named(tmp_path: Path) -> None:
    """Root may list every folder, so these are a file and a link to itself."""
    file, models = tmp_path / "file", tmp_path / "models"
    file.touch()
    models.mkdir()
    (models / "readme").touch()
    (models / "mine").mkdir()
    (models / "loop").symlink_to(models / "loop")
    assert Store([tmp_path / "absent", file, models]).walk()[1] == {
        file: os.strerror(errno.ENOTDIR),
        models / "loop": os.strerror(errno.ELOOP),
    }


def test_numbers_and_hashes_are_the_stores(tmp_path: Path) -> None:
    store = Store([tmp_path])
    wrong = MANIFEST.model_copy(
        update={
            "version": 77,
            "files": {name: file.model_copy(update={"size": 1}) for name, file in MANIFEST.files.items()},
        }
    )
    assert [store.publish(wrong, FILES).name for _ in range(3)] == ["1", "2", "3"]
    version = verify(tmp_path / NAME / "3", NAME, 3)
    assert version.manifest.version == 3
    assert version.manifest.files == MANIFEST.files


def test_all_four_are_published(tmp_path: Path) -> None:
    assert sorted(versions.publish_all(tmp_path).find()) == ["digits-gan", "digits-vae", "movies-rbm", "photo-dae"]


def test_prose_stands_beside_and_may_change(tmp_path: Path) -> None:
    folder = Store([tmp_path]).publish(MANIFEST, FILES, PROSE)
    assert {name: (folder / name).read_bytes() for name in PROSE} == PROSE
    (folder / "card.md").write_text("corrected")
    shutil.rmtree(folder / "figures")
    assert verify(folder, NAME, 1).files == FILES


def test_a_version_is_described_anew_and_only_its_prose_changes(tmp_path: Path) -> None:
    store = Store([tmp_path / "first", tmp_path])
    folder = Store([tmp_path]).publish(MANIFEST, FILES, PROSE)
    before = tree(folder)
    new = {"card.md": b"# Another card", "figures/samples.png": b"\x89PNG2"}
    assert store.describe(NAME, 1, new) == folder
    assert tree(folder) == {name: data for name, data in before.items() if name not in PROSE} | new
    assert verify(folder, NAME, 1).files == FILES
    store.describe(NAME, 1, {"card.md": b"# No figures"})
    assert not (folder / "figures").exists()
    assert {path.name for path in folder.parent.iterdir()} == {"1"}, "nothing is left over"


def test_what_is_no_prose_or_not_there_is_not_described(tmp_path: Path) -> None:
    store = Store([tmp_path])
    store.publish(MANIFEST, FILES, PROSE)
    before = tree(tmp_path)
    with pytest.raises(BrokenVersion, match=r"'manifest.json' is neither card.md nor a file of figures/"):
        store.describe(NAME, 1, {"card.md": b"", "manifest.json": b""})
    with pytest.raises(FileNotFoundError, match=f"no version 2 of {NAME}"):
        store.describe(NAME, 2, {"card.md": b""})
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    [
        "../card.md",
        "/tmp/card.md",
        "figures/../x.md",
        "figures/a/b.png",
        "figures",
        "manifest.json",
        "notes.txt",
        "",
        "card.md\n",
    ],
)
def test_prose_of_another_name_is_refused_before_a_byte_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BrokenVersion, match=r"is neither card.md nor a file of figures/"):
        Store([tmp_path / "store"]).publish(MANIFEST, FILES, {name: b""})
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", ["../evil.onnx", "/tmp/evil.onnx", "a/b.onnx", ".hidden", "evil", "manifest.json"])
def test_a_file_of_another_name_is_refused_before_a_byte_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BrokenVersion, match="the manifest does not fit"):
        Store([tmp_path / "store"]).publish(MANIFEST, FILES | {name: b""})
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("lost", sorted(FILES))
def test_a_version_that_lacks_a_file_is_refused(tmp_path: Path, lost: str) -> None:
    with pytest.raises(BrokenVersion, match=f"missing .*{lost}"):
        Store([tmp_path]).publish(MANIFEST, {name: data for name, data in FILES.items() if name != lost})
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("spoiled", sorted(FILES))
def test_a_version_that_does_not_verify_is_not_published(tmp_path: Path, spoiled: str) -> None:
    store = Store([tmp_path])
    with pytest.raises(BrokenVersion, match=spoiled):
        store.publish(MANIFEST, FILES | {spoiled: b"spoiled"})
    assert tree(tmp_path) == {NAME: None}
    assert store.publish(MANIFEST, FILES).name == "1"


# Find


def test_of_several_folders_the_first_wins_and_the_union_counts(tmp_path: Path) -> None:
    mine, zoo = tmp_path / "mine", tmp_path / "zoo"
    for summary in ("zoo 1", "zoo 2", "zoo 3"):
        Store([zoo]).publish(called(summary), FILES)
    Store([mine]).publish(called("mine 1"), FILES)
    store = Store([mine, zoo, tmp_path / "missing"])
    assert summaries(store) == {1: "mine 1", 2: "zoo 2", 3: "zoo 3"}
    assert summaries(Store([zoo, mine])) == {1: "zoo 1", 2: "zoo 2", 3: "zoo 3"}
    assert store.publish(called("mine 4"), FILES) == mine / NAME / "4"
    assert Store([zoo]).find()[NAME].keys() == {1, 2, 3}


def test_folders_of_another_name_are_ignored(tmp_path: Path) -> None:
    store = Store([tmp_path])
    published = store.publish(MANIFEST, FILES)
    for name in ("2 ", "02", "0", "-3", "+3", "1.5", "1e3", "v4", ".5", "1_0", "1234567890", "٣", "1٢", "²"):
        shutil.copytree(published, published.parent / name)
    for name in ("Movies", "movies_rbm", ".movies", "-movies", "movies-", "a--b", "film é", "movies\n"):
        shutil.copytree(published, tmp_path / name / "1")
    (tmp_path / "README.md").write_text("no folder")
    (tmp_path / "empty").mkdir()
    assert store.find() == {NAME: {1: published}}


def test_a_store_without_folders_is_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Store([]).find() == Store([tmp_path / "missing", tmp_path / "file"]).find() == {}


# Retire


def test_a_retired_version_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    store = Store([tmp_path])
    for summary in ("one", "two", "three"):
        store.publish(called(summary), FILES, PROSE)
    store.retire(NAME, 2)
    assert summaries(store) == {1: "one", 3: "three"}
    assert sorted(os.listdir(tmp_path / NAME)) == ["1", "3"]
    assert store.publish(called("four"), FILES).name == "4"


def test_what_a_retired_version_hid_is_seen_again(tmp_path: Path) -> None:
    mine, zoo = tmp_path / "mine", tmp_path / "zoo"
    Store([mine]).publish(called("mine"), FILES)
    Store([zoo]).publish(called("zoo"), FILES)
    store = Store([mine, zoo])
    store.retire(NAME, 1)
    assert summaries(store) == {1: "zoo"}


@pytest.mark.parametrize(("name", "number"), [(NAME, 2), ("other", 1), ("..", 1), ("", 1)])
def test_what_is_not_there_cannot_be_retired(tmp_path: Path, name: str, number: int) -> None:
    store = Store([tmp_path])
    store.publish(MANIFEST, FILES)
    before = tree(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no version {number} of {name} in"):
        store.retire(name, number)
    assert tree(tmp_path) == before


def test_a_link_or_a_file_in_a_versions_place_can_be_retired(tmp_path: Path) -> None:
    store = Store([tmp_path])
    target = store.publish(MANIFEST, FILES)
    before = tree(tmp_path)
    (target.parent / "2").symlink_to(target)
    (target.parent / "3").write_text("no folder")
    store.retire(NAME, 2)
    store.retire(NAME, 3)
    assert tree(tmp_path) == before


# Faults: a process that dies, a disk that refuses, a rival that comes between

DONE, STRUCK, REFUSED, OTHERWISE, DIED = 0, 1, 10, 20, 77
EVENTS = {"open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir"}


def start(action: Callable[[], int | None]) -> int:
    """Run `action` in a forked process, which ends with the status that it returns, or with 99 if it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, which numpy has
        child = os.fork()
    if child == 0:
        status = 99
        try:
            status = action() or DONE
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    return child


def end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(action: Callable[[], int | None]) -> int:
    return end(start(action))


def watch(root: Path, seen: Callable[[str, tuple[Any, ...]], object]) -> None:
    """Call `seen(event, arguments)` before each file-system call in `root`. For good: only in a forked process."""
    flush = os.fsync

    def watched_flush(descriptor: int) -> None:
        seen("fsync", (descriptor,))
        flush(descriptor)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and str(arguments[0]).startswith(str(root)):
            seen(event, arguments)

    os.fsync = watched_flush
    sys.addaudithook(hook)


def at(moment: int, root: Path, strike: Callable[[], object]) -> list[int]:
    """Strike once, before the file-system call number `moment`; the list tells how many calls there were."""
    count = [0]

    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        count[0] += 1
        if count[0] == moment:
            strike()

    watch(root, seen)
    return count


@pytest.fixture(scope="module")
def published() -> Iterator[Path]:
    """A store folder with version 1, called "old", to be copied."""
    with tempfile.TemporaryDirectory() as folder:
        Store([Path(folder)]).publish(called("old"), FILES, PROSE)
        yield Path(folder)


def test_a_death_at_any_moment_of_publish_leaves_the_old_state_or_the_new(tmp_path: Path, published: Path) -> None:
    states = []
    for moment in range(1, 200):
        folder = tmp_path / str(moment)
        shutil.copytree(published, folder)

        def publish(folder: Path = folder, moment: int = moment) -> None:
            at(moment, folder, lambda: os._exit(DIED))
            Store([folder]).publish(called("new"), FILES, PROSE)

        status = in_child(publish)
        assert status in (DIED, DONE)
        states.append(summaries(Store([folder])))
        number = Store([folder]).publish(called("next"), FILES).name
        assert summaries(Store([folder])) == states[-1] | {int(number): "next"}
        if status == DONE:
            break
    old, new = {1: "old"}, {1: "old", 2: "new"}
    before = states.count(old)
    assert before > 20
    assert states == [old] * before + [new] * (len(states) - before)
    assert len(states) - before > 1, "the last moments lie after the rename"


def test_a_death_at_any_moment_of_retire_leaves_the_version_whole_or_gone(tmp_path: Path, published: Path) -> None:
    states = []
    for moment in range(1, 100):
        folder = tmp_path / str(moment)
        shutil.copytree(published, folder)

        def retire(folder: Path = folder, moment: int = moment) -> None:
            at(moment, folder, lambda: os._exit(DIED))
            Store([folder]).retire(NAME, 1)

        status = in_child(retire)
        assert status in (DIED, DONE)
        states.append(summaries(Store([folder])))
        if status == DONE:
            break
    before = states.count({1: "old"})
    assert 1 < before < len(states)
    assert states == [{1: "old"}] * before + [{}] * (len(states) - before)


def test_a_disk_that_refuses_at_any_moment_publishes_nothing_and_leaves_no_rest(
    tmp_path: Path, published: Path
) -> None:
    full = os.strerror(errno.ENOSPC)
    refusals = 0
    for moment in range(1, 200):
        folder = tmp_path / str(moment)
        shutil.copytree(published, folder)
        before = tree(folder)

        def publish(folder: Path = folder, moment: int = moment) -> int:
            def refuse() -> None:
                raise OSError(errno.ENOSPC, full)

            count = at(moment, folder, refuse)
            outcome = DONE
            try:
                Store([folder]).publish(called("new"), FILES, PROSE)
            except (OSError, BrokenVersion) as error:
                outcome = REFUSED if full in str(error) else OTHERWISE
            return outcome + (STRUCK if count[0] >= moment else 0)

        status = in_child(publish)
        if status == REFUSED + STRUCK:
            refusals += 1
            assert tree(folder) == before
        else:
            assert status in (DONE, DONE + STRUCK)
            assert summaries(Store([folder])) == {1: "old", 2: "new"}
            assert sorted(os.listdir(folder / NAME)) == ["1", "2"]
        if status == DONE:
            break
    assert status == DONE
    assert refusals > 20


@pytest.mark.parametrize("room", [0, 1, 500, 2000, max(len(data) for data in FILES.values()) - 1])
def test_a_write_that_is_cut_short_publishes_nothing_and_leaves_no_rest(
    tmp_path: Path, published: Path, room: int
) -> None:
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    before = tree(tmp_path)

    def publish() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        try:
            Store([tmp_path]).publish(called("new"), FILES)
        except OSError as error:
            return REFUSED if error.errno == errno.EFBIG else OTHERWISE
        return DONE

    assert in_child(publish) == REFUSED
    assert tree(tmp_path) == before


def test_everything_is_on_the_disk_before_the_version_is_seen(tmp_path: Path) -> None:
    """A power cut keeps what was flushed: each file and folder as it is when it is renamed, then the name."""

    def publish() -> None:
        flushed: set[tuple[int, int]] = set()
        renamed = []

        def identity(status: os.stat_result) -> tuple[int, int]:
            return status.st_ino, status.st_mtime_ns

        def seen(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "fsync":
                flushed.add(identity(os.fstat(arguments[0])))
            elif event == "os.rename":
                hidden = Path(arguments[0])
                found = [hidden, *hidden.rglob("*")]
                assert len(found) == 2 + len(FILES) + 1 + len(PROSE)
                assert {identity(path.stat()) for path in found} <= flushed
                renamed.append(Path(arguments[1]))
                flushed.clear()

        watch(tmp_path, seen)
        folder = Store([tmp_path]).publish(MANIFEST, FILES, PROSE)
        assert renamed == [folder]
        assert flushed == {identity(folder.parent.stat())}

    assert in_child(publish) == DONE


def test_a_rival_at_any_moment_takes_another_number_and_none_is_lost(tmp_path: Path, published: Path) -> None:
    orders = []
    for moment in range(1, 200):
        folder = tmp_path / str(moment)
        shutil.copytree(published, folder)

        def publish(folder: Path = folder, moment: int = moment) -> int:
            count = at(moment, folder, lambda: Store([folder]).publish(called("rival"), FILES))
            Store([folder]).publish(called("mine"), FILES)
            return STRUCK if count[0] >= moment else DONE

        status = in_child(publish)
        assert status in (STRUCK, DONE)
        seen = summaries(Store([folder]))
        if status == DONE:
            assert seen == {1: "old", 2: "mine"}
            break
        assert seen in ({1: "old", 2: "mine", 3: "rival"}, {1: "old", 2: "rival", 3: "mine"})
        assert sorted(os.listdir(folder / NAME)) == ["1", "2", "3"]
        orders.append(seen[2])
    rivals = orders.count("rival")
    assert rivals > 15
    assert orders == ["rival"] * rivals + ["mine"] * (len(orders) - rivals)
    assert len(orders) > rivals


def test_two_publishers_at_once_share_no_number_and_lose_none(tmp_path: Path) -> None:
    for round_ in range(6):
        folder = tmp_path / str(round_)
        waiting, starting = os.pipe()

        def publish(who: str, folder: Path = folder, waiting: int = waiting, starting: int = starting) -> None:
            os.close(starting)
            os.read(waiting, 1)  # ends when the parent closes its end: both start at once
            for i in range(4):
                Store([folder]).publish(called(f"{who}{i}"), FILES)

        children = [start(partial(publish, who)) for who in "ab"]
        os.close(waiting)
        os.close(starting)
        assert [end(child) for child in children] == [DONE, DONE]
        seen = summaries(Store([folder]))
        assert sorted(seen) == list(range(1, 9))
        assert sorted(seen.values()) == [f"{who}{i}" for who in "ab" for i in range(4)]
        for who in "ab":
            assert [seen[number] for number in sorted(seen) if seen[number][0] == who] == [
                f"{who}{i}" for i in range(4)
            ]
        assert sorted(os.listdir(folder / NAME), key=int) == [str(number) for number in range(1, 9)]


# Broken versions: each kind is a small change to the good folder that `published` holds

Break = Callable[[Path], object]


def edit(change: Callable[[dict[str, Any]], object]) -> Break:
    """Change the manifest and spell it canonically."""

    def apply(folder: Path) -> None:
        tree = json.loads((folder / "manifest.json").read_bytes())
        change(tree)
        spelled = json.dumps(tree, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
        (folder / "manifest.json").write_text(spelled)

    return apply


def respell(old: bytes, new: bytes) -> Break:
    """Change the manifest's bytes."""

    def apply(folder: Path) -> None:
        data = (folder / "manifest.json").read_bytes()
        assert old in data
        (folder / "manifest.json").write_bytes(data.replace(old, new, 1))

    return apply


def swap(name: str, change: Callable[[bytes], bytes]) -> Break:
    """Change a file and let the manifest tell its true size and hash, so that deeper checks must find the fault."""

    def apply(folder: Path) -> None:
        data = change((folder / name).read_bytes())
        (folder / name).write_bytes(data)
        true = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        edit(lambda tree: tree["files"].update({name: true}))(folder)

    return apply


def graph(change: Callable[[onnx.ModelProto], object]) -> Break:
    def apply(data: bytes) -> bytes:
        model = onnx.load_model_from_string(data)
        change(model)
        return model.SerializeToString()

    return swap("score.onnx", apply)


def external(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../secret"


def record(change: Callable[[dict[str, np.ndarray]], object]) -> Break:
    def apply(data: bytes) -> bytes:
        with np.load(io.BytesIO(data)) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        change(found)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=True, **found)
        return buffer.getvalue()

    return swap("sample.npz", apply)


def entry(name: str, data: bytes) -> Break:
    """Add an entry to the sample's archive."""

    def apply(archive: bytes) -> bytes:
        buffer = io.BytesIO(archive)
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, data)
        return buffer.getvalue()

    return swap("sample.npz", apply)


def items(old: str, new: str) -> Break:
    def apply(data: bytes) -> bytes:
        assert old in data.decode()
        return data.decode().replace(old, new, 1).encode()

    return swap("items.csv", apply)


def instead(name: str, make: Callable[[Path], object]) -> Break:
    """Something else in the place of a file."""

    def apply(folder: Path) -> None:
        (folder / name).rename(folder.parent / "aside")
        make(folder / name)

    return apply


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "aside")


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end, working_in(path.parent):  # a socket's address is short
        end.bind(path.name)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def linked_folder(folder: Path) -> None:
    folder.rename(folder.parent / "aside")
    folder.symlink_to(folder.parent / "aside")


def file_for_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def flip(folder: Path) -> None:
    data = bytearray((folder / "score.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "score.onnx").write_bytes(data)


def grow(folder: Path) -> None:
    with (folder / "items.csv").open("ab") as file:
        file.write(b"\n")


BROKEN: dict[str, tuple[Break, str]] = {
    # the folder
    "no folder": (shutil.rmtree, "it is a link or no folder"),
    "a link to a folder": (linked_folder, "it is a link or no folder"),
    "a file for a folder": (file_for_folder, "it is a link or no folder"),
    "a missing file": (
        lambda folder: (folder / "items.csv").unlink(),
        "not there: items.csv",
    ),
    "an extra file": (lambda folder: (folder / "x.py").touch(), "not in the manifest: x.py"),
    "an extra folder": (lambda folder: (folder / "more").mkdir(), "not in the manifest: more"),
    "a link for a file": (instead("score.onnx", link), "cannot be read: Too many levels of symbolic links"),
    "a folder for a file": (instead("score.onnx", Path.mkdir), "score.onnx is no plain file"),
    "a pipe for a file": (instead("score.onnx", os.mkfifo), "score.onnx is no plain file"),
    "a socket for a file": (instead("score.onnx", listen), "cannot be read: No such device or address"),
    "a flipped bit": (flip, "score.onnx does not have the hash that the manifest names"),
    "a longer file": (grow, "items.csv has"),
    "a shorter file": (lambda folder: os.truncate(folder / "sample.npz", 100), "sample.npz has 100 bytes, not"),
    "an empty file": (lambda folder: os.truncate(folder / "score.onnx", 0), "score.onnx has 0 bytes, not"),
    # the manifest
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "cannot be read: No such file"),
    "a link for the manifest": (instead("manifest.json", link), "cannot be read: Too many levels of symbolic links"),
    "a pipe for the manifest": (instead("manifest.json", os.mkfifo), "manifest.json is no plain file"),
    "a folder for the manifest": (instead("manifest.json", Path.mkdir), "manifest.json is no plain file"),
    "a huge manifest": (
        lambda folder: os.truncate(folder / "manifest.json", MAX_MANIFEST + 1),
        f"manifest.json has {MAX_MANIFEST + 1} bytes",
    ),
    "no JSON": (respell(b"{", b""), "manifest.json is not JSON"),
    "no UTF-8": (respell(b"old", b"\xff"), "manifest.json is not JSON"),
    "deep nesting": (lambda f: (f / "manifest.json").write_bytes(b"[" * 10**6), "manifest.json is not JSON"),
    "another schema": (edit(lambda tree: tree.update(schema=2)), "schema 2 is not 1"),
    "another name": (edit(lambda tree: tree.update(name="films")), "calls it films/1, its folder movies-rbm/1"),
    "another number": (edit(lambda tree: tree.update(version=2)), "calls it movies-rbm/2, its folder movies-rbm/1"),
    "an unknown key": (edit(lambda tree: tree.update(licence="MIT")), "licence: Extra inputs are not permitted"),
    "a missing key": (edit(lambda tree: tree.pop("credit")), "credit: Field required"),
    "a key twice": (respell(b'"schema": 1', b'"schema": 1,\n  "schema": 1'), "not in its canonical spelling"),
    "another spelling": (respell(b'"schema": 1', b'"schema":1'), "not in its canonical spelling"),
    "a number that is none": (respell(b'"seconds": 0.25', b'"seconds": NaN'), "made_by/seconds"),
    "a number as text": (edit(lambda tree: tree["made_by"].update(seed="7")), "made_by/seed: Input should be a valid"),
    "a path for a file name": (
        edit(lambda tree: tree["files"].update({"../1/score.onnx": tree["files"].pop("score.onnx")})),
        "files/../1/score.onnx",
    ),
    "a file of no task": (
        edit(lambda tree: tree["files"].update({"x.onnx": tree["files"]["score.onnx"]})),
        "extra ['x.onnx']",
    ),
    "a task twice": (edit(lambda tree: tree["tasks"].append(tree["tasks"][0])), "a task is declared twice"),
    "an unknown task": (edit(lambda tree: tree["tasks"][0].update(task="guess")), "tasks/0"),
    "no task": (edit(lambda tree: tree.update(tasks=[])), "tasks"),
    "a task that does not fit its graph": (
        edit(lambda tree: tree["tasks"][0].update(items=41)),
        "does not have the tensors",
    ),
    "no tolerance": (
        edit(lambda tree: tree["sample"]["tolerance"].pop("score")),
        "needs one tolerance for every output",
    ),
    # the graph
    "a truncated graph": (swap("score.onnx", lambda data: data[:-50]), "score.onnx: not an ONNX model"),
    "no graph": (swap("score.onnx", lambda data: b"not a graph"), "score.onnx: not an ONNX model"),
    "an empty graph": (swap("score.onnx", lambda data: b""), "score.onnx: operators must be of the standard set"),
    "onnxruntime's format": (
        swap("score.onnx", lambda data: b"\xc2\x0c\x05\x00ORTM" + data),
        "onnxruntime's own format",
    ),
    "external data": (graph(external), "lies outside the file"),
    "a foreign domain": (
        graph(lambda model: model.opset_import.append(helper.make_opsetid("com.microsoft", 1))),
        "standard set 18 and of no other domain",
    ),
    "a foreign operator": (
        graph(lambda model: setattr(model.graph.node[0], "domain", "com.microsoft")),
        "is of the unknown domain 'com.microsoft'",
    ),
    "another operator set": (
        graph(lambda model: setattr(model.opset_import[0], "version", 21)),
        "operators must be of the standard set 18",
    ),
    "a function": (graph(lambda model: model.functions.add(name="f")), "functions or training steps of its own"),
    "another input": (
        graph(lambda model: setattr(model.graph.input[0], "name", "items")),
        "inputs are ['items', 'rating'], declared are ['item_index', 'rating']",
    ),
    "another input type": (
        graph(lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT64)),
        "input 'item_index' is not the declared int32 ['B', 'N']",
    ),
    "another output shape": (
        graph(lambda model: setattr(model.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 39)),
        "output 'score' is not the declared float32 ['B', 40]",
    ),
    # the sample
    "no archive": (swap("sample.npz", lambda data: b"no archive"), "sample.npz cannot be read"),
    "a recording missing": (record(lambda arrays: arrays.pop("score/out/score")), "no array score/out/score"),
    "a recording too many": (record(lambda arrays: arrays.update(x=np.zeros(1))), "arrays of no graph: ['x']"),
    "a recording of another shape": (
        record(lambda arrays: arrays.update({"score/out/score": np.zeros((3, 39), np.float32)})),
        "score/out/score is float32 (3, 39)",
    ),
    "a recording of another type": (
        record(lambda arrays: arrays.update({"score/in/item_index": np.zeros((3, 4), np.int64)})),
        "score/in/item_index is int64 (3, 4)",
    ),
    "a pickle": (
        record(lambda arrays: arrays.update({"score/in/rating": np.array([{}], object)})),
        "sample.npz cannot be read: Object arrays cannot be loaded",
    ),
    "a bomb": (entry("bomb.npy", bytes(sample.MAX_BYTES)), "sample.npz unpacks to more than"),
    "text among recordings": (entry("score/out/more", b"text"), "arrays of no graph: ['score/out/more']"),
    # the items
    "too few items": (swap("items.csv", lambda data: data[: data.rindex(b"\n38,") + 1]), "has 39 items, the graph 40"),
    "an item twice": (items("\n260,", "\n1196,"), "items.csv line 3: the item id '1196' is empty or repeated"),
    "a bad number": (items(",1977", ",long ago"), "items.csv line 3: could not convert string to float: 'long ago'"),
    "another column": (items("popularity", "fame"), "items.csv must have the columns"),
    "items that are no UTF-8": (swap("items.csv", lambda data: data + b"\xff"), "items.csv is not UTF-8 CSV"),
}


def still_open(folder: Path) -> list[Path]:
    """What this process holds open in `folder`."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own descriptor is closed by now
            targets.append(descriptor.readlink())
    assert targets
    return [target for target in targets if target.is_relative_to(folder)]


@contextmanager
def without_hanging(seconds: float = 10) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"still not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_version_is_refused_with_its_reason(tmp_path: Path, published: Path, kind: str) -> None:
    break_, reason = BROKEN[kind]
    folder = tmp_path / NAME / "1"
    shutil.copytree(published / NAME / "1", folder)
    assert verify(folder, NAME, 1).manifest.summary == "old"
    break_(folder)
    with without_hanging(), pytest.raises(BrokenVersion) as refused:
        verify(folder, NAME, 1)
    assert reason in str(refused.value)
    assert still_open(tmp_path) == []


def test_a_broken_version_does_not_stop_the_next(tmp_path: Path, published: Path) -> None:
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    flip(tmp_path / NAME / "1")
    store = Store([tmp_path])
    assert verify(store.publish(called("next"), FILES), NAME, 2).manifest.summary == "next"


DAMAGED = st.tuples(
    st.sampled_from(["manifest.json", *sorted(FILES)]),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(["flip", "cut", "insert", "overwrite"]),
    st.binary(min_size=1, max_size=8),
)


def damaged(data: bytes, place: float, how: str, patch: bytes) -> bytes:
    i = int(place * len(data))
    if how == "flip":
        return data[:i] + bytes([data[i] ^ (patch[0] or 1)]) + data[i + 1 :]
    if how == "cut":
        return data[:i]
    return data[:i] + patch + data[i + (len(patch) if how == "overwrite" else 0) :]


@given(DAMAGED)
@settings(reproducible, max_examples=100)
def test_any_damage_to_a_file_is_refused(published: Path, damage: tuple[str, float, str, bytes]) -> None:
    name, *rest = damage
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "1"
        shutil.copytree(published / NAME / "1", folder)
        before = (folder / name).read_bytes()
        after = damaged(before, *rest)
        (folder / name).write_bytes(after)
        if name == "manifest.json" or after == before:  # a manifest has no hash: some other fact may be as good
            with without_hanging():
                accepted_or_refused(folder)
        else:
            with pytest.raises(BrokenVersion, match=name):
                verify(folder, NAME, 1)


@given(DAMAGED)
@settings(reproducible, max_examples=150)
def test_damage_under_a_true_hash_is_refused_or_harmless(
    published: Path, damage: tuple[str, float, str, bytes]
) -> None:
    name, *rest = damage
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "1"
        shutil.copytree(published / NAME / "1", folder)
        if name == "manifest.json":
            (folder / name).write_bytes(damaged((folder / name).read_bytes(), *rest))
        else:
            swap(name, lambda data: damaged(data, *rest))(folder)
        with without_hanging():
            accepted_or_refused(folder)


def accepted_or_refused(folder: Path) -> None:
    """`verify` ends in nothing but a refusal or a version that is what its folder holds."""
    try:
        version = verify(folder, NAME, 1)
    except BrokenVersion:
        return
    assert version.manifest.to_bytes() == (folder / "manifest.json").read_bytes()
    assert version.files == {name: (folder / name).read_bytes() for name in FILES}
    assert len(version.items()) == 40


def test_adopt_moves_the_newest_version_and_drops_the_older_ones(tmp_path: Path) -> None:
    work, zoo = tmp_path / "work", tmp_path / "zoo"
    store = Store([work, zoo])
    manifest, files = versions.generate()
    first = store.publish(manifest, files)
    card = {"card.md": b"prose", "figures/sheet.png": b"a picture"}
    store.adopt(manifest.name)
    assert not first.exists()
    store.publish(manifest, files, card)
    adopted = store.adopt(manifest.name)
    assert adopted == zoo / manifest.name / "2"
    assert store.find() == {manifest.name: {2: adopted}}
    assert verify(adopted, manifest.name, 2).files == files
    assert {name: (adopted / name).read_bytes() for name in card} == card
    assert {path.name for path in (zoo / manifest.name).iterdir()} == {"2"}


def test_adopt_refuses_when_there_is_nothing_or_the_version_is_broken(tmp_path: Path) -> None:
    work, zoo = tmp_path / "work", tmp_path / "zoo"
    store = Store([work, zoo])
    manifest, files = versions.generate()
    with pytest.raises(NothingToAdopt):
        store.adopt(manifest.name)
    path = store.publish(manifest, files)
    (path / "decode.onnx").write_bytes(b"x")
    with pytest.raises(BrokenVersion):
        store.adopt(manifest.name)
    assert path.exists()
    assert not list(zoo.glob("*/*"))
    with pytest.raises(NothingToAdopt):
        Store([work]).adopt(manifest.name)
