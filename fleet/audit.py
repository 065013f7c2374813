"""The audit trail: one row for each change, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models, transaction

from fleet.actors import Actor
from fleet.models import AuditEntry, Organisation


def audit_record(
    *,
    actor: Actor,
    action: str,
    subject: models.Model,
    organisation: Organisation | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Append an entry. Only inside the transaction of the change: an entry without its change is a lie.

    ``before`` and ``after`` hold JSON values of the fields that matter; secrets never go in.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("audit_record must run in the transaction of the change it records")
    return AuditEntry.objects.create(
        organisation=organisation,
        action=action,
        actor_kind=actor.kind,
        actor=actor.label,
        actor_id=actor.id,
        address=actor.address,
        object_type=subject._meta.model_name or "",  # noqa: SLF001 - Django's documented API
        object_id=str(subject.pk),
        object_name=str(subject)[:200],
        before=dict(before or {}),
        after=dict(after or {}),
    )


def field_values(subject: models.Model, names: Iterable[str]) -> dict[str, Any]:
    """The named fields as JSON values, for ``before`` and ``after``."""
    fields = {name: subject._meta.get_field(name) for name in names}  # noqa: SLF001
    return {name: _json(getattr(subject, field.attname)) for name, field in fields.items()}  # type: ignore[union-attr]


def changed_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what differs, on both sides."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
