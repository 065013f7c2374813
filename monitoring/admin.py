"""Alerts and notifications, to be read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from fleet.admin.base import ReadOnlyAdmin
from fleet.admin.filters import OrganisationFilter
from fleet.admin.marks import Tone, badge, link_to
from monitoring.models import Alert, Notification

_SEVERITIES: dict[str, tuple[Tone, str]] = {
    "info": ("busy", "info"),
    "warning": ("warn", "warning"),
    "critical": ("failed", "dangerous"),
}


class OpenFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        known = {"open": True, "resolved": False}
        value = self.value()
        return queryset.filter(resolved_at__isnull=known[value]) if value in known else queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    resource = "schedules"
    list_display = ("title", "state", "how_bad", "organisation", "count", "raised_at", "last_raised_at")
    list_filter = (OpenFilter, OrganisationFilter, "severity")
    search_fields = ("title", "key", "detail")
    list_select_related = ("organisation",)
    readonly_fields = ("state", "how_bad")
    fieldsets = [
        (None, {"fields": ("title", "state", "how_bad", "organisation", "detail")}),
        ("When", {"fields": ("raised_at", "last_raised_at", "count", "resolved_at")}),
        ("For machines", {"fields": ("key",)}),
    ]

    @admin.display(description="state", ordering="resolved_at")
    def state(self, obj: Alert) -> SafeString:
        if obj.resolved_at:
            return badge("Resolved", tone="ok", shape="check_circle")
        return badge("Open", tone="failed", shape="error")

    @admin.display(description="severity", ordering="severity")
    def how_bad(self, obj: Alert) -> SafeString:
        tone, shape = _SEVERITIES.get(obj.severity, ("quiet", "help"))
        return badge(obj.severity.capitalize(), tone=tone, shape=shape)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    resource = "schedules"
    list_display = ("title", "organisation", "created_at")
    list_filter = (OrganisationFilter,)
    search_fields = ("title", "body")
    list_select_related = ("organisation",)
    readonly_fields = ("about",)
    fieldsets = [(None, {"fields": ("title", "body", "organisation", "about", "created_at")})]

    @admin.display(description="alert")
    def about(self, obj: Notification) -> str:
        return link_to(obj.alert, "none")
