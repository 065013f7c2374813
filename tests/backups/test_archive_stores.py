"""Every store keeps the same contract."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from backups.archive.errors import ArchiveMissingError, EndedEarlyError, NameTakenError, PlaceRefusedError
from backups.archive.folderstore import FolderStore
from backups.archive.s3store import S3Store, clean_prefix
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks, Store
from tests.s3_servers import uploads_left

NAMES = [f"workspace_2026022{day}_083812.tar.gz" for day in range(1, 8)]
NAME = NAMES[0]


@pytest.fixture(params=["folder", "rclone", "moto"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Store]:
    """A store of the agent that is named."""
    if request.param == "folder":
        return lambda agent: FolderStore(tmp_path / "archives" / agent)
    settings = request.getfixturevalue(f"{request.param}_s3")
    return lambda agent: S3Store(settings, f"workspace/{agent}")


@pytest.fixture
def store(make_store: Callable[[str], Store]) -> Store:
    return make_store("lead")


def put(store: Store, name: str, content: bytes = b"content") -> str:
    digest = hashlib.sha256(content).hexdigest()
    upload = store.begin(name, Hooks())
    upload.write(content)
    upload.publish(digest)
    upload.abort()
    return digest


def content_of(store: Store, name: str = NAME) -> bytes:
    with contextlib.closing(store.reader(name)) as reader:
        return b"".join(iter(lambda: reader.read(1_000_000), b""))


def test_an_empty_store_has_no_archives(store: Store) -> None:
    assert store.archives() == []
    assert not store.exists(NAME)


def test_what_was_published_is_read_back_with_its_checksum(store: Store) -> None:
    content = bytes(range(256)) * 100_000  # 25 MB: several parts
    digest = put(store, NAME, content)
    read = content_of(store)
    assert read == content
    assert store.checksum(NAME) == digest == hashlib.sha256(read).hexdigest()
    assert [(archive.name, archive.size) for archive in store.archives()] == [(NAME, len(content))]
    assert store.archives()[0].modified.tzinfo is not None


def test_archives_come_newest_first(store: Store) -> None:
    for name in (NAMES[1], NAMES[4], NAMES[0]):
        put(store, name)
    assert [archive.name for archive in store.archives()] == [NAMES[4], NAMES[1], NAMES[0]]


def test_nothing_is_seen_before_publish_nor_after_abort(store: Store) -> None:
    upload = store.begin(NAME, Hooks())
    upload.write(b"x" * 20_000_000)
    assert store.archives() == []
    upload.abort()
    upload.abort()
    assert store.archives() == []
    assert store.checksum(NAME) is None
    put(store, NAME)  # the name is free again


def test_an_archive_is_never_overwritten(store: Store) -> None:
    put(store, NAME, b"first")
    with pytest.raises(NameTakenError):
        store.begin(NAME, Hooks())
    assert content_of(store) == b"first"


def test_of_two_at_once_under_one_name_only_one_goes_on(store: Store) -> None:
    first = store.begin(NAME, Hooks())
    with pytest.raises(NameTakenError):
        store.begin(NAME, Hooks())
    first.write(b"first")
    first.publish("0" * 64)
    assert content_of(store) == b"first"


def test_stopping_just_before_publishing_leaves_nothing(store: Store) -> None:
    def stop() -> None:
        raise EndedEarlyError("enough")

    upload = store.begin(NAME, Hooks(before_publish=stop))
    upload.write(b"x")
    with pytest.raises(EndedEarlyError):
        upload.publish("0" * 64)
    upload.abort()
    assert store.archives() == []
    assert store.checksum(NAME) is None


def test_delete_takes_the_checksum_along(store: Store) -> None:
    put(store, NAME)
    store.delete(NAME)
    assert store.checksum(NAME) is None
    with pytest.raises(ArchiveMissingError):
        store.delete(NAME)
    with pytest.raises(ArchiveMissingError):
        store.reader(NAME)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "workspace_2026.tar.gz", NAME + "\n", "", NAME + ".sha256"])
def test_other_names_are_refused(store: Store, name: str) -> None:
    for use in (store.exists, store.reader, store.delete):
        with pytest.raises(ArchiveMissingError, match="not the name of an archive"):
            use(name)


def test_agents_of_one_place_do_not_see_each_other(make_store: Callable[[str], Store]) -> None:
    lead, leader, below = make_store("lead"), make_store("leader"), make_store("lead/sub")
    for each, name in ((lead, NAMES[0]), (leader, NAMES[1]), (below, NAMES[2])):
        put(each, name)
    assert [archive.name for archive in lead.archives()] == [NAMES[0]]
    assert [archive.name for archive in leader.archives()] == [NAMES[1]]


def test_reaping_removes_what_a_dead_process_left(store: Store) -> None:
    handles: list[object] = []
    upload = store.begin(NAME, Hooks(on_handle=handles.append))
    upload.write(b"x" * 20_000_000)
    reaped = [store.reap(handle) for handle in handles]
    assert any(reaped)
    assert not store.reap(handles[-1])
    put(store, NAME, b"next attempt")
    store.reap(handles[-1])  # also when the former attempt had published after all
    assert store.checksum(NAME) is not None
    upload.abort()  # nor if it comes back to life
    assert content_of(store) == b"next attempt"
    assert store.checksum(NAME) is not None


def test_s3_leaves_no_unfinished_upload(rclone_s3: S3Settings, moto_s3: S3Settings) -> None:
    for settings in (rclone_s3, moto_s3):
        store = S3Store(settings, "workspace/lead")
        put(store, NAME)
        store.begin(NAMES[1], Hooks()).abort()
        with pytest.raises(NameTakenError):
            store.begin(NAME, Hooks())
        assert uploads_left(settings) == []


def test_s3_refuses_to_overwrite_at_the_last_moment(moto_s3: S3Settings) -> None:
    """Between the look and the publishing another writer came, one that makes no claim."""
    from tests.s3_servers import client_of

    store = S3Store(moto_s3, "workspace/lead")
    key = f"workspace/lead/{NAME}"

    def intrude() -> None:
        client_of(moto_s3).put_object(Bucket=moto_s3.bucket, Key=key + ".sha256", Body=b"theirs")

    upload = store.begin(NAME, Hooks(before_publish=intrude))
    upload.write(b"ours")
    with pytest.raises(NameTakenError):
        upload.publish("0" * 64)
    upload.abort()
    assert client_of(moto_s3).get_object(Bucket=moto_s3.bucket, Key=key + ".sha256")["Body"].read() == b"theirs"


def test_more_archives_than_one_page_of_a_listing(moto_s3: S3Settings) -> None:
    from tests.s3_servers import client_of

    client = client_of(moto_s3)
    store = S3Store(moto_s3, "workspace/lead")
    store.page = 2
    for name in NAMES:
        client.put_object(Bucket=moto_s3.bucket, Key=f"workspace/lead/{name}", Body=b"")
    assert len(store.archives()) == len(NAMES)


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "archives")
    put(store, NAME)
    assert (tmp_path / "archives").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "archives").iterdir()} == {0o600}
    assert sorted(path.name for path in (tmp_path / "archives").iterdir()) == [NAME, NAME + ".sha256"]


def test_prefixes() -> None:
    assert clean_prefix("/a//b/") == "a/b/"
    assert clean_prefix("") == ""
    with pytest.raises(PlaceRefusedError):
        clean_prefix("a/../b")
