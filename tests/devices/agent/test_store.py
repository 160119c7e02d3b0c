# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import shutil
from pathlib import Path

import pytest

from edgeq_devices.agent.store import Store, StoreError

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def send(store: Store, content: bytes, offset: int = 0) -> int:
    return store.receive(DIGEST, len(CONTENT), offset, io.BytesIO(content))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "edgeq")


def test_a_file_is_sent_once(store: Store) -> None:
    assert store.present(DIGEST) == 0
    assert send(store, CONTENT) == len(CONTENT)
    assert store.present(DIGEST) == len(CONTENT)
    assert send(store, b"") == len(CONTENT)


def test_a_transfer_goes_on_where_it_was_cut_off(store: Store) -> None:
    assert send(store, CONTENT[:1000]) == 1000
    assert store.present(DIGEST) == 1000
    assert send(store, CONTENT[1000:], 1000) == len(CONTENT)
    directory = store.link("bundle", {"model.onnx.data": DIGEST})
    assert (directory / "model.onnx.data").read_bytes() == CONTENT


def test_an_empty_file_is_a_file(store: Store) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    assert store.receive(digest, 0, 0, io.BytesIO()) == 0
    assert (store.link("bundle", {"empty": digest}) / "empty").read_bytes() == b""


def test_a_damaged_transfer_starts_anew(store: Store) -> None:
    with pytest.raises(StoreError, match="another hash"):
        send(store, b"x" + CONTENT[1:])
    assert store.present(DIGEST) == 0


def test_a_wrong_offset_is_refused(store: Store) -> None:
    send(store, CONTENT[:1000])
    with pytest.raises(StoreError, match="found 1000 bytes, wanted 500"):
        send(store, CONTENT[500:], 500)


def test_a_full_disk_is_refused_before_anything_is_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(store.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=17 << 20))
    with pytest.raises(StoreError, match="disk full: 1048576 bytes free"):
        send(store, CONTENT)
    assert store.present(DIGEST) == 0


def test_a_disk_that_gets_full_meanwhile_keeps_nothing_of_the_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(stream: io.BytesIO, file: io.BytesIO, count: int) -> None:
        file.write(stream.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgeq_devices.agent.store._copy", fill)
    with pytest.raises(StoreError, match="disk full: no space left below"):
        send(store, CONTENT)
    assert list((store.root / "blobs").iterdir()) == []


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b", "", "nul\0byte"])
def test_paths_stay_inside_the_bundle(store: Store, path: str) -> None:
    send(store, CONTENT)
    with pytest.raises(StoreError, match="wanted one inside the bundle"):
        store.link("bundle", {path: DIGEST})
    assert list((store.root / "bundles").iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "sp ace"])
def test_bundles_have_plain_names(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="wanted a plain name"):
        store.link(name, {})


@pytest.mark.parametrize("digest", ["", "../x", "g" * 64, DIGEST[:-1]])
def test_files_are_named_by_hashes_alone(store: Store, digest: str) -> None:
    with pytest.raises(StoreError, match="wanted a SHA-256"):
        store.present(digest)


def test_a_missing_file_leaves_the_old_bundle(store: Store) -> None:
    send(store, CONTENT)
    old = store.link("bundle", {"a": DIGEST})
    with pytest.raises(StoreError, match="b: not in the store"):
        store.link("bundle", {"b": "0" * 64})
    assert [path.name for path in old.iterdir()] == ["a"]
    assert [path.name for path in old.parent.iterdir()] == ["bundle"]


def test_a_bundle_that_is_there_stays_as_it_is(store: Store) -> None:
    send(store, CONTENT)
    directory = store.link("bundle", {"a": DIGEST, "b/c": DIGEST})
    made = directory.stat().st_ino
    assert store.link("bundle", {"a": DIGEST, "b/c": DIGEST}).stat().st_ino == made
    assert {path.name for path in store.link("bundle", {"a": DIGEST}).iterdir()} == {"a"}
    (directory / "a").unlink()
    (directory / "a").write_text("another")
    assert store.link("bundle", {"a": DIGEST}).joinpath("a").read_bytes() == CONTENT


def test_files_that_no_bundle_uses_are_removed_with_the_last_one(store: Store) -> None:
    send(store, CONTENT)
    store.link("one", {"a": DIGEST})
    store.link("two", {"b": DIGEST})
    store.remove("one")
    assert store.present(DIGEST) == len(CONTENT)
    store.remove("two")
    assert store.present(DIGEST) == 0


def test_two_hosts_do_not_write_the_same_file(store: Store) -> None:
    send(store, CONTENT[:1000])
    with (store.root / "blobs" / f"{DIGEST}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="somebody else is sending the same file"):
            send(store, CONTENT[1000:], 1000)
    assert send(store, CONTENT[1000:], 1000) == len(CONTENT)
