"""Is there a place for the archives?"""

from __future__ import annotations

import os
import tempfile

from django.conf import settings

from backups.archive.errors import ArchiveError
from backups.archive.s3store import S3Store
from monitoring.status import Finding, StatusCheck


class Storage(StatusCheck):
    """S3 where it is configured, else the backup folder."""

    part, order = "storage", 60

    def look(self) -> Finding:
        s3 = settings.WATCHBILL.s3
        if not (s3.configured or s3.endpoint_url):
            return self._folder()
        store = S3Store(s3, "workspace")
        try:
            store.archives()
        except ArchiveError as error:
            return self.down(str(error))
        finally:
            store.close()
        return self.up(f"S3, bucket {s3.bucket} at {s3.place}")

    def _folder(self) -> Finding:
        """It is made by the first backup; until then the folder above it must take one."""
        root = settings.WATCHBILL.backup_root
        place = next(folder for folder in (root, *root.parents) if folder.exists())
        if not os.access(place, os.W_OK):
            return self.down(f"{place} can't be written. Set BACKUP_ROOT to a folder that can, or configure S3_*.")
        with tempfile.TemporaryFile(dir=place):
            return self.up(f"folder {root} (no S3 is configured)")
