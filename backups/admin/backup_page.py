"""The page of an archive: what is wrong with it first, then what it holds, where it lies, and what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from pydantic import ValidationError

from backups.admin.words import amount, drill_row, restore_row, run_link, state_badge, unchanged, when
from backups.archive.terminal import human_size
from backups.models import Backup
from backups.retention.rules import Rules
from backups.words import place_of
from fleet.admin.marks import breaking, link_to, pretty, read_once, table

if TYPE_CHECKING:
    from fleet.admin.base import ReadOnlyAdmin as _Page
else:
    _Page = object

_MOST = 20
_WRONG = ("What is wrong", {"fields": ("trouble", "instead")})
_FIELDSETS = [
    (None, {"fields": ("badge", "agent_link", "kind", "organisation", "schedule_shown", "run")}),
    ("What it holds", {"fields": ("origin", "taken_at", "content", "left_out", "torn")}),
    ("What proves it", {"fields": ("looked_at", "first_verified", "drills_shown")}),
    ("Restores of it", {"fields": ("restores_shown",)}),
    (
        "Where it lies",
        {"fields": ("place", "tier", "size_shown", "hash_shown", "encrypted", "manifest", "keeping", "gone")},
    ),
    ("For machines", {"fields": ("id", "fingerprint_shown", "shown_details", "created_at")}),
]


class BackupPage(_Page):
    readonly_fields = (
        *("trouble", "instead", "badge", "agent_link", "schedule_shown", "run"),
        *("origin", "taken_at", "content", "left_out", "torn", "looked_at", "first_verified", "drills_shown"),
        *("restores_shown", "place", "size_shown", "hash_shown", "encrypted", "manifest", "keeping", "gone"),
        *("fingerprint_shown", "shown_details"),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's signature
        return [_WRONG, *_FIELDSETS] if obj is not None and obj.problem else _FIELDSETS

    @admin.display(description="problem")
    def trouble(self, obj: Backup) -> str:
        return f"{obj.problem} Don't count on this archive: make a new one now, and restore from another until then."

    @admin.display(description="take instead")
    @read_once
    def instead(self, obj: Backup) -> str:
        same = {"organisation_id": obj.organisation_id, "agent_slug": obj.agent_slug, "kind": obj.kind}
        better = Backup.objects.good().filter(**same).order_by("-still_at", "-began_at").first()
        if better is None:
            return f"There is no good archive of this kind of {obj.agent_slug} any more."
        return format_html("{}, taken {}", link_to(better), when(better.began_at))

    @admin.display(description="state")
    def badge(self, obj: Backup) -> str:
        return state_badge(obj)

    @admin.display(description="agent")
    def agent_link(self, obj: Backup) -> str:
        return link_to(obj.agent, obj.agent_slug) if obj.agent else f"{obj.agent_slug} (removed)"

    @admin.display(description="schedule")
    def schedule_shown(self, obj: Backup) -> str:
        return obj.schedule_name or ("none: it was found in its place" if obj.is_adopted else "none: it was asked for")

    @admin.display(description="run")
    @read_once
    def run(self, obj: Backup) -> str:
        return run_link(obj.organisation_id, obj.job_run_id)

    @admin.display(description="of")
    def origin(self, obj: Backup) -> str:
        return f"{obj.source} in its container" if obj.in_container else obj.source or "not known"

    @admin.display(description="taken")
    def taken_at(self, obj: Backup) -> str:
        later = unchanged(obj)
        return f"{when(obj.began_at)}; {later}" if later else when(obj.began_at)

    @admin.display(description="content")
    def content(self, obj: Backup) -> str:
        return amount(obj.entries, obj.tree_bytes)

    @admin.display(description="left out")
    def left_out(self, obj: Backup) -> str:
        return f"{obj.skipped} that could not be archived: its run's log names them" if obj.skipped else "nothing"

    @admin.display(description="changed meanwhile")
    def torn(self, obj: Backup) -> str:
        return f"{obj.changed} changed while they were read" if obj.changed else "no file"

    @admin.display(description="last looked at")
    def looked_at(self, obj: Backup) -> str:
        return when(obj.checked_at)

    @admin.display(description="first verified")
    def first_verified(self, obj: Backup) -> str:
        return when(obj.verified_at)

    @admin.display(description="drills")
    @read_once
    def drills_shown(self, obj: Backup) -> str:
        rows = (drill_row(drill, obj.organisation_id) for drill in obj.drills.all()[:_MOST])
        return table(("when", "outcome", "took", "looked at", "run"), rows, empty="It was never tried.")

    @admin.display(description="restores")
    @read_once
    def restores_shown(self, obj: Backup) -> str:
        rows = map(restore_row, obj.restores.filter(organisation_id=obj.organisation_id)[:_MOST])
        return table(("when", "state", "took", "to", "problem"), rows, empty="It was never restored.")

    @admin.display(description="place")
    def place(self, obj: Backup) -> str:
        return breaking(place_of(obj))

    @admin.display(description="SHA-256")
    def hash_shown(self, obj: Backup) -> str:
        return breaking(obj.sha256)

    @admin.display(description="fingerprint")
    def fingerprint_shown(self, obj: Backup) -> str:
        return breaking(obj.fingerprint)

    @admin.display(description="size")
    def size_shown(self, obj: Backup) -> str:
        return f"{human_size(obj.size)} ({obj.size:,} bytes)"

    @admin.display(description="encrypted")
    def encrypted(self, obj: Backup) -> str:
        return f"for {obj.key_id}" if obj.key_id else "no"

    @admin.display(description="manifest")
    def manifest(self, obj: Backup) -> str:
        return "in it" if obj.has_manifest else "none: only its hash and its own checks speak for it"

    @admin.display(description="kept")
    def keeping(self, obj: Backup) -> str:
        try:
            return Rules.model_validate(obj.retention).described()
        except ValidationError:
            return "by rules that can't be read: everything stays"

    @admin.display(description="deleted")
    def gone(self, obj: Backup) -> str:
        return f"{when(obj.deleted_at)} ({obj.deleted_why})" if obj.deleted_at else "no"

    @admin.display(description="details")
    def shown_details(self, obj: Backup) -> str:
        return pretty(obj.details)
