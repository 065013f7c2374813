"""Making archives: what is in them, under which name, and which ones stay."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from backups.archive import backup as backup_module
from backups.archive.backup import Contents, Made, make_archive, prune
from backups.archive.errors import (
    BucketMissingError,
    DiskFullError,
    EndedEarlyError,
    PlaceRefusedError,
    S3KeysMissingError,
    S3RefusedError,
    S3UnreachableError,
    SourceBrokenError,
    SourceMissingError,
    SourceUnreadableError,
    StoreFailedError,
)
from backups.archive.folder import open_folder, pack_folder
from backups.archive.folderstore import FolderStore
from backups.archive.repack import pack_tar
from backups.archive.restore import Order, restore
from backups.archive.s3store import S3Store
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks, Store
from backups.archive.tarwriter import TarWriter
from tests.s3_servers import client_of, free_port, keys_of, uploads_left

MANIFEST = Path(__file__).parents[1] / "tools" / "manifest.py"


def back_up(store: Store, folder: Path, *, keep: int = 5, hooks: Hooks | None = None) -> Made:
    contents = Contents(pack=lambda writer: pack_folder(open_folder(folder), writer).value)
    return make_archive(store, contents, keep=keep, hooks=hooks)


def packed(folder: Path, hooks: Hooks | None = None) -> tuple[bytes, TarWriter]:
    parts: list[bytes] = []
    with TarWriter(parts.append, hooks or Hooks()) as writer:
        pack_folder(open_folder(folder), writer)
    return b"".join(parts), writer


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "archives")


def test_a_restored_tree_equals_the_one_that_was_archived(workspace: Path, store: FolderStore, tmp_path: Path) -> None:
    made = back_up(store, workspace)
    done = restore(store, made.name, Order(target=tmp_path / "back"))
    assert done.verified
    assert done.entries == made.packed.entries == 10
    compared = subprocess.run(
        [sys.executable, MANIFEST, workspace, tmp_path / "back"], capture_output=True, text=True, check=True
    )
    assert '"diffs": {}' in compared.stdout
    assert str((tmp_path / "back/bin/python").readlink()) == "/usr/bin/python3"


def test_gnu_tar_reads_it_and_sha256sum_agrees(workspace: Path, store: FolderStore, tmp_path: Path) -> None:
    made = back_up(store, workspace)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xzf", store.folder / made.name, "-C", tmp_path / "out"], check=True)
    assert (tmp_path / "out/workspace/notes/今日.md").read_text(encoding="utf-8") == "夜班\n"
    subprocess.run(["sha256sum", "-c", f"{made.name}.sha256"], cwd=store.folder, check=True, capture_output=True)
    assert made.size == (store.folder / made.name).stat().st_size


def test_entries_come_in_the_order_of_names_and_the_manifest_last(workspace: Path) -> None:
    *entries, manifest = names(packed(workspace)[0])
    assert entries[0] == "workspace"
    assert entries == sorted(entries, key=lambda name: name.split("/"))
    assert manifest == "watchbill-manifest.jsonl"


def test_a_name_that_is_not_utf8_survives(workspace: Path, store: FolderStore, tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(workspace) + b"/caf\xe9"))).write_text("x")
    restore(store, back_up(store, workspace).name, Order(target=tmp_path / "back"))
    assert b"caf\xe9" in map(os.fsencode, (path.name for path in (tmp_path / "back").iterdir()))


def test_long_paths_and_big_files(workspace: Path, store: FolderStore, tmp_path: Path) -> None:
    deep = workspace.joinpath(*["d" * 200] * 10)
    deep.mkdir(parents=True)
    (deep / "leaf").write_text("x")
    restore(store, back_up(store, workspace).name, Order(target=tmp_path / "back"))
    assert (tmp_path / "back").joinpath(*["d" * 200] * 10, "leaf").read_text() == "x"


def test_a_sparse_file_comes_back_sparse(workspace: Path, store: FolderStore, tmp_path: Path) -> None:
    with (workspace / "sparse").open("wb") as file:
        file.truncate(20_000_000)
    restore(store, back_up(store, workspace).name, Order(target=tmp_path / "back"))
    status = (tmp_path / "back/sparse").stat()
    assert status.st_size == 20_000_000
    assert status.st_blocks * 512 < 1_000_000


def test_sockets_and_fifos_are_left_out_and_noted(workspace: Path) -> None:
    os.mkfifo(workspace / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(workspace / "socket"))
        archive, writer = packed(workspace)
    assert writer.packed.skipped == 2
    assert any("fifo: a FIFO" in note for note in writer.packed.notes)
    assert not {"workspace/fifo", "workspace/socket"} & set(names(archive))


def test_a_file_that_vanishes_is_noted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def opened(path: object, *options: object, **more: object) -> int:
        if path == "zero":
            (workspace / "zero").unlink(missing_ok=True)
        return real(path, *options, **more)

    monkeypatch.setattr("backups.archive.folder.os.open", opened)
    archive, writer = packed(workspace)
    assert any("zero: vanished" in note for note in writer.packed.notes)
    assert "workspace/zero" not in names(archive)


@pytest.mark.parametrize("size", [100_000, 900_000])
def test_a_file_that_changes_size_while_read_keeps_the_archive_whole(workspace: Path, size: int) -> None:
    (workspace / "a-log").write_bytes(b"x" * 600_000)

    def change(read: int, _: int) -> None:
        if read >= 256 * 1024:
            os.truncate(workspace / "a-log", size)

    archive, writer = packed(workspace, Hooks(on_chunk=change))
    assert any("a-log: changed" in note for note in writer.packed.notes)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getmember("workspace/a-log").size == 600_000
        assert "workspace/zero" in tar.getnames()  # what comes after it is still in its place


def test_a_folder_swapped_for_a_link_is_not_followed(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    real = os.open

    def opened(path: object, *options: object, **more: object) -> int:
        if path == "notes" and not (workspace / "notes").is_symlink():
            (workspace / "notes").rename(tmp_path / "away")
            (workspace / "notes").symlink_to(tmp_path / "secret")
        return real(path, *options, **more)

    monkeypatch.setattr("backups.archive.folder.os.open", opened)
    archive, writer = packed(workspace)
    assert not any("key" in name for name in names(archive))
    assert any("notes: vanished" in note for note in writer.packed.notes)


def test_what_lies_outside_or_is_missing_is_refused(workspace: Path, tmp_path: Path) -> None:
    (workspace / "out").symlink_to(tmp_path)
    for folder in (workspace / "..", workspace / "out", Path("/etc")):
        with pytest.raises(PlaceRefusedError):
            open_folder(folder, beneath=workspace)
    os.close(open_folder(workspace / "notes", beneath=workspace))
    for folder in (tmp_path / "none", workspace / "zero"):
        with pytest.raises(SourceMissingError, match="does not exist here"):
            open_folder(folder)


def test_an_unreadable_file_fails_with_its_name(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("backups.archive.folder.os.pread", refuse)
    with pytest.raises(SourceUnreadableError, match=r"^notes/.*Permission denied"):
        packed(workspace)


def test_too_deep_a_tree_is_a_clear_error(workspace: Path) -> None:
    here = os.open(workspace, os.O_RDONLY)
    for _ in range(420):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(SourceUnreadableError, match="400 folders deep"):
        packed(workspace)


def test_the_newest_five_stay_and_the_warning_is_no_failure(
    workspace: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 8):
        upload = store.begin(f"workspace_2026010{day}_000000.tar.gz", Hooks())
        upload.write(b"old")
        upload.publish("0" * 64)
    made = back_up(store, workspace)
    left = [archive.name for archive in store.archives()]
    assert left[0] == made.name
    assert left[1:] == [f"workspace_2026010{day}_000000.tar.gz" for day in (7, 6, 5, 4)]
    assert len(made.pruned) == 3
    assert len(list(store.folder.iterdir())) == 10  # five archives, five checksums

    def refuse(_: str) -> None:
        raise StoreFailedError("no")

    monkeypatch.setattr(store, "delete", refuse)
    made = back_up(store, workspace)
    assert "could not be pruned: no" in made.warning
    assert store.exists(made.name)


def test_pruning_never_takes_the_newest_even_when_the_clock_went_back(store: FolderStore) -> None:
    for name in ("workspace_20200101_000000.tar.gz", "workspace_20300101_000000.tar.gz"):
        upload = store.begin(name, Hooks())
        upload.publish("0" * 64)
    assert prune(store, keep=1, newest="workspace_20200101_000000.tar.gz") == ((), "")


def test_two_in_one_second_wait(workspace: Path, store: FolderStore) -> None:
    made = [back_up(store, workspace).name for _ in range(3)]
    assert made == sorted(set(made))


def test_many_at_once_in_s3_all_get_a_name(
    workspace: Path, rclone_s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This server ignores ``If-None-Match``: the claim alone keeps them apart."""
    monkeypatch.setattr(backup_module, "_TRIES", 30)
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(back_up(S3Store(rclone_s3, "a"), workspace, keep=50).name))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(made)) == 4
    assert len(keys_of(rclone_s3)) == 8
    assert uploads_left(rclone_s3) == []


def test_stopping_ends_within_a_second_and_leaves_nothing(workspace: Path, rclone_s3: S3Settings) -> None:
    (workspace / "big").write_bytes(os.urandom(60_000_000))
    stopped: list[float] = []

    def stop(_: int, written: int) -> None:
        if written > 30_000_000:
            stopped.append(time.monotonic())
            raise EndedEarlyError("enough")

    handles: list[object] = []
    with pytest.raises(EndedEarlyError):
        back_up(S3Store(rclone_s3, "a"), workspace, hooks=Hooks(on_chunk=stop, on_handle=handles.append))
    assert time.monotonic() - stopped[0] < 1.5
    assert uploads_left(rclone_s3) == []
    assert keys_of(rclone_s3) == []
    assert [bool(handle["upload_id"]) for handle in handles] == [False, True]


def test_s3_fails_with_its_reason(workspace: Path, rclone_s3: S3Settings) -> None:
    from dataclasses import replace

    cases = [
        (replace(rclone_s3, access_key_id=""), S3KeysMissingError, "S3_ACCESS_KEY_ID"),
        (replace(rclone_s3, secret_access_key=""), S3KeysMissingError, "S3_SECRET_ACCESS_KEY"),
        (replace(rclone_s3, secret_access_key="wrong"), S3RefusedError, "SignatureDoesNotMatch"),
        (replace(rclone_s3, bucket="nowhere"), BucketMissingError, "'nowhere' does not exist"),
    ]
    for settings, error, text in cases:
        with pytest.raises(error, match=text):
            back_up(S3Store(settings, "a"), workspace)


def test_an_unreachable_s3_is_named_without_its_credentials(workspace: Path) -> None:
    url = f"http://user:hunter2@127.0.0.1:{free_port()}"
    settings = S3Settings(endpoint_url=url, access_key_id="key", secret_access_key="hunter3")
    started = time.monotonic()
    with pytest.raises(S3UnreachableError, match=r"S3 at http://127\.0\.0\.1:\d+ cannot be reached") as caught:
        back_up(S3Store(settings, "a"), workspace)
    assert "hunter" not in str(caught.value) + repr(settings)
    assert time.monotonic() - started < 15


def test_s3_refuses_what_its_policy_forbids(workspace: Path) -> None:
    """In moto's authorisation mode, in a process of its own as the mode is one of the process."""
    code = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        settings = S3Settings(endpoint_url=f"http://127.0.0.1:{port}", access_key_id="k", secret_access_key="s")
        client_of(settings).create_bucket(Bucket="backups")
        with pytest.raises(S3RefusedError, match=r"refuses \(\w+\).*policy of the bucket 'backups'"):
            back_up(S3Store(settings, "a"), workspace)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_is_said_and_leaves_nothing(workspace: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine does not let us mount a file system")
    try:
        (workspace / "big").write_bytes(os.urandom(4_000_000))
        with pytest.raises(DiskFullError, match="is full"):
            back_up(FolderStore(small / "archives"), workspace)
        assert list((small / "archives").iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def tar_stream(folder: Path, *options: str) -> bytes:
    return subprocess.run(
        ["tar", "c", *options, folder.name], cwd=folder.parent, capture_output=True, check=True
    ).stdout


def repacked(stream: bytes, store: FolderStore, size: int = 1000) -> Made:
    chunks = (stream[start : start + size] for start in range(0, len(stream), size))

    def pack(writer: TarWriter) -> str:
        pack_tar(chunks, writer)
        return ""

    return make_archive(store, Contents(pack=pack), keep=5)


def test_a_containers_stream_becomes_an_archive(workspace: Path, store: FolderStore, tmp_path: Path) -> None:
    os.mkfifo(workspace / "fifo")
    source = workspace.rename(workspace.parent / "work")
    made = repacked(tar_stream(source), store)
    restore(store, made.name, Order(target=tmp_path / "back"))
    (source / "fifo").unlink()
    compared = subprocess.run(
        [sys.executable, MANIFEST, source, tmp_path / "back"], capture_output=True, text=True, check=True
    )
    assert '"diffs": {}' in compared.stdout
    assert made.packed.skipped == 1
    assert hashlib.sha256((store.folder / made.name).read_bytes()).hexdigest() == made.sha256


def test_a_containers_stream_that_ends_early_publishes_nothing(workspace: Path, store: FolderStore) -> None:
    (workspace / "big").write_bytes(os.urandom(1_000_000))
    stream = tar_stream(workspace)
    for part in (stream[:-600_000], b""):
        with pytest.raises(SourceBrokenError):
            repacked(part, store)
    with pytest.raises(SourceMissingError, match="not a folder"):
        repacked(tar_stream(workspace / "zero"), store)
    assert store.archives() == []
