"""Filters of schedules and runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from fleet.admin.filters import OrganisationFilter
from schedules.executors.registry import executors
from schedules.models import Run


class ExecutorFilter(admin.SimpleListFilter):
    """From the registry: a scan of a million runs would say the same, slower."""

    title, parameter_name = "executor", "executor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [(key, key) for key in executors()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(executor=self.value()) if self.value() else queryset


class LastStatusFilter(admin.SimpleListFilter):
    """Over ``last_status``, which the list annotates."""

    title, parameter_name = "last run", "last_status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [*((str(value), str(label)) for value, label in Run.Status.choices), ("none", "none yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if self.value() == "none":
            return queryset.filter(last_status=None)
        return queryset.filter(last_status=self.value()) if self.value() else queryset


class TenantFilter(OrganisationFilter):
    """For rows that hang on a schedule."""

    path = "schedule__organisation_id"


class OpenFilter(admin.SimpleListFilter):
    """Spans that still cover every fire to come, and those that are over."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("open", "still open"), ("closed", "closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if self.value() == "open":
            return queryset.filter(last_fire_at=None)
        return queryset.exclude(last_fire_at=None) if self.value() == "closed" else queryset


class WaitFilter(admin.SimpleListFilter):
    """The waits behind ``queued``, told apart."""

    title, parameter_name = "wait", "wait"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("time", "until a time"), ("slot", "for a slot"), ("admitted", "admitted")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002
        now = timezone.now()
        if self.value() == "time":
            return queryset.filter(status=Run.Status.QUEUED, admission_token="", next_attempt_at__gt=now)
        if self.value() == "slot":
            return queryset.waiting(now)
        return queryset.admitted() if self.value() == "admitted" else queryset
