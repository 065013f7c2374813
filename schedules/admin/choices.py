"""Jobs to choose from: those of one organisation, or grouped by theirs while it is still open which one it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest

from fleet.admin.access import access_of
from schedules.models import Schedule

if TYPE_CHECKING:

    class _Iterator(ModelChoiceIterator[Schedule]):
        field: Any
        queryset: Any
else:
    _Iterator = ModelChoiceIterator


def writable_jobs(request: HttpRequest) -> QuerySet[Schedule]:
    """The jobs of every organisation in which this person may change any."""
    access = access_of(request)
    if access.everywhere:
        return Schedule.objects.all()
    return Schedule.objects.filter(organisation__in=access.organisations("schedules:write"))


def offer_jobs(field: Any, organisation_id: int | None, *, without: int | None = None) -> None:
    """Narrow the choices down to an organisation's jobs; while there is none yet, group them by organisation.

    The service refuses a job of another organisation than the one that is chosen beside it.
    """
    rows = field.queryset.exclude(pk=without).order_by("organisation__slug", "name")
    if organisation_id is None:
        field.iterator = _Grouped
    else:
        rows = rows.filter(organisation=organisation_id)
    field.queryset = rows


class _Grouped(_Iterator):
    def __iter__(self) -> Iterator[Any]:
        if self.field.empty_label is not None:
            yield ("", self.field.empty_label)
        rows = self.queryset.select_related("organisation")
        for organisation, jobs in groupby(rows, key=lambda job: str(job.organisation)):
            yield (organisation, [self.choice(job) for job in jobs])
