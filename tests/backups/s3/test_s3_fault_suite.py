"""Many backups and restores through a network that fails: what is shown is whole, what failed leaves nothing.

A short run belongs to every suite. ``FAULTS_S3_SEEDS=20 FAULTS_S3_BACKUPS=40`` makes a long one, and
``--log-cli-level=INFO`` tells what happened.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from backups.archive.errors import ArchiveError
from backups.archive.s3retry import Retry
from backups.archive.s3store import S3Store
from backups.archive.s3sweep import sweep_uploads
from backups.archive.settings import S3Settings
from backups.archive.stores import Hooks
from tests.s3_faults import Dice, faulty
from tests.s3_servers import keys_of, uploads_left

SEEDS = int(os.environ.get("FAULTS_S3_SEEDS", "1"))
BACKUPS = int(os.environ.get("FAULTS_S3_BACKUPS", "8"))
AT_ONCE = 8
PART = 64 * 1024
PREFIX = "workspace/lead"
LOG = logging.getLogger(__name__)


@pytest.fixture
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> S3Settings:
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 256)
    # As many tries as ever, but not the minute that they may take.
    monkeypatch.setattr("backups.archive.s3client.Retry", partial(Retry, first=0.03, longest=0.5))
    found: S3Settings = request.getfixturevalue(f"{request.param}_s3")
    return replace(found, part_size=PART)


@dataclass
class Tale:
    """What became of one backup."""

    name: str
    sha256: str
    size: int
    error: ArchiveError | None = None
    handles: list[Any] = field(default_factory=list)


def back_up(store: S3Store, name: str, dice: random.Random) -> Tale:
    content = dice.randbytes(dice.choice([0, 1, PART, dice.randrange(10 * PART)]))
    tale = Tale(name, hashlib.sha256(content).hexdigest(), len(content))
    rest = memoryview(content)
    try:
        upload = store.begin(name, Hooks(on_handle=tale.handles.append))
        try:
            while rest:
                size = dice.randrange(1, 3 * PART)
                upload.write(bytes(rest[:size]))
                rest = rest[size:]
            upload.publish(tale.sha256)
        finally:
            upload.abort()
    except ArchiveError as error:
        tale.error = error
        LOG.info("failed", exc_info=True)
    return tale


def digest_of(store: S3Store, name: str, offset: int = 0) -> str:
    with contextlib.closing(store.reader(name, offset=offset)) as reader:
        digest = hashlib.sha256()
        while chunk := reader.read(100_000):
            digest.update(chunk)
    return digest.hexdigest()


def require_truth(tale: Tale, direct: S3Store) -> None:
    """The rule of this suite, for one backup."""
    if tale.error is not None and tale.handles:
        direct.reap(tale.handles[-1])
    shown = {archive.name: archive.size for archive in direct.archives()}
    if tale.error is None:
        assert tale.name in shown
    if tale.name in shown:
        assert shown[tale.name] == tale.size
        assert digest_of(direct, tale.name) == tale.sha256 == direct.checksum(tale.name)
    if tale.error is not None:
        assert tale.name not in shown, f"failed with {tale.error}, and yet it is there"
        assert direct.checksum(tale.name) is None


def names() -> Iterator[str]:
    return (
        f"workspace_20260101_{number // 3600:02}{number // 60 % 60:02}{number % 60:02}.tar.gz" for number in range(9**5)
    )


@pytest.mark.parametrize(
    ("settings", "rate"), [("rclone", 0.01), ("rclone", 0.03), ("rclone", 0.05), ("moto", 0.05)], indirect=["settings"]
)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_shown_is_whole_and_what_failed_leaves_nothing(settings: S3Settings, rate: float, seed: int) -> None:
    dice = Dice(rate=rate, seed=seed)
    with (
        faulty(settings, dice, read_timeout=0.3) as (behind, proxy),
        contextlib.closing(S3Store(settings, PREFIX)) as direct,
    ):
        store = S3Store(behind, PREFIX)
        chosen = [(name, random.Random(f"{seed} {name}")) for name, _ in zip(names(), range(BACKUPS), strict=False)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tales = list(pool.map(lambda each: back_up(store, *each), chosen))
            left = len(uploads_left(settings))
            for tale in tales:
                require_truth(tale, direct)
            good = [tale for tale in tales if tale.error is None]
            restores = list(pool.map(lambda tale: restored(store, tale), good))
        swept = sweep_uploads(settings, PREFIX, timedelta(0), keep=set())
        failed = Counter(type(tale.error).__name__ for tale in tales if tale.error)
        LOG.info("rate %s seed %s: %d requests, %s", rate, seed, len(proxy.requests), dict(dice.thrown))
        LOG.info("backups %d of %d, %s; restores %d", len(good), len(tales), dict(failed), sum(restores))
        LOG.info("uploads left %d, swept %d", left, len(swept))
        assert uploads_left(settings) == []
        assert len(keys_of(settings)) == 2 * len(good)
        assert dice.thrown or rate < 0.03
        assert len(good) >= BACKUPS // 2


def restored(store: S3Store, tale: Tale) -> bool:
    """A restore through the same network is whole, or it fails."""
    try:
        expected = store.checksum(tale.name)
        assert digest_of(store, tale.name) == tale.sha256 == expected
    except ArchiveError:
        return False
    return True
