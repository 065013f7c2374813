"""The form of a schedule: every field with its example; the service judges, in its own words."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget

from fleet.admin.base import ServiceForm
from schedules.admin.choices import offer_jobs
from schedules.executors.registry import executors

_HELP = {
    "display_name": "As people call it, for example Workspace S3 Backup.",
    "name": "As commands call it, for example workspace-s3-backup. Empty: made from the display name.",
    "agent": "The runtime it works on. Some executors need one.",
    "expression": (
        "0 2 * * * (every day at 02:00) · */15 * * * * · @manually · @daily · @every 90s · @at 2026-12-01T02:00:00Z. "
        "Six fields start with seconds."
    ),
    "timezone": "The zone in which the expression is read, for example Asia/Shanghai or UTC.",
    "timeout_seconds": "An attempt is ended after so many seconds, for example 3600.",
    "max_retries": "Further attempts after a failure. Empty: what the executor recommends.",
    "retry_delays": "Seconds before each retry, for example [30, 60, 300]. Empty list: 30, 60, 300, 900, 3600.",
    "max_concurrent_runs": "How many of its runs may run at once; 1 keeps them apart.",
    "overlap": "What a fire does while an earlier run is still active.",
    "misfire": "What happens to fires that were missed while the watch was down.",
    "catchup_seconds": "Missed fires older than so many seconds are never made up; 900 is 15 min.",
    "priority": "0 to 9; higher goes first.",
    "starts_at": "No fire before this. In UTC, as both times here are: 2026-12-01 and 02:00:00. Empty: from now on.",
    "ends_at": "No fire after this. In UTC: 2027-03-01 and 00:00:00. Empty: it goes on.",
    "max_runs": "It ends after so many planned runs, for example 10. Empty: it goes on.",
    "jitter_seconds": "Each fire is put off by up to so many seconds, never to the next one; 300 is 5 min. 0: on time.",
    "start_within_seconds": "Skipped when it could not start within so many seconds, for example 600. Empty: it waits.",
    "pause_after_failures": "It is paused after so many failed runs in a row, for example 5. Empty: never.",
    "run_after": "It runs when a run of this job ends, beside its own timing. With @manually: only then.",
    "run_after_on": "How that run has to end.",
}
_ATTRIBUTES: dict[str, dict[str, str | int]] = {
    "display_name": {"placeholder": "Workspace S3 Backup"},
    "name": {"placeholder": "workspace-s3-backup"},
    "expression": {"placeholder": "0 2 * * *"},
    "timezone": {"placeholder": "Asia/Shanghai"},
    "description": {"rows": 2},
    "payload": {"rows": 4, "placeholder": '{"command": "docker exec agent s3 backup"}'},
    "retry_delays": {"rows": 1, "placeholder": "[30, 60, 300]"},
    "max_retries": {"placeholder": "as the executor recommends"},
    "max_runs": {"placeholder": "no limit"},
    "start_within_seconds": {"placeholder": "waits"},
    "pause_after_failures": {"placeholder": "never"},
}


class ScheduleForm(ServiceForm):
    executor = forms.ChoiceField(widget=UnfoldAdminSelectWidget)

    class Meta:
        help_texts = _HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "executor" in self.fields:
            self._offer_executors()
        for name, attrs in _ATTRIBUTES.items():
            if name in self.fields:
                self.fields[name].widget.attrs.update(attrs)
        if "name" in self.fields:
            self.fields["name"].required = False
        if "payload" in self.fields:
            self.fields["payload"].help_text = _payload_help()
        if "run_after" in self.fields:
            offer_jobs(self.fields["run_after"], self.instance.organisation_id, without=self.instance.pk)
        if "jitter_seconds" in self.fields:
            self.fields["jitter_seconds"].required = False

    def _offer_executors(self) -> None:
        field: Any = self.fields["executor"]
        known = {key: f"{each.title} ({key})" for key, each in executors().items()}
        present = self.instance.executor
        if present and present not in known:
            known[present] = f"{present} (not installed)"
        field.choices = [("", "Select an executor"), *known.items()]

    def clean_payload(self) -> dict[str, Any]:
        value = self.cleaned_data["payload"]
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise forms.ValidationError('A payload is an object, for example {"command": "docker exec agent ls"}.')
        return value

    def clean_jitter_seconds(self) -> int:
        return self.cleaned_data["jitter_seconds"] or 0

    def clean_retry_delays(self) -> list[Any]:
        return self.cleaned_data["retry_delays"] or []


def _payload_help() -> SafeString:
    """What each executor takes, from its own payload model; ``*`` marks what it can't do without."""
    rows = [(key, _fields(each.payload_model)) for key, each in executors().items()]
    return format_html_join("", "<div><b>{}</b>: {}</div>", rows)


def _fields(model: Any) -> str:
    names = [f"{name}{'*' if field.is_required() else ''}" for name, field in model.model_fields.items()]
    return ", ".join(names) or "takes nothing"
