"""API keys: made through the service, shown once, revoked; never edited, never deleted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectMultipleWidget

from fleet.admin.access import actor_of
from fleet.admin.actions import DialogForm, for_each, object_action
from fleet.admin.base import ManagersAdmin, ServiceForm, become
from fleet.admin.filters import OrganisationFilter
from fleet.admin.marks import badge
from fleet.models import ApiKey
from fleet.scopes import SCOPES
from fleet.services.apikeys import apikey_create, apikey_revoke

_SHOWN_ONCE = 'The key is shown this once; keep it now: <code class="wb-secret" data-secret="once">{}</code>'


class ApiKeyForm(ServiceForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        required=False,
        widget=UnfoldAdminSelectMultipleWidget(attrs={"size": "12"}),
        help_text="What the key may do; for example schedules:read and schedules:run for a monitor that starts runs.",
    )


@admin.register(ApiKey)
class ApiKeyAdmin(ManagersAdmin):
    form = ApiKeyForm
    list_display = ("name", "organisation", "masked", "state", "scope_list", "created_by", "last_used_at", "expires_at")
    list_filter = (OrganisationFilter,)
    search_fields = ("name", "prefix", "created_by")
    list_select_related = ("organisation",)
    actions = ("revoke_selected",)
    actions_row = actions_detail = ("revoke",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        if obj is None:
            return [(None, {"fields": ("organisation", "name", "scopes", "expires_at")})]
        seen = ("organisation", "name", "masked", "state", "scope_list", "expires_at")
        return [(None, {"fields": (*seen, "created_by", "created_at", "last_used_at", "revoked_at")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.get_fieldsets(request, obj)[0][1]["fields"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    @admin.display(description="key")
    def masked(self, obj: ApiKey) -> SafeString:
        return format_html('<span class="wb-mono">wb_{}_…</span>', obj.prefix)

    @admin.display(description="state")
    def state(self, obj: ApiKey) -> SafeString:
        if obj.revoked_at:
            return badge("Revoked", tone="quiet", shape="block")
        if obj.expires_at and obj.expires_at <= timezone.now():
            return badge("Expired", tone="warn", shape="hourglass_bottom")
        return badge("Valid", tone="ok", shape="check_circle")

    @admin.display(description="scopes")
    def scope_list(self, obj: ApiKey) -> str:
        return ", ".join(obj.scopes)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        made = apikey_create(actor=actor_of(request), **form.cleaned_data)
        become(obj, made.key)
        self.message_user(request, format_html(_SHOWN_ONCE, made.secret), messages.WARNING)

    @admin.action(description="Revoke", permissions=["manage"])
    def revoke_selected(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        def act(key: ApiKey) -> str:
            apikey_revoke(organisation=key.organisation, name=f"wb_{key.prefix}", actor=actor_of(request))
            return ""

        for_each(self, request, rows, done="Revoked", act=act, allowed=self.has_manage_permission)

    @object_action(
        verb="manage",
        title="Revoke key",
        icon="block",
        question="Revoke this key now?",
        says="Whoever uses it is refused from the next request on. A revoked key never becomes valid again.",
    )
    def revoke(self, request: HttpRequest, obj: ApiKey, form: DialogForm) -> None:  # noqa: ARG002
        apikey_revoke(organisation=obj.organisation, name=f"wb_{obj.prefix}", actor=actor_of(request))
        self.message_user(request, f"Revoked: {obj}.", messages.SUCCESS)

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "manage", obj)
