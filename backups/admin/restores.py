"""Restores: what was put in place, and whether it stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backups.admin.backup_actions import leading_to_its_run, tell_requested
from backups.admin.words import ago, amount, restore_badge, run_link, took, when
from backups.models import Restore
from backups.refusals import told_as_refusals
from backups.services.requesting import undo_request
from backups.services.restores import restore_confirm
from fleet.admin.access import actor_of
from fleet.admin.actions import DialogForm, object_action
from fleet.admin.base import ReadOnlyAdmin
from fleet.admin.filters import AgentFilter, OrganisationFilter
from fleet.admin.marks import link_to, read_once, unbroken

F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:

    def themed(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import display as themed


class SettleForm(DialogForm):
    """It names what was restored, and what was there before."""

    subject: Restore

    def render_before_template(self) -> SafeString:
        kept = f"What was there before is in {self.subject.kept}." if self.subject.kept else "Nothing was there before."
        return format_html("{}<p>{}</p>", super().render_before_template(), kept)


@admin.register(Restore)
class RestoreAdmin(ReadOnlyAdmin):
    resource = "backups"
    list_display = ("titled", "how", "to", "begun", "outcome")
    list_display_links = ("titled",)
    list_filter = ("state", OrganisationFilter, AgentFilter)
    search_fields = ("archive", "agent_slug", "target")
    list_select_related = ("organisation", "agent", "backup")
    actions_row = actions_detail = ("confirm", "undo")
    readonly_fields = ("badge", "agent_link", "backup_link", "run", "when_begun", "how_long", "content", "settled")
    fieldsets = [
        (None, {"fields": ("badge", "problem", "agent_link", "organisation", "backup_link", "run")}),
        ("What was done", {"fields": ("target", "content", "when_begun", "how_long")}),
        ("What was there before", {"fields": ("kept", "settled")}),
    ]

    def scope(self, verb: str) -> str:
        # To confirm removes the former tree for good.
        return super().scope({"confirm": "delete"}.get(verb, verb))

    def has_confirm_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "confirm", obj)

    @themed(description="archive, agent", header=True, ordering="archive")
    def titled(self, obj: Restore) -> tuple[str, str]:
        return unbroken(obj.archive), unbroken(obj.agent_slug)

    @admin.display(description="state", ordering="state")
    def how(self, obj: Restore) -> SafeString:
        return restore_badge(obj)

    @admin.display(description="to", ordering="target")
    def to(self, obj: Restore) -> str:
        return obj.target

    @themed(description="when, took", header=True, ordering="began_at")
    def begun(self, obj: Restore) -> tuple[str, str]:
        return unbroken(ago(obj.began_at)), unbroken(took(obj.seconds))

    @admin.display(description="outcome")
    def outcome(self, obj: Restore) -> str:
        return obj.problem or amount(obj.entries, obj.tree_bytes)

    @admin.display(description="state")
    def badge(self, obj: Restore) -> SafeString:
        return restore_badge(obj)

    @admin.display(description="agent")
    def agent_link(self, obj: Restore) -> str:
        return link_to(obj.agent, obj.agent_slug) if obj.agent else f"{obj.agent_slug} (removed)"

    @admin.display(description="archive")
    def backup_link(self, obj: Restore) -> str:
        return link_to(obj.backup, obj.archive)

    @admin.display(description="run")
    @read_once
    def run(self, obj: Restore) -> str:
        return run_link(obj.organisation_id, obj.job_run_id)

    @admin.display(description="began")
    def when_begun(self, obj: Restore) -> str:
        return when(obj.began_at)

    @admin.display(description="took")
    def how_long(self, obj: Restore) -> str:
        return took(obj.seconds)

    @admin.display(description="content")
    def content(self, obj: Restore) -> str:
        return amount(obj.entries, obj.tree_bytes)

    @admin.display(description="settled")
    def settled(self, obj: Restore) -> str:
        return when(obj.settled_at, "not yet: confirm it when all is well, or undo it")

    @object_action(
        verb="confirm",
        title="Confirm",
        icon="check_circle",
        question="Is what was restored right?",
        says="What was there before is removed for good: this restore can't be undone any more.",
        form=SettleForm,
    )
    def confirm(self, request: HttpRequest, obj: Restore, form: DialogForm) -> None:  # noqa: ARG002
        with told_as_refusals():
            restore_confirm(restore=obj, actor=actor_of(request))
        self.message_user(request, f"Confirmed: {obj}.", messages.SUCCESS)

    @leading_to_its_run
    @object_action(
        verb="run",
        title="Undo",
        icon="undo",
        question="Bring back what was there before?",
        says="A run holds the agent alone, stops its container, and puts it in the place of what was restored; that is "
        "removed, with all that was changed in it since. The archive stays.",
        form=SettleForm,
    )
    def undo(self, request: HttpRequest, obj: Restore, form: DialogForm) -> None:  # noqa: ARG002
        tell_requested(self, request, "The undo was asked for", undo_request(restore=obj, actor=actor_of(request)))
