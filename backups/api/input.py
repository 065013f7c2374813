"""What a backup or a restore is asked for with. Which values do is said by the executor that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from schedules.api.fields import AgentField, PayloadField, StrictSerializer

_PATHS = 10_000


@extend_schema_field(
    {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "object", "additionalProperties": {"type": "integer"}}]}
)
class KeepField(serializers.Field[Any, Any, Any, Any]):
    """A number of archives, or rules of keeping."""

    def to_internal_value(self, data: Any) -> Any:
        return PayloadField().run_validation(data) if isinstance(data, Mapping) else data

    def to_representation(self, value: Any) -> Any:
        return value


class BackupInputSerializer(StrictSerializer):
    agent = AgentField(help_text="The slug of one of your agents.")
    kind = serializers.CharField(max_length=32, help_text="workspace, database, …")
    to = serializers.CharField(required=False, max_length=1024, help_text="s3, hot, or a folder below BACKUP_ROOT.")
    source = serializers.CharField(required=False, max_length=1024, help_text="A folder of the agent.")  # type: ignore[assignment] # a field's name
    databases = serializers.ListField(
        child=serializers.CharField(max_length=1024), required=False, max_length=_PATHS, help_text="Paths below source."
    )
    location = serializers.CharField(required=False, max_length=32, help_text="folder, or container.")
    leave_out = serializers.ListField(
        child=serializers.CharField(max_length=1024), required=False, max_length=_PATHS, help_text="Paths below source."
    )
    on_change = serializers.CharField(
        required=False, max_length=32, help_text="What a file that changes while it is read does: note, or fail."
    )
    if_unchanged = serializers.CharField(required=False, max_length=32, help_text="skip, or archive.")
    verify = serializers.BooleanField(required=False, help_text="Read it back at once.")
    keep = KeepField(
        required=False, help_text="How many to keep, or rules; older ones go. It needs the scope backups:write."
    )
    recipient = serializers.CharField(
        required=False, max_length=120, help_text="Whom to encrypt it for. It needs the scope backups:write."
    )


class RestoreInputSerializer(StrictSerializer):
    to = serializers.CharField(
        required=False, max_length=1024, help_text="A folder to restore beside into; without it: to its place."
    )
    paths = serializers.ListField(
        child=serializers.CharField(max_length=4096), required=False, max_length=_PATHS, help_text="Only these."
    )
    chown = serializers.CharField(required=False, max_length=32, help_text="1000:1000, for all that is restored.")
    folder_mode = serializers.CharField(required=False, max_length=8, help_text="0700")
    file_mode = serializers.CharField(required=False, max_length=8, help_text="0600")
    stop_container = serializers.BooleanField(required=False, help_text="Stop the agent's container meanwhile; true.")
    stop_seconds = serializers.IntegerField(required=False, help_text="How long it may take to stop; 10.")
    health = serializers.CharField(
        required=False, max_length=32, help_text="check: the agent has to be well afterwards; skip."
    )
    health_seconds = serializers.IntegerField(required=False, help_text="How long it may take to be well; 60.")
    allow_damaged = serializers.BooleanField(required=False, help_text="Try one that is damaged.")

    def refusal(self, name: str, known: list[str]) -> str:
        if name in {"backup", "agent"}:
            return "It is said by the backup: each is restored to its own agent."
        return super().refusal(name, known)
