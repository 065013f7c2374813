"""Organisations and their members."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from fleet.admin.access import access_of, actor_of
from fleet.admin.actions import DeleteEach
from fleet.admin.base import ManagersAdmin, ServiceForm, TenantAdmin, become, said
from fleet.admin.filters import OrganisationFilter
from fleet.admin.marks import yes_no
from fleet.models import Member, Organisation
from fleet.scopes import ROLES
from fleet.services.organisations import member_remove, member_set, organisation_create, organisation_update


@admin.register(Organisation)
class OrganisationAdmin(TenantAdmin):
    """Opened and limited by superusers; its people see it. Never deleted: its audit trail stays."""

    resource, organisation_path = "agents", "pk"
    form = ServiceForm
    list_display = ("slug", "name", "state", "max_concurrent_runs", "agent_count")
    list_filter = ("is_active",)
    search_fields = ("slug", "name")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        fields = ("slug", "name", "max_concurrent_runs")
        return [(None, {"fields": fields if obj is None else (*fields, "is_active")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("slug",) if obj else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access_of(request).everywhere

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return access_of(request).everywhere

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(agents_there=Count("agents"))
        return counted

    @admin.display(description="state", ordering="is_active")
    def state(self, obj: Organisation) -> SafeString:
        return yes_no(yes=obj.is_active, word="Open", other="Closed")

    @admin.display(description="agents", ordering="agents_there")
    def agent_count(self, obj: Any) -> int:
        return int(obj.agents_there)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        values, actor = said(form), actor_of(request)
        if change:
            become(obj, organisation_update(organisation=obj, actor=actor, **values))
        else:
            become(obj, organisation_create(actor=actor, **form.cleaned_data))


class MemberForm(ServiceForm):
    """A person is named, not chosen: the list of all accounts is no tenant's business."""

    username = forms.CharField(
        max_length=150,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "night.shift"}),
        help_text="The login name of an account that exists.",
    )


@admin.register(Member)
class MemberAdmin(DeleteEach, ManagersAdmin):
    form = MemberForm
    list_display = ("user", "organisation", "role", "created_at")
    list_filter = (OrganisationFilter, "role")
    search_fields = ("user__username",)
    list_select_related = ("user", "organisation")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return [(None, {"fields": ("organisation", "user" if obj else "username", "role")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("organisation", "user") if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None:
            form.base_fields.pop("username", None)
            form.declared_fields.pop("username", None)
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        username = obj.user.get_username() if change else form.cleaned_data["username"]
        _refuse_above_own(request, obj.organisation, obj.role)
        if change:
            _refuse_above_own(request, obj.organisation, Member.objects.get(pk=obj.pk).role)
        member = member_set(
            organisation=obj.organisation, username=username, role=form.cleaned_data["role"], actor=actor_of(request)
        )
        become(obj, member)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        _refuse_above_own(request, obj.organisation, obj.role)
        member_remove(organisation=obj.organisation, username=obj.user.get_username(), actor=actor_of(request))


def _refuse_above_own(request: HttpRequest, organisation: Organisation, role: str) -> None:
    """An admin neither makes nor unmakes an owner."""
    access = access_of(request)
    own = access.roles.get(organisation.pk, ROLES[0])
    if not access.everywhere and ROLES.index(role) > ROLES.index(own):
        raise PermissionDenied(f"Only an owner of {organisation} may give or take the role {role!r}.")
