"""Read it again, try it, restore it, delete it: each behind a dialog that says what will happen."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backups.admin.restore_form import RestoreForm
from backups.admin.words import amount, when
from backups.models import Backup
from backups.services.discarding import backup_discard, why_not_discarded
from backups.services.requesting import again_request, drill_request, restore_request, verify_request
from fleet.admin.access import actor_of
from fleet.admin.actions import DialogForm, for_each, object_action
from fleet.admin.marks import link_to
from schedules.services.runs import Requested

if TYPE_CHECKING:
    from fleet.admin.base import ReadOnlyAdmin as _Page
else:
    _Page = object

F = TypeVar("F", bound=Callable[..., Any])
_LEADS_TO = "_watchbill_leads_to"


def tell_requested(page: _Page, request: HttpRequest, what: str, requested: Requested) -> None:
    """With a link to the run; :func:`leading_to_its_run` goes there."""
    page.message_user(request, format_html("{}: {}.", what, link_to(requested.run)), messages.SUCCESS)
    if requested.note:
        page.message_user(request, requested.note, messages.WARNING)
    setattr(request, _LEADS_TO, requested.run)


def leading_to_its_run(action: F) -> F:
    """An action whose run is what the person wants to see next: go there, not back."""

    @wraps(action)
    def going(page: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = action(page, request, *args, **kwargs)
        run = getattr(request, _LEADS_TO, None)
        if run is None:
            return response
        url = reverse("admin:schedules_run_change", args=(run.pk,))
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)

    return cast("F", going)


class DiscardForm(DialogForm):
    """It names what is lost, or why it can't be."""

    subject: Backup

    def render_before_template(self) -> SafeString:
        backup = self.subject
        lost = f"{backup.source or 'What was there'} as it was {when(backup.began_at)}: "
        return format_html(
            "{}<p>{}</p><p>{}</p>",
            super().render_before_template(),
            lost + amount(backup.entries, backup.tree_bytes),
            why_not_discarded(backup) or _left(backup),
        )


def _left(backup: Backup) -> str:
    others = Backup.objects.siblings(backup).exclude(pk=backup.pk).good()
    newest = others.order_by("-still_at", "-began_at").first()
    if newest is None:
        return "There is no verified one of its kind: this may be the best that there is."
    count = others.count()
    stay = "1 good one of its kind stays" if count == 1 else f"{count} good ones of its kind stay"
    return f"{stay}, the newest of {when(newest.began_at)}."


class BackupActions(_Page):
    @object_action(
        verb="run",
        title="Verify now",
        icon="fact_check",
        question="Read this archive again?",
        says="A run reads it from its first byte to its last, which takes a while for a large one. It changes nothing; "
        "what can't be read is called damaged, and people hear of it.",
    )
    def verify_now(self, request: HttpRequest, obj: Backup, form: DialogForm) -> None:  # noqa: ARG002
        tell_requested(self, request, "A check was asked for", verify_request(backup=obj, actor=actor_of(request)))

    @leading_to_its_run
    @object_action(
        verb="run",
        title="Back up again",
        icon="backup",
        question="Back up what this archive is of, as it is now?",
        says="A run does what the run of this archive did: the same place, the same rules, the same recipient. When "
        "nothing changed since, it says so and makes none.",
        button="Back up",
    )
    def again(self, request: HttpRequest, obj: Backup, form: DialogForm) -> None:  # noqa: ARG002
        tell_requested(self, request, "A backup was asked for", again_request(backup=obj, actor=actor_of(request)))

    @object_action(
        verb="run",
        title="Try a restore (drill)",
        icon="exercise",
        question="Try to restore this archive?",
        says="A run restores it into a sandbox, checks its hashes and databases, takes the time and throws it away. "
        "The agent's own files are not touched.",
        button="Try it",
    )
    def drill(self, request: HttpRequest, obj: Backup, form: DialogForm) -> None:  # noqa: ARG002
        tell_requested(self, request, "A drill was asked for", drill_request(backup=obj, actor=actor_of(request)))

    @leading_to_its_run
    @object_action(
        verb="run",
        title="Restore…",
        icon="settings_backup_restore",
        question="Restore this archive?",
        says="A run holds the agent alone, restores beside and verifies, and then exchanges it in one step for what is "
        "there now. That is kept until somebody confirms the restore, or undoes it.",
        form=RestoreForm,
    )
    def restore(self, request: HttpRequest, obj: Backup, form: RestoreForm) -> None:
        requested = restore_request(backup=obj, options=form.options(), actor=actor_of(request))
        tell_requested(self, request, "A restore was asked for", requested)

    @object_action(
        verb="discard",
        title="Delete…",
        icon="delete",
        question="Delete this archive for good?",
        says="The archive is removed from its place. Its record stays, and says who did it. The last good one of its "
        "kind can't be deleted.",
        form=DiscardForm,
    )
    def discard(self, request: HttpRequest, obj: Backup, form: DialogForm) -> None:  # noqa: ARG002
        note = backup_discard(backup=obj, actor=actor_of(request))
        self.message_user(request, note or f"Deleted: {obj}.", messages.WARNING if note else messages.SUCCESS)

    @admin.action(description="Verify now", permissions=["run"])
    def verify_selected(self, request: HttpRequest, rows: QuerySet[Backup]) -> None:
        def act(backup: Backup) -> str:
            return verify_request(backup=backup, actor=actor_of(request)).note

        for_each(self, request, rows, done="Checks were asked for", act=act, allowed=self.has_run_permission)
