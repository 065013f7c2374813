"""Backups, drills and restores as the API shows them."""

from __future__ import annotations

from rest_framework import serializers

from backups.models import Backup, Drill, Restore
from backups.words import place_of


class DrillSerializer(serializers.ModelSerializer[Drill]):
    class Meta:
        model = Drill
        fields = ("job_run_id", "began_at", "seconds", "is_ok", "problem", "checks")
        read_only_fields = fields


class BackupSerializer(serializers.ModelSerializer[Backup]):
    agent = serializers.CharField(source="agent_slug", help_text="It stays when the agent is removed.")
    schedule = serializers.CharField(source="schedule_name", help_text="Empty for one that was asked for.")
    place = serializers.SerializerMethodField(help_text="A path on the host, or an S3 address.")
    drill_seconds = serializers.FloatField(
        allow_null=True, help_text="How long its newest drill that worked took: the real time to restore."
    )

    class Meta:
        model = Backup
        fields = (
            *("id", "name", "agent", "kind", "schedule", "job_run_id", "source", "in_container", "is_adopted"),
            *("place", "tier", "state", "problem", "size", "sha256", "key_id", "has_manifest"),
            *("entries", "tree_bytes", "skipped", "changed"),
            *("began_at", "still_at", "created_at", "checked_at", "verified_at"),
            *("drilled_at", "drill_seconds", "deleted_at", "deleted_why"),
            *("retention", "details"),
        )
        read_only_fields = fields

    def get_place(self, backup: Backup) -> str:
        return place_of(backup)


class RestoreSerializer(serializers.ModelSerializer[Restore]):
    agent = serializers.CharField(source="agent_slug", help_text="It stays when the agent is removed.")
    backup = serializers.IntegerField(source="backup_id", allow_null=True, help_text="The number of the backup.")

    class Meta:
        model = Restore
        fields = (
            *("id", "agent", "backup", "archive", "job_run_id", "target", "kept", "state", "problem"),
            *("entries", "tree_bytes", "began_at", "seconds", "settled_at"),
        )
        read_only_fields = fields
