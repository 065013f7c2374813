"""Reads of the fleet. Every queryset that a request may see starts at :meth:`Scoped.of`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from fleet.models import Agent, ApiKey, AuditEntry, Member, Organisation  # noqa: F401 - named in strings


class OrganisationQuerySet(models.QuerySet["Organisation"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def of_user(self, user: Any) -> Self:
        """The organisations that a person may see; a superuser sees all."""
        return self if user.is_superuser else self.filter(members__user_id=user.pk)


class MemberQuerySet(models.QuerySet["Member"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)

    def valid(self) -> Self:
        """Neither revoked nor expired, of an organisation that is open."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at=None, organisation__is_active=True)


class AgentQuerySet(models.QuerySet["Agent"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def of(self, organisation: Organisation) -> Self:
        return self.filter(organisation=organisation)

    def update(self, **_: Any) -> NoReturn:
        raise PermissionDenied("The audit trail is append-only: an entry is never changed.")

    def delete(self) -> NoReturn:
        raise PermissionDenied("The audit trail is append-only: an entry is never deleted.")
