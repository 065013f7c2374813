"""Filters that never offer another tenant's values, and never scan the table for their choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest

from fleet.models import Agent, Organisation


class ScopedFilter(admin.SimpleListFilter):
    """A filter by a foreign key, over the rows that the person may see."""

    path = ""

    def rows(self, request: HttpRequest) -> Iterable[tuple[int, str]]:
        """Primary key and name of each choice that this person may have."""
        raise ImproperlyConfigured(f"{type(self).__name__} names no rows for {request.path}")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [(str(key), name) for key, name in self.rows(request)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        value = self.value()
        return queryset.filter(**{self.path: int(value)}) if value and value.isdigit() else queryset


class OrganisationFilter(ScopedFilter):
    title, parameter_name, path = "organisation", "organisation", "organisation_id"

    def rows(self, request: HttpRequest) -> Iterable[tuple[int, str]]:
        return Organisation.objects.of_user(request.user).values_list("pk", "slug")


class AgentFilter(ScopedFilter):
    title, parameter_name, path = "agent", "agent", "agent_id"

    def rows(self, request: HttpRequest) -> Iterable[tuple[int, str]]:
        mine = Organisation.objects.of_user(request.user)
        return Agent.objects.filter(organisation__in=mine).values_list("pk", "slug")
