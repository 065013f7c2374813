"""Blackout calendars through the admin: made, changed and deleted by the services, each organisation for itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from fleet.models import AuditEntry
from fleet.services.organisations import member_set
from schedules.models import BlackoutCalendar
from schedules.services.blackouts import blackout_create
from tests.admin_fleet import ADDRESS, SYSTEM, make
from tests.schedules.admin.reading import said
from tests.schedules.admin.test_ledger_admin import text_of

LIST = "/admin/schedules/blackoutcalendar/"


def form(fleet: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "organisation": fleet["ours"].pk,
        "name": "holidays",
        "timezone": "Asia/Shanghai",
        "windows": "sat,sun\r\n12-24..01-02",
        "schedules": [fleet["schedule"].pk],
    } | changes


def errors(response: Any) -> dict[str, Any]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def calendar(organisation: Any, name: str = "holidays", **values: Any) -> BlackoutCalendar:
    return blackout_create(
        organisation=organisation, actor=SYSTEM, name=name, **({"windows": "sat,sun", "for_all": True} | values)
    )


def test_a_calendar_is_added_changed_and_deleted_through_services(boss: Client, fleet: dict[str, Any]) -> None:
    assert boss.post(f"{LIST}add/", form(fleet)).status_code == 302
    row = BlackoutCalendar.objects.get()
    assert (row.windows, row.for_all) == ("sat,sun\n12-24..01-02", False)
    assert [each.name for each in row.schedules.all()] == ["nightly-backup"]
    other = make(fleet["ours"], "Other")
    changed = form(fleet, schedules=[other.pk])
    del changed["organisation"]
    assert boss.post(f"{LIST}{row.pk}/change/", changed).status_code == 302
    assert [each.name for each in row.schedules.all()] == ["other"]
    assert "which holds for other" in text_of(boss.get(f"{LIST}{row.pk}/delete/"))
    assert boss.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    trail = AuditEntry.objects.filter(actor="boss", object_type="blackoutcalendar").order_by("pk")
    assert [(each.action, each.address) for each in trail] == [
        ("blackout.create", ADDRESS),
        ("blackout.update", ADDRESS),
        ("blackout.delete", ADDRESS),
    ]
    assert (trail[1].before, trail[1].after) == ({"schedules": ["nightly-backup"]}, {"schedules": ["other"]})


@pytest.mark.parametrize(
    ("field", "value", "parts"),
    [
        ("windows", "saturn", ["saturn", "line 1", "sat"]),
        ("windows", "", ["required"]),
        ("windows", "# none", ["# none", "sat,sun"]),
        ("timezone", "Asia/Shangai", ["Asia/Shangai", "Asia/Shanghai"]),
        ("name", "Holi Days", ["'Holi Days'", "christmas"]),
        ("name", "there", ["'there' exists already"]),
    ],
)
def test_a_wrong_value_is_an_error_of_its_field(
    boss: Client, fleet: dict[str, Any], field: str, value: str, parts: list[str]
) -> None:
    calendar(fleet["ours"], "there")
    found = errors(boss.post(f"{LIST}add/", form(fleet, **{field: value})))
    assert list(found) == [field]
    for part in parts:
        assert part in str(found[field].as_data()), found
    assert BlackoutCalendar.objects.count() == 1


def test_the_list_and_the_page_speak_in_words(boss: Client, fleet: dict[str, Any]) -> None:
    row = calendar(fleet["ours"], schedules=[fleet["schedule"]], for_all=False)
    calendar(fleet["theirs"], "past", windows="2020-01-01")
    listing = text_of(boss.get(LIST))
    for words in ("Every Saturday and Sunday, all day", "nightly-backup", "every job", "none to come"):
        assert words in listing
    page = text_of(boss.get(f"{LIST}{row.pk}/change/"))
    assert page.count(" sat,sun") >= 5
    BlackoutCalendar.objects.update(windows="nonsense")
    assert "nonsense" in text_of(boss.get(LIST))
    assert "None: windows" in text_of(boss.get(f"{LIST}{row.pk}/change/"))


def test_only_jobs_of_its_organisation_are_offered(boss: Client, staff: Any, fleet: dict[str, Any]) -> None:
    def offered(client: Client, path: str) -> Any:
        return client.get(f"{LIST}{path}").context["adminform"].form.fields["schedules"]

    row = calendar(fleet["ours"])
    assert [each.name for each in offered(boss, f"{row.pk}/change/").queryset] == ["nightly-backup"]
    assert [name for name, _ in offered(boss, "add/").choices] == ["ours", "theirs"]
    assert [each.name for each in offered(staff("admin"), "add/").queryset] == ["nightly-backup"]


def test_a_job_of_another_organisation_is_refused_at_its_field(boss: Client, staff: Any, fleet: dict[str, Any]) -> None:
    foreign = fleet["foreign"]
    found = errors(boss.post(f"{LIST}add/", form(fleet, schedules=[foreign.pk])))
    assert "There is no job named &#x27;their-backup&#x27; in ours" in str(found["schedules"])
    assert list(errors(staff("admin").post(f"{LIST}add/", form(fleet, schedules=[foreign.pk])))) == ["schedules"]
    assert not BlackoutCalendar.objects.exists()


def test_another_tenants_calendar_is_not_there(staff: Any, fleet: dict[str, Any]) -> None:
    client, foreign = staff("owner"), calendar(fleet["theirs"], "theirs-only")
    assert "theirs-only" not in client.get(LIST).content.decode()
    for action in ("change", "delete"):
        assert client.get(f"{LIST}{foreign.pk}/{action}/").status_code == 302
    client.post(f"{LIST}{foreign.pk}/delete/", {"post": "yes"})
    refused = errors(client.post(f"{LIST}add/", form(fleet, organisation=fleet["theirs"].pk, schedules=[])))
    assert list(refused) == ["organisation"]
    assert list(BlackoutCalendar.objects.values_list("name", flat=True)) == ["theirs-only"]


def test_a_viewer_reads_and_does_not_write(staff: Any, fleet: dict[str, Any]) -> None:
    client, row = staff("viewer"), calendar(fleet["ours"])
    assert "holidays" in client.get(LIST).content.decode()
    assert client.get(f"{LIST}{row.pk}/change/").status_code == 200
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{row.pk}/change/", form(fleet, name="spy")).status_code == 403
    assert client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert BlackoutCalendar.objects.get().name == "holidays"


def test_a_role_counts_in_its_own_organisation_only(staff: Any, fleet: dict[str, Any]) -> None:
    client = staff("admin")
    member_set(organisation=fleet["theirs"], username="admin-person", role="viewer", actor=SYSTEM)
    foreign = calendar(fleet["theirs"], "theirs-only")
    assert client.get(f"{LIST}{foreign.pk}/change/").status_code == 200
    assert client.post(f"{LIST}{foreign.pk}/change/", form(fleet, name="spy")).status_code == 403


def test_bulk_delete_goes_through_the_service(boss: Client, fleet: dict[str, Any]) -> None:
    rows = [calendar(fleet["ours"]).pk, calendar(fleet["ours"], "second").pk]
    data = {"action": "delete_selected", "_selected_action": rows}
    assert "Every Saturday and Sunday" in boss.post(LIST, data).content.decode()
    assert "Deleted: holidays, second." in said(boss.post(LIST, data | {"post": "yes"}))
    assert AuditEntry.objects.filter(action="blackout.delete", actor="boss").count() == 2
