"""Raise and resolve alerts, notify people. Callable from any transaction: none of these opens a durable one."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from fleet.errors import InvalidInput
from fleet.models import Organisation
from monitoring.models import SEVERITIES, Alert, Notification


@transaction.atomic
def alert_raise(*, organisation: Organisation | None, key: str, severity: str, title: str, detail: str = "") -> Alert:
    """Open an alert, or count once more the one that is open under this key. People hear of the first only."""
    if severity not in SEVERITIES:
        raise InvalidInput(f"{severity!r} is not a severity: {', '.join(SEVERITIES)}.", field="severity")
    now = timezone.now()
    alert, opened = Alert.objects.get_or_create(
        organisation=organisation,
        key=key,
        resolved_at=None,
        defaults={
            "severity": severity,
            "title": title,
            "detail": detail,
            "raised_at": now,
            "last_raised_at": now,
        },
    )
    if opened:
        notify(organisation=organisation, title=title, body=detail, alert=alert)
    else:
        Alert.objects.filter(pk=alert.pk).update(count=F("count") + 1, last_raised_at=now, detail=detail)
        alert.refresh_from_db()
    return alert


@transaction.atomic
def alert_resolve(*, organisation: Organisation | None, key: str) -> bool:
    """Close the open alert of this key. Returns whether there was one."""
    alert = Alert.objects.filter(organisation=organisation, key=key, resolved_at=None).first()
    if alert is None or not Alert.objects.filter(pk=alert.pk, resolved_at=None).update(resolved_at=timezone.now()):
        return False
    notify(organisation=organisation, title=f"Resolved: {alert.title}"[:200], body=alert.detail, alert=alert)
    return True


def notify(
    *, organisation: Organisation | None, title: str, body: str = "", alert: Alert | None = None
) -> Notification:
    """Record a message to people. It commits or rolls back with its cause."""
    return Notification.objects.create(organisation=organisation, title=title, body=body, alert=alert)
