"""Reads of backups that are more than one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from backups.models import Backup, Drill, Restore  # noqa: F401 - named in strings
    from fleet.models import Organisation


class BackupQuerySet(models.QuerySet["Backup"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)

    def there(self) -> Self:
        """Those whose archive is in its place, as far as is known."""
        return self.exclude(state="deleted")

    def good(self) -> Self:
        return self.filter(state="verified")

    def siblings(self, backup: Backup) -> Self:
        """Those that the same rules of keeping count together, it included: of one job, or of one source and place."""
        same = self.there().filter(
            organisation_id=backup.organisation_id,
            agent_slug=backup.agent_slug,
            kind=backup.kind,
            schedule_name=backup.schedule_name,
            source=backup.source,
            in_container=backup.in_container,
            is_adopted=backup.is_adopted,
        )
        if backup.schedule_name:
            return same  # wherever it put them: a job that was given another place goes on counting
        if backup.tier:
            return same.exclude(tier="")
        return same.filter(tier="", storage=backup.storage, root=backup.root, prefix=backup.prefix)


class DrillQuerySet(models.QuerySet["Drill"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(backup__organisation=organisation)


class RestoreQuerySet(models.QuerySet["Restore"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)
