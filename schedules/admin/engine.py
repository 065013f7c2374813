"""The rows by which the engine keeps watch: to be read."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from fleet.admin.base import OperatorOnlyAdmin, ReadOnlyAdmin
from fleet.admin.marks import badge, link_to, yes_no
from schedules.admin.words import distance
from schedules.models import EngineEvent, EngineLease, RunEvent, WorkerProcess

_SILENT = timedelta(seconds=30)


@admin.register(RunEvent)
class RunEventAdmin(ReadOnlyAdmin):
    resource, organisation_path = "schedules", "run__organisation"
    list_display = ("at", "of_run", "kind", "status", "attempt", "cause", "actor")
    list_filter = ("kind",)
    search_fields = ("run__job_run_id", "run__schedule_name", "cause")
    list_select_related = ("run__organisation",)
    ordering = ("-id",)

    @admin.display(description="run")
    def of_run(self, obj: RunEvent) -> str:
        return link_to(obj.run)


@admin.register(WorkerProcess)
class WorkerProcessAdmin(OperatorOnlyAdmin):
    resource = "schedules"
    list_display = ("name", "state", "seen", "slots", "at_work", "queue_names", "started_at")
    readonly_fields = ("state", "seen", "queue_names")
    fields = ("name", "state", "seen", "slots", "at_work", "queue_names", "started_at", "drains_since")

    @admin.display(description="state")
    def state(self, obj: WorkerProcess) -> SafeString:
        if obj.drains_since:
            return badge("Drains", tone="busy", shape="logout")
        return yes_no(yes=timezone.now() - obj.seen_at < _SILENT, word="Reports", other="Silent")

    @admin.display(description="last seen", ordering="seen_at")
    def seen(self, obj: WorkerProcess) -> str:
        return distance(obj.seen_at, timezone.now())

    @admin.display(description="queues")
    def queue_names(self, obj: WorkerProcess) -> str:
        return ", ".join(obj.queues) or "none"


@admin.register(EngineEvent)
class EngineEventAdmin(OperatorOnlyAdmin):
    """What happened to the engine as a whole, newest first; housekeeping removes what is old."""

    resource = "schedules"
    list_display = ("at", "what", "detail")
    list_filter = ("kind",)
    search_fields = ("detail",)
    ordering = ("-id",)
    fields = readonly_fields = ("at", "what", "detail")

    @admin.display(description="what happened", ordering="kind")
    def what(self, obj: EngineEvent) -> str:
        return obj.get_kind_display()


@admin.register(EngineLease)
class EngineLeaseAdmin(OperatorOnlyAdmin):
    resource = "schedules"
    list_display = ("name", "state", "holder", "renewed", "expires_at")
    readonly_fields = ("state", "renewed")
    fields = ("name", "state", "holder", "renewed", "expires_at")

    @admin.display(description="state")
    def state(self, obj: EngineLease) -> SafeString:
        return yes_no(yes=obj.expires_at > timezone.now(), word="Held", other="Free")

    @admin.display(description="renewed", ordering="renewed_at")
    def renewed(self, obj: EngineLease) -> str:
        return distance(obj.renewed_at, timezone.now())
