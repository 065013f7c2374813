"""Where archives lie: which store holds those of an agent, and how it is opened again later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from backups.archive.errors import PlaceRefusedError
from backups.archive.folderstore import FolderStore
from backups.archive.s3store import S3Store, clean_prefix
from backups.archive.stores import Store, nothing
from backups.models import Backup
from backups.retention.tiers import Name as TierName

TIERS: tuple[TierName, ...] = ("hot", "warm", "cold")


@dataclass(frozen=True, kw_only=True)
class Place:
    """``root``: a folder of this host, or a bucket. ``prefix``: below it, one per agent and kind, so that agents that
    share a root never see each other's archives."""

    storage: str
    root: str
    prefix: str
    tier: str = ""

    @classmethod
    def of(cls, backup: Backup) -> Place:
        return cls(storage=backup.storage, root=backup.root, prefix=backup.prefix, tier=backup.tier)

    def store(self, on_wait: Callable[[], None] = nothing) -> Store:
        """To be closed. ``on_wait`` is called while S3 is waited for, and may raise."""
        if self.storage == Backup.Storage.S3:
            return S3Store(replace(settings.WATCHBILL.s3, bucket=self.root), self.prefix, on_wait=on_wait)
        return FolderStore(Path(self.root) / self.prefix)


def place_for(to: str | None, *, kind: str, organisation: str, agent: str) -> Place:
    """The place that a payload's ``to`` names: ``s3`` (also None), ``hot``, or a folder below BACKUP_ROOT.

    Raises ``PlaceRefusedError``.
    """
    prefix = clean_prefix(f"{kind}/{organisation}/{agent}")
    if to in {None, "s3"}:
        return Place(storage="s3", root=settings.WATCHBILL.s3.bucket, prefix=prefix)
    if to == "hot":
        return tier_place("hot", prefix)
    folder, root = Path(str(to)), Path(settings.WATCHBILL.backup_root)
    if not folder.is_absolute() or not folder.resolve().is_relative_to(root.resolve()):
        raise PlaceRefusedError(
            f"Backups go to S3 (to: s3), through the tiers (to: hot) or to a folder below {root}, not to '{to}'. "
            f"Name it wholly: {root / 'nightly'}.",
        )
    return Place(storage="folder", root=str(folder.resolve()), prefix=prefix)


def tier_place(tier: TierName, prefix: str) -> Place:
    """Where a tier keeps what has this prefix."""
    if tier == "cold":
        return Place(storage="s3", root=settings.WATCHBILL.s3.bucket, prefix=prefix, tier=tier)
    return Place(storage="folder", root=str(tier_folder(tier)), prefix=prefix, tier=tier)


def tier_folder(tier: TierName) -> Path:
    """The folder of the hot or the warm tier."""
    tiers = settings.WATCHBILL.backup_tiers
    return Path(tiers.hot.path if tier == "hot" else tiers.warm.path).expanduser().resolve()


def own_paths() -> list[Path]:
    """What is left out of every backup: folders of this host that hold archives, and Watchbill's own data.

    Its own database above all: closing a file of it in this process would drop the locks of this process's connections.
    """
    watchbill = settings.WATCHBILL
    paths = [Path(watchbill.backup_root), Path(watchbill.data_dir), tier_folder("hot"), tier_folder("warm")]
    database = settings.DATABASES["default"]
    if str(database["ENGINE"]).endswith("sqlite3") and str(database["NAME"]).startswith("/"):
        paths += [Path(f"{database['NAME']}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]
    return [path.resolve() for path in paths]
