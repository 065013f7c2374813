"""django-celery-beat's entries and django-celery-results' rows in the theme's look, as the theme documents it.

Both apps register first; ours replaces their classes.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

from celery import current_app
from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat_admin
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results import admin as results_admin
from django_celery_results.models import GroupResult, TaskResult

from fleet.admin.audited import AuditedAdmin
from fleet.errors import InvalidInput
from schedules.services.housekeeping import checked

if TYPE_CHECKING:
    # None of the three packages carries types.
    class Theme(admin.ModelAdmin[Any]): ...

    class ThemedSelect(forms.Select): ...

    class BeatTaskSelect(forms.Select): ...

    class BeatForm(forms.ModelForm[Any]): ...

    class PlainTaskAdmin:
        def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None: ...
        def disable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None: ...
        def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None: ...

    class PlainClockedAdmin: ...

    class PlainCrontabAdmin: ...

    class PlainResultAdmin: ...

    class PlainGroupAdmin: ...

    ThemedText: Any
else:
    from unfold.admin import ModelAdmin as Theme
    from unfold.widgets import UnfoldAdminSelectWidget as ThemedSelect
    from unfold.widgets import UnfoldAdminTextInputWidget as ThemedText

    BeatForm, BeatTaskSelect = beat_admin.PeriodicTaskForm, beat_admin.TaskSelectWidget
    PlainTaskAdmin, PlainClockedAdmin = beat_admin.PeriodicTaskAdmin, beat_admin.ClockedScheduleAdmin
    PlainCrontabAdmin = beat_admin.CrontabScheduleAdmin
    PlainResultAdmin, PlainGroupAdmin = results_admin.TaskResultAdmin, results_admin.GroupResultAdmin

for _model in (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
    GroupResult,
    TaskResult,
):
    admin.site.unregister(_model)


class TaskSelect(ThemedSelect, BeatTaskSelect):
    pass


class TaskForm(BeatForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = ThemedText()
        self.fields["regtask"].widget = TaskSelect()

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if "args" in data and "kwargs" in data:
            name, args, kwargs = data["task"], json.loads(data["args"]), json.loads(data["kwargs"])
            for field, problem in _problems(str(name), args, kwargs).items():
                self.add_error(field, problem)
        return data


def _problems(name: str, args: Any, kwargs: Any) -> dict[str, str]:
    """What a task of ours would refuse, by field. Else only the beat's log tells, at night, that nothing is removed."""
    task = current_app.tasks.get(name)
    if task is None or not name.startswith("housekeeping."):
        return {}
    known = list(inspect.signature(task.run).parameters)
    takes = f"{name} takes {', '.join(known) or 'no arguments'}"
    if args != []:
        return {"args": f"{takes}, each by its name: leave this [] and give them as keyword arguments."}
    if not isinstance(kwargs, dict):
        return {"kwargs": f'Give a JSON object, such as {{"days": 30}}. {takes}.'}
    if strange := sorted(kwargs.keys() - set(known)):
        return {"kwargs": f"{takes}, not {', '.join(strange)}."}
    try:
        checked(**kwargs)
    except InvalidInput as error:
        return {"kwargs": str(error)}
    return {}


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(AuditedAdmin, PlainTaskAdmin, Theme):
    form = TaskForm
    unaudited = frozenset({"last_run_at", "total_run_count", "date_changed"})

    @admin.action(description="Enable selected tasks")
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.recorded(request, queryset, lambda: PlainTaskAdmin.enable_tasks(self, request, queryset))

    @admin.action(description="Disable selected tasks")
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.recorded(request, queryset, lambda: PlainTaskAdmin.disable_tasks(self, request, queryset))

    @admin.action(description="Toggle activity of selected tasks")
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.recorded(request, queryset, lambda: PlainTaskAdmin.toggle_tasks(self, request, queryset))


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(AuditedAdmin, Theme):
    list_display = ("__str__", "every", "period")


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(AuditedAdmin, PlainCrontabAdmin, Theme):
    pass


@admin.register(SolarSchedule)
class SolarScheduleAdmin(AuditedAdmin, Theme):
    pass


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(AuditedAdmin, PlainClockedAdmin, Theme):
    pass


@admin.register(TaskResult)
class TaskResultAdmin(PlainResultAdmin, Theme):
    pass


@admin.register(GroupResult)
class GroupResultAdmin(PlainGroupAdmin, Theme):
    pass
