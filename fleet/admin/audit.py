"""The audit trail: who changed what, before and after, from where."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from fleet.admin.base import ReadOnlyAdmin
from fleet.admin.filters import OrganisationFilter
from fleet.admin.marks import table, unbroken
from fleet.models import AuditEntry


class _ValueFilter(SimpleListFilter):
    """The values that occur in what the person may see."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = model_admin.get_queryset(request).order_by(self.parameter_name)
        return [(value, value) for value in rows.values_list(self.parameter_name, flat=True).distinct()[:100] if value]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class ActorFilter(_ValueFilter):
    title, parameter_name = "actor", "actor"


class ActionFilter(_ValueFilter):
    title, parameter_name = "action", "action"


class ObjectTypeFilter(_ValueFilter):
    title, parameter_name = "kind of object", "object_type"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    resource = "audit"
    list_display = ("when", "who", "action", "subject", "summary", "address", "organisation")
    list_filter = (OrganisationFilter, ActionFilter, ObjectTypeFilter, ActorFilter, "actor_kind")
    search_fields = ("actor", "action", "object_name", "address")
    list_select_related = ("organisation",)
    fieldsets = [
        (None, {"fields": ("when", "organisation", "who", "address")}),
        ("What", {"fields": ("action", "object_type", "object_name", "object_id", "changes")}),
    ]
    readonly_fields = ("when", "who", "changes")

    @admin.display(description="when", ordering="id")
    def when(self, obj: AuditEntry) -> str:
        return unbroken(f"{obj.at:%Y-%m-%d %H:%M:%S} UTC")

    @admin.display(description="object", ordering="object_name")
    def subject(self, obj: AuditEntry) -> str:
        return unbroken(obj.object_name)

    @admin.display(description="who", ordering="actor")
    def who(self, obj: AuditEntry) -> str:
        return f"{obj.actor} ({obj.actor_kind.replace('_', ' ')})"

    @admin.display(description="change")
    def summary(self, obj: AuditEntry) -> str:
        names = ", ".join(obj.after or obj.before)
        return names if len(names) <= 60 else f"{names[:59]}…"  # noqa: PLR2004 - one line of the list

    @admin.display(description="changes")
    def changes(self, obj: AuditEntry) -> str:
        names = dict.fromkeys([*obj.before, *obj.after])
        rows = [(name, _shown(obj.before, name), _shown(obj.after, name)) for name in names]
        return table(("field", "before", "after"), rows, empty="No field changed.")


def _shown(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return "–"
    value = values[name]
    return "empty" if value in ("", None) else str(value)
