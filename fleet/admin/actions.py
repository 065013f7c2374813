"""Actions that call services: for one object behind a dialog (never by a mere GET), or for each of many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from unfold.decorators import action as themed_action

from fleet.errors import DomainError

if TYPE_CHECKING:

    class _Dialog(forms.Form):
        request: HttpRequest
        object_id: str | None

    class _Page(admin.ModelAdmin[Any]): ...
else:
    _Page = object
    from unfold.forms import BaseDialogForm as _Dialog

F = TypeVar("F", bound=Callable[..., None])
M = TypeVar("M", bound=Model)
_SHOWN = 10


class DialogForm(_Dialog):
    """A dialog about one object, which it names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject = object_of(self.request, self.object_id or "")

    def render_before_template(self) -> SafeString:
        return format_html('<p class="font-semibold mb-3 mt-3">{}</p>', str(self.subject))


def object_of(request: HttpRequest, object_id: str) -> Any:
    """The object of the admin page that answers this request. Another tenant's object is 404, as a missing one."""
    match = request.resolver_match
    page = getattr(match.func, "model_admin", None) if match else None
    obj = page.get_object(request, unquote(object_id)) if page else None
    if obj is None:
        raise Http404
    return obj


def object_action(
    *, verb: str, title: str, icon: str, question: str, says: str, button: str = "", form: type[DialogForm] = DialogForm
) -> Callable[[F], F]:
    """Make ``method(self, request, obj, form)`` an action of a row and of the object's page.

    ``question`` and ``says`` head its dialog, whose button reads ``button``, else ``title``; ``verb`` is what the
    role must allow.
    """
    submit = button or title.rstrip("…")
    dialog = {"title": question, "description": says, "form_class": form, "form_submit_text": submit}

    def decorate(method: F) -> F:
        def door(page: Any, request: HttpRequest, form: DialogForm, object_id: str) -> HttpResponse:
            obj = object_of(request, object_id)
            if not page.may(request, verb, obj):
                raise PermissionDenied
            try:
                method(page, request, obj, form)
            except DomainError as refusal:
                page.message_user(request, refusal.message, messages.ERROR)
            return _back(page, request, obj)

        door.__name__ = method.__name__
        decorated = themed_action(
            door,
            description=title,
            icon=icon,
            dialog=dialog,
            permissions=[{"write": "change"}.get(verb, verb)],
            url_path=method.__name__.replace("_", "-"),
        )
        return cast("F", decorated)

    return decorate


def for_each(
    page: admin.ModelAdmin[Any],
    request: HttpRequest,
    items: Iterable[M],
    *,
    done: str,
    act: Callable[[M], str],
    allowed: Callable[[HttpRequest, M], bool],
) -> None:
    """Do it to each; then say which worked, and of each other why not. ``act`` answers a note or nothing."""
    worked, said = [], []
    for item in items:
        name = str(item)
        try:
            note = act(item) if allowed(request, item) else _not_allowed()
        except DomainError as refusal:
            said.append((messages.ERROR, f"{name}: {refusal.message}"))
            continue
        worked.append(name)
        if note:
            said.append((messages.WARNING, f"{name}: {note}"))
    if worked:
        page.message_user(request, f"{done}: {_listed(worked)}.", messages.SUCCESS)
    for level, text in said[:_SHOWN]:
        page.message_user(request, text, level)
    if len(said) > _SHOWN:
        page.message_user(request, f"{len(said) - _SHOWN} more had something to say.", messages.WARNING)


class DeleteEach(_Page):
    """Mix-in: deleting several goes through the service, one durable transaction each."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in actions:
            actions["delete_selected"] = (_delete_each, *actions["delete_selected"][1:])
        return actions


def _delete_each(page: Any, request: HttpRequest, rows: QuerySet[Any]) -> Any:
    if not request.POST.get("post"):
        return delete_selected(page, request, rows)  # asks first
    for_each(
        page,
        request,
        list(rows),
        done="Deleted",
        act=lambda obj: page.delete_model(request, obj) or "",
        allowed=page.has_delete_permission,
    )
    return None


def _not_allowed() -> str:
    raise DomainError("your role in its organisation does not allow this.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _back(page: Any, request: HttpRequest, obj: Model) -> HttpResponse:
    """To the page on which the dialog was opened; htmx is told to go there, a plain form is sent."""
    opened_on = request.headers.get("HX-Current-URL", "")
    safe = url_has_allowed_host_and_scheme(
        opened_on, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    own = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_change", args=(obj.pk,))
    url = opened_on if safe else own
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
