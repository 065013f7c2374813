"""Archives: the list. Nothing is added, edited or deleted by hand: services do, and runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backups.admin.backup_actions import BackupActions
from backups.admin.backup_page import BackupPage
from backups.admin.filters import KindFilter, StateFilter
from backups.admin.pages import BackupPages
from backups.admin.words import ago, drill_badge, state_badge, took, unchanged
from backups.archive.terminal import human_size
from backups.models import Backup
from backups.reads import with_drills
from fleet.admin.base import ReadOnlyAdmin
from fleet.admin.filters import AgentFilter, OrganisationFilter
from fleet.admin.marks import unbroken
from schedules.admin.words import clock

F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:

    def themed(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import display as themed


@admin.register(Backup)
class BackupAdmin(BackupActions, BackupPages, BackupPage, ReadOnlyAdmin):
    resource = "backups"
    list_display = ("titled", "of_agent", "how", "bytes_of_it", "taken", "verified", "drilled", "where")
    list_display_links = ("titled",)
    list_filter = (StateFilter, OrganisationFilter, AgentFilter, KindFilter, "tier", "is_adopted")
    search_fields = ("name", "agent_slug")
    list_select_related = ("organisation", "agent")
    actions = ("verify_selected",)
    actions_list = ("report_page",)
    actions_row = ("verify_now", "drill", "restore", "discard")
    actions_detail = ("contents_page", "again", *actions_row)

    def scope(self, verb: str) -> str:
        # Django's own "delete" is of rows, which stay; to remove an archive is an action.
        return super().scope({"discard": "delete"}.get(verb, verb))

    def has_discard_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "discard", obj)

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return with_drills(rows)

    @themed(description="archive", header=True, ordering="name")
    def titled(self, obj: Backup) -> tuple[str, str]:
        return unbroken(obj.name), "found, not made by us" if obj.is_adopted else obj.schedule_name or "asked for"

    @themed(description="agent, kind", header=True, ordering="agent_slug")
    def of_agent(self, obj: Backup) -> tuple[str, str]:
        return unbroken(obj.agent_slug), unbroken(obj.kind)

    @admin.display(description="state", ordering="state")
    def how(self, obj: Backup) -> SafeString:
        return state_badge(obj)

    @admin.display(description="size", ordering="size")
    def bytes_of_it(self, obj: Backup) -> SafeString:
        return unbroken(human_size(obj.size))

    @themed(description="taken", header=True, ordering="began_at")
    def taken(self, obj: Backup) -> tuple[str, str]:
        # Its page has both times on the clock; here a long line would push the actions out of sight.
        later = f"unchanged until {ago(obj.still_at)}" if unchanged(obj) else clock(obj.began_at)
        return unbroken(ago(obj.began_at)), unbroken(later)

    @admin.display(description="verified", ordering="checked_at")
    def verified(self, obj: Backup) -> SafeString:
        return unbroken(ago(obj.checked_at if obj.is_good else obj.verified_at))

    @admin.display(description="drilled, in", ordering="drilled_at")
    def drilled(self, obj: Any) -> str:
        """The time is that of its newest drill that worked; that a later one failed is said all the same."""
        worked = unbroken(f"{ago(obj.drilled_at)}, {took(obj.drill_seconds)}") if obj.drill_seconds else "never"
        if obj.drill_is_ok is False:
            return format_html("{}<div>{}</div>", worked, drill_badge(is_ok=False))
        return worked

    @themed(description="tier, place", header=True, ordering="tier")
    def where(self, obj: Backup) -> tuple[str, str]:
        return obj.tier or "no tier", f"bucket {obj.root}" if obj.storage == Backup.Storage.S3 else "folder"
