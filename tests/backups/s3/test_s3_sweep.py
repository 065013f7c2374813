"""What nobody else would ever find in S3, and only that."""

from __future__ import annotations

import functools
import time
from datetime import timedelta

import pytest

from backups.archive.errors import EndedEarlyError, PlaceRefusedError
from backups.archive.s3sweep import sweep_uploads
from backups.archive.settings import S3Settings
from tests.s3_servers import client_of, keys_of, uploads_left

NAMES = [f"workspace_2026022{day}_083812.tar.gz" for day in range(1, 8)]
NOW = timedelta(0)
#: Making one takes longer than most of these tests.
client = functools.cache(client_of)


@pytest.fixture(params=["rclone", "moto"])
def server(request: pytest.FixtureRequest) -> S3Settings:
    found: S3Settings = request.getfixturevalue(f"{request.param}_s3")
    return found


def begin(server: S3Settings, key: str) -> str:
    upload: str = client(server).create_multipart_upload(Bucket=server.bucket, Key=key)["UploadId"]
    return upload


def put(server: S3Settings, *keys: str) -> None:
    for key in keys:
        client(server).put_object(Bucket=server.bucket, Key=key, Body=b"x")


def test_strays_go_and_what_lives_or_is_not_ours_stays(server: S3Settings) -> None:
    live, stray = f"workspace/acme/lead/{NAMES[0]}", f"workspace/acme/lead/{NAMES[1]}"
    elsewhere, strange = f"workspace2/{NAMES[2]}", "workspace/video.mp4"
    ids = {key: begin(server, key) for key in (live, stray, elsewhere, strange)}
    swept = sweep_uploads(server, "workspace", NOW, keep={ids[live]})
    assert [(each.key, each.upload_id) for each in swept] == [(stray, ids[stray])]
    assert all(each.since.tzinfo for each in swept)
    assert sorted(uploads_left(server)) == sorted([live, elsewhere, strange])
    assert sweep_uploads(server, "workspace", NOW, keep={ids[live]}) == []


def test_checksums_alone_go_and_others_stay(server: S3Settings) -> None:
    whole, alone, begun, old = (f"a/lead/{name}" for name in NAMES[:4])
    put(server, whole, f"{whole}.sha256", f"{alone}.sha256", f"{begun}.sha256", old, "a/notes.sha256", f"{whole}.note")
    upload = begin(server, begun)
    swept = sweep_uploads(server, "a", NOW, keep={upload})
    assert [(each.key, each.upload_id) for each in swept] == [(f"{alone}.sha256", "")]
    assert f"{alone}.sha256" not in keys_of(server)
    assert len(keys_of(server)) == 6
    # Its upload is given up: then it goes as well, and the upload before it.
    assert [each.key for each in sweep_uploads(server, "a", NOW, keep=set())] == [begun, f"{begun}.sha256"]


def test_what_is_young_stays(rclone_s3: S3Settings) -> None:
    begin(rclone_s3, f"a/{NAMES[0]}")
    put(rclone_s3, f"a/{NAMES[1]}.sha256")
    time.sleep(1.1)
    assert sweep_uploads(rclone_s3, "a", timedelta(hours=1), keep=set()) == []
    assert len(sweep_uploads(rclone_s3, "a", timedelta(seconds=1), keep=set())) == 2


def test_an_empty_bucket_and_pages(server: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep_uploads(server, "", NOW, keep=set()) == []
    monkeypatch.setattr("backups.archive.s3sweep.PAGE", 2)
    for name in NAMES:
        begin(server, f"a/{name}")
        put(server, f"b/{name}.sha256")
    assert len(sweep_uploads(server, "", NOW, keep=set())) == 14
    assert keys_of(server) == uploads_left(server) == []


def test_it_can_be_stopped_and_refuses_a_wrong_prefix(rclone_s3: S3Settings) -> None:
    from tests.s3_faults import faulty

    def stop() -> None:
        raise EndedEarlyError("enough")

    with faulty(rclone_s3, read_timeout=30) as (behind, proxy):
        proxy.die()
        with pytest.raises(EndedEarlyError):
            sweep_uploads(behind, "a", NOW, keep=set(), on_wait=stop)
    with pytest.raises(PlaceRefusedError):
        sweep_uploads(rclone_s3, "a/../b", NOW, keep=set())
