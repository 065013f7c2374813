"""The admin's sidebar: groups by what a person came for. An entry that the person may not open is left out."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

# title, icon, app label, model name
_Entry = tuple[str, str, str, str]
_GROUPS: tuple[tuple[str, tuple[_Entry, ...]], ...] = (
    (
        "Watch",
        (
            ("Schedules", "calendar_clock", "schedules", "schedule"),
            ("Runs", "play_circle", "schedules", "run"),
            ("Blackouts", "nights_stay", "schedules", "blackoutcalendar"),
            ("Skipped fires", "event_busy", "schedules", "skipspan"),
            ("Backfills", "history", "schedules", "backfill"),
            ("Former timing", "edit_calendar", "schedules", "schedulerevision"),
            ("Run events", "timeline", "schedules", "runevent"),
            ("Alerts", "notifications", "monitoring", "alert"),
            ("Notifications", "mail", "monitoring", "notification"),
        ),
    ),
    (
        "Backups",
        (
            ("Archives", "inventory_2", "backups", "backup"),
            ("Restores", "settings_backup_restore", "backups", "restore"),
        ),
    ),
    (
        "Fleet",
        (
            ("Organisations", "domain", "fleet", "organisation"),
            ("Agents", "smart_toy", "fleet", "agent"),
        ),
    ),
    (
        "Access",
        (
            ("Members", "group", "fleet", "member"),
            ("API keys", "key", "fleet", "apikey"),
            ("Audit trail", "policy", "fleet", "auditentry"),
            ("Accounts", "person", "auth", "user"),
            ("Groups", "groups", "auth", "group"),
        ),
    ),
    (
        "Housekeeping",
        (
            ("Workers", "dns", "schedules", "workerprocess"),
            ("Engine leases", "lock_clock", "schedules", "enginelease"),
            ("Engine events", "history_toggle_off", "schedules", "engineevent"),
            ("Periodic tasks", "update", "django_celery_beat", "periodictask"),
            ("Intervals", "timer", "django_celery_beat", "intervalschedule"),
            ("Crontabs", "schedule", "django_celery_beat", "crontabschedule"),
            ("Task results", "task_alt", "django_celery_results", "taskresult"),
        ),
    ),
)


def style_sheet(_: HttpRequest) -> str:
    return static("fleet/admin.css")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups in the theme's form."""
    groups = ((title, [_item(entry) for entry in entries if _may_see(entry, request)]) for title, entries in _GROUPS)
    return [{"title": title, "separator": True, "items": items} for title, items in groups if items]


def _item(entry: _Entry) -> dict[str, Any]:
    title, icon, label, model = entry
    return {"title": title, "icon": icon, "link": reverse(f"admin:{label}_{model}_changelist")}


def _may_see(entry: _Entry, request: HttpRequest) -> bool:
    page = admin.site.get_model_admin(apps.get_model(entry[2], entry[3]))
    return page.has_view_permission(request) or page.has_change_permission(request)
