"""Blackout calendars: times in which no job fires."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from fleet.admin.access import actor_of
from fleet.admin.actions import DeleteEach
from fleet.admin.base import ServiceForm, TenantAdmin, become, said
from fleet.admin.filters import OrganisationFilter
from fleet.admin.marks import read_once, table, unbroken
from schedules import timing
from schedules.admin.choices import offer_jobs, writable_jobs
from schedules.admin.words import clock, distance
from schedules.models import BlackoutCalendar
from schedules.services.blackouts import blackout_create, blackout_delete, blackout_next, blackout_update
from schedules.words import held_text, windows_words

_HELP = {
    "name": "Lower-case letters, digits, - and _; for example christmas or data-centre-nights.",
    "timezone": "The zone in which the windows are read, for example Asia/Shanghai or UTC.",
    "windows": (
        "One a line. 2026-12-24 (a day) · 2026-12-24..2026-12-26 (days) · 12-24..01-02 (every year) · sat,sun "
        "(whole days) · mon-fri 22:00-06:00 (nights) · 2026-12-24T18:00..2026-12-27T08:00. After # comes a comment."
    ),
    "for_all": "Holds for every job of the organisation, also for those to come; those named below don't matter then.",
    "schedules": "Jobs of the same organisation.",
}
_ATTRIBUTES: dict[str, dict[str, str | int]] = {
    "name": {"placeholder": "christmas"},
    "timezone": {"placeholder": "Asia/Shanghai"},
    "windows": {"rows": 5, "placeholder": "sat,sun\n12-24..01-02"},
}
_SHOWN = 5
_HORIZON = timedelta(days=10 * 366)


class BlackoutForm(ServiceForm):
    class Meta:
        help_texts = _HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, attrs in _ATTRIBUTES.items():
            if name in self.fields:
                self.fields[name].widget.attrs.update(attrs)
        if "schedules" in self.fields:
            offer_jobs(self.fields["schedules"], self.instance.organisation_id)


@admin.register(BlackoutCalendar)
class BlackoutCalendarAdmin(DeleteEach, TenantAdmin):
    resource = "schedules"
    form = BlackoutForm
    list_display = ("name", "windows_shown", "zone", "next_window", "holds_for", "organisation")
    list_filter = (OrganisationFilter,)
    search_fields = ("name", "windows")
    list_select_related = ("organisation",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        named: QuerySet[Any] = rows.prefetch_related("schedules")
        return named

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        windows = ("timezone", "windows")
        return [
            (None, {"fields": ("organisation", "name")}),
            ("When nothing fires", {"fields": (*windows, "in_words", "coming") if obj else windows}),
            ("For whom", {"fields": ("for_all", "schedules")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("organisation", "in_words", "coming") if obj else ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        looks = UnfoldAdminSelect2MultipleWidget().attrs
        kwargs |= {"queryset": writable_jobs(request), "widget": UnfoldAdminSelect2MultipleWidget()}
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        # The theme takes the widget for a plain list: its look, and Django's advice on how to press keys there.
        field.widget.attrs.update(looks)
        field.help_text = _HELP["schedules"]
        return field

    @admin.display(description="windows", ordering="windows")
    def windows_shown(self, obj: BlackoutCalendar) -> str:
        return "; ".join(windows_words(obj))

    @admin.display(description="zone", ordering="timezone")
    def zone(self, obj: BlackoutCalendar) -> str:
        return unbroken(obj.timezone)

    @admin.display(description="next window")
    def next_window(self, obj: BlackoutCalendar) -> str:
        now = timezone.now()
        window = blackout_next(obj, now)
        if window is None:
            return "none to come"
        if window.start <= now:
            return f"now, ends {distance(window.end, now)}"
        return f"{distance(window.start, now)}, {clock(window.start, obj.timezone)}"

    @admin.display(description="holds for")
    def holds_for(self, obj: BlackoutCalendar) -> str:
        return held_text(obj)

    @admin.display(description="in words")
    def in_words(self, obj: BlackoutCalendar) -> str:
        return format_html_join("", "<div>{}</div>", ((words,) for words in windows_words(obj)))

    @admin.display(description="next windows")
    @read_once
    def coming(self, obj: BlackoutCalendar) -> str:
        now = timezone.now()
        try:
            blackouts = timing.parse_blackouts(obj.windows, timezone=obj.timezone)
        except timing.ExpressionError as problem:
            return f"None: {problem}"
        windows = islice(timing.merged([blackouts], now, now + _HORIZON), _SHOWN)
        rows = [
            (distance(each.start, now), clock(each.start, obj.timezone), clock(each.end, obj.timezone), each.text)
            for each in windows
        ]
        return table(("distance", "begins", "ends", "window"), rows, empty="None is to come.")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if change:
            become(obj, blackout_update(calendar=obj, actor=actor_of(request), **said(form)))
        else:
            become(obj, blackout_create(actor=actor_of(request), **form.cleaned_data))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """The service has saved the jobs too, with its audit row."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        blackout_delete(calendar=obj, actor=actor_of(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:  # noqa: ARG002
        """What it stopped until now, for the confirmation."""
        rows = list(objs)
        names = [f"{each.name}, which holds for {held_text(each)}: {'; '.join(windows_words(each))}." for each in rows]
        return names, {"blackout calendars": len(rows)}, set(), []
