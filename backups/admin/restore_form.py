"""The dialog of a restore: what will happen, what may be chosen, and what is refused beside its field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from backups.admin.words import amount, when
from backups.models import Backup
from backups.services.requesting import folder_beside, restore_judge
from fleet.admin.actions import DialogForm
from fleet.errors import DomainError

_WHERE = {"place": "to its place", "beside": "beside, into another folder"}
#: Where a refusal is shown: whatever concerns no field stands at the first one, which the dialog always has.
_FIELDS = {"to": "folder", "paths": "paths", "chown": "chown", "allow_damaged": "allow_damaged"}


def _text(example: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs={"placeholder": example})


class RestoreForm(DialogForm):
    where = forms.ChoiceField(label="Restore", choices=list(_WHERE.items()), widget=UnfoldAdminSelectWidget())
    folder = forms.CharField(
        label="Folder",
        required=False,
        max_length=1024,
        help_text="Only beside: in the agent's folders or below ours. Empty: the one that is shown.",
    )
    paths = forms.CharField(
        label="Only these paths",
        required=False,
        max_length=200_000,
        widget=UnfoldAdminTextareaWidget(attrs={"placeholder": "notes/today.md", "rows": 3}),
        help_text="One on each line, as in the archive. Empty: everything.",
    )
    chown = forms.CharField(
        label="Owner",
        required=False,
        max_length=32,
        widget=_text("1000:1000"),
        help_text="User and group in numbers, for all that is restored. Empty: as it was archived.",
    )
    stop_container = forms.BooleanField(
        label="Stop its container meanwhile", required=False, initial=True, widget=UnfoldBooleanSwitchWidget()
    )
    health = forms.BooleanField(
        label="See whether the agent is well afterwards",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="If it is not, what was there before comes back.",
    )
    allow_damaged = forms.BooleanField(
        label="Try it although it is damaged", required=False, widget=UnfoldBooleanSwitchWidget()
    )
    subject: Backup

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["folder"].widget = _text(str(folder_beside(self.subject)))
        if self.subject.state != Backup.State.DAMAGED:
            del self.fields["allow_damaged"]

    def clean(self) -> dict[str, Any]:
        asked = self.cleaned_data
        if asked.get("where") == "place" and asked.get("folder"):
            self.add_error("folder", "To its place, it goes where it came from: leave this empty, or choose beside.")
        elif not self.errors:
            self._judge()
        return asked

    def options(self) -> dict[str, Any]:
        """As ``restore_request`` takes them. What was left empty has its default."""
        asked = self.cleaned_data
        paths = [line.strip() for line in asked["paths"].splitlines() if line.strip()]
        beside = asked["folder"] or str(folder_beside(self.subject))
        told = {
            "to": beside if asked["where"] == "beside" else "",
            "paths": paths,
            "chown": asked["chown"],
            "allow_damaged": asked.get("allow_damaged", False),
        }
        switches = {"stop_container": asked["stop_container"], "health": "check" if asked["health"] else "skip"}
        return {name: value for name, value in told.items() if value} | switches

    def render_before_template(self) -> SafeString:
        backup = self.subject
        held = f"It holds {backup.source or 'what was there'} of {when(backup.began_at)}: "
        return format_html(
            "{}<p>{}</p>",
            super().render_before_template(),
            held + amount(backup.entries, backup.tree_bytes),
        )

    def _judge(self) -> None:
        try:
            restore_judge(backup=self.subject, options=self.options())
        except DomainError as refusal:
            field = _FIELDS.get(refusal.field, "where")
            self.add_error(field if field in self.fields else "where", refusal.message)
