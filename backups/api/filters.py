"""What lists can be narrowed to."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters

from backups.models import Backup, Restore
from backups.querysets import BackupQuerySet


class BackupFilter(filters.FilterSet):  # type: ignore[misc] # the library carries no types
    agent = filters.CharFilter(field_name="agent_slug", label="The agent's slug, also of one that was removed.")
    kind = filters.CharFilter(label="workspace, database, …")
    state = filters.MultipleChoiceFilter(
        choices=Backup.State.choices, label="Unless it is asked for, what was deleted is left out."
    )
    tier = filters.MultipleChoiceFilter(choices=[("hot", "hot"), ("warm", "warm"), ("cold", "cold")])

    class Meta:
        model = Backup
        fields: list[str] = []

    def filter_queryset(self, queryset: BackupQuerySet) -> Any:
        rows = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data["state"] else rows.there()


class RestoreFilter(filters.FilterSet):  # type: ignore[misc] # the library carries no types
    agent = filters.CharFilter(field_name="agent_slug", label="The agent's slug, also of one that was removed.")
    state = filters.MultipleChoiceFilter(choices=Restore.State.choices)
    backup = filters.NumberFilter(field_name="backup_id", label="The number of a backup.")

    class Meta:
        model = Restore
        fields: list[str] = []
