"""Agents: the runtimes that schedules work on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from fleet.admin.access import access_of, actor_of
from fleet.admin.actions import DeleteEach
from fleet.admin.base import ServiceForm, TenantAdmin, become, said
from fleet.admin.filters import OrganisationFilter
from fleet.models import Agent
from fleet.services.agents import HOST_FIELDS, agent_create, agent_remove, agent_update

_HELP = {
    "slug": "Lower-case letters, digits, - and _; for example night-agent.",
    "runtime": "directory, openclaw, portagent, …",
    "container_name": "The container that its commands run in, for example agent. One container has one agent.",
    "workspace_folder": "An absolute folder, for example /srv/agent/workspace; in the container when it has one.",
    "state_folder": "An absolute folder, for example /srv/agent/state.",
    "base_url": "For example http://127.0.0.1:18789.",
    "health_url": "For example http://127.0.0.1:18789/health.",
    "secret_refs": 'References, never values: {"token": "env:AGENT_TOKEN"} or {"token": "file:/run/secrets/agent"}.',
}
_FIXED = "Only the operator of the host sets this, since it reaches into the host: ask for `manage.py agent edit`."


@admin.register(Agent)
class AgentAdmin(DeleteEach, TenantAdmin):
    resource = "agents"
    form = ServiceForm
    list_display = ("slug", "name", "organisation", "runtime", "container_name", "max_concurrent_runs")
    list_filter = (OrganisationFilter, "runtime")
    search_fields = ("slug", "name", "container_name")
    list_select_related = ("organisation",)
    fieldsets = [
        (None, {"fields": ("organisation", "slug", "name", "runtime")}),
        ("How it is reached", {"fields": ("container_name", "base_url", "health_url", "secret_refs")}),
        ("Its files", {"fields": ("workspace_folder", "state_folder")}),
        ("Limits", {"fields": ("max_concurrent_runs",)}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = () if access_of(request).everywhere else HOST_FIELDS
        return (*fixed, "organisation", "created_at", "updated_at") if obj else fixed

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        fixed = {} if access_of(request).everywhere else dict.fromkeys(HOST_FIELDS, _FIXED)
        return super().get_form(request, obj, change, help_texts=_HELP | fixed, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if change:
            become(obj, agent_update(agent=obj, actor=actor_of(request), **said(form)))
        else:
            become(obj, agent_create(actor=actor_of(request), **form.cleaned_data))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        agent_remove(agent=obj, actor=actor_of(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:  # noqa: ARG002
        """What stands in the way, and what stays."""
        rows = list(objs)
        names = [f"The agent {row} of {row.organisation}; its runs, logs and archives stay" for row in rows]
        blocked = [f"The schedule {each} works on it" for row in rows for each in row.schedules.all()[:20]]
        return names, {"agents": len(rows)}, set(), blocked
