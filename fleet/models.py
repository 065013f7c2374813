"""Organisations, members, API keys, agents and the audit trail."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q

from fleet.querysets import AgentQuerySet, ApiKeyQuerySet, AuditQuerySet, MemberQuerySet, OrganisationQuerySet
from fleet.scopes import ROLES, role_scopes

SLUG_RULE = r"^[a-z0-9][a-z0-9_-]*$"


class Organisation(models.Model):
    """A tenant. It is never deleted, only closed: its audit trail stays."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    max_concurrent_runs = models.PositiveIntegerField(
        default=10, help_text="How many runs of this organisation may hold a slot at once."
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OrganisationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(max_concurrent_runs__gte=1), name="organisation_limit_at_least_one"),
        ]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Member(models.Model):
    """A user's role in an organisation."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=[(role, role) for role in ROLES])
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MemberQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "user"], name="member_once_per_organisation"),
            models.CheckConstraint(condition=Q(role__in=ROLES), name="member_role_known"),
        ]
        ordering = ["organisation", "user"]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    @property
    def scopes(self) -> frozenset[str]:
        return role_scopes(self.role)


class ApiKey(models.Model):
    """A key for machines. Only its SHA-256 is stored: 256 random bits need no slow hash."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    key_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name"],
                condition=Q(revoked_at=None),
                name="api_key_name_once_while_valid",
            ),
        ]
        ordering = ["organisation", "name"]

    def __str__(self) -> str:
        return f"{self.name} (wb_{self.prefix}_…)"


class Agent(models.Model):
    """One managed runtime. Secrets are references (``env:NAME``, ``file:/run/secrets/x``), never values."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="agents")
    slug = models.CharField(max_length=64)
    name = models.CharField(max_length=120, blank=True)
    runtime = models.CharField(max_length=32, default="directory")
    container_name = models.CharField(max_length=128, blank=True)
    workspace_folder = models.CharField(max_length=1024, blank=True)
    state_folder = models.CharField(max_length=1024, blank=True)
    base_url = models.CharField(max_length=1024, blank=True)
    health_url = models.CharField(max_length=1024, blank=True)
    secret_refs = models.JSONField(default=dict, blank=True)
    max_concurrent_runs = models.PositiveIntegerField(
        default=2, help_text="How many runs of this agent may hold a slot at once."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = AgentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "slug"], name="agent_slug_once_per_organisation"),
            # One container, one owner: otherwise a tenant could reach another's by naming it.
            models.UniqueConstraint(
                fields=["container_name"], condition=~Q(container_name=""), name="agent_container_once"
            ),
            models.CheckConstraint(condition=Q(slug__regex=SLUG_RULE), name="agent_slug_shape"),
            models.CheckConstraint(condition=Q(max_concurrent_runs__gte=1), name="agent_limit_at_least_one"),
        ]
        ordering = ["organisation", "slug"]

    def __str__(self) -> str:
        return self.slug


class AuditEntry(models.Model):
    """One change: who, what, before, after, from where. Written in the transaction of the change; append-only.

    Actor and object are kept as text, so that a deleted user or schedule changes nothing here.
    """

    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="audit_entries"
    )
    at = models.DateTimeField(auto_now_add=True)
    action = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16)
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True, blank=True)
    address = models.CharField(max_length=64, blank=True)
    object_type = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64)
    object_name = models.CharField(max_length=200)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit trail"
        indexes = [
            # serves: the trail of an organisation, newest first
            models.Index(fields=["organisation", "-id"], name="audit_newest"),
            # serves: the trail of one object
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_of_object"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise PermissionDenied("The audit trail is append-only: an entry is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise PermissionDenied("The audit trail is append-only: an entry is never deleted.")
