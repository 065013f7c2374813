"""Archives and restores through the admin's own addresses: what is read, what becomes a run, and who may."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from backups.models import Backup, Restore
from backups.services.requesting import backup_request
from fleet.actors import Actor
from fleet.models import AuditEntry
from fleet.services.agents import agent_remove
from fleet.services.organisations import member_set
from schedules.models import Run
from schedules.services.runs import run_once
from tests.backups.door_fleet import ADDRESS, TAKEN, DoorFleet, drilled, fleet, row

__all__ = ("fleet",)

LIST, RESTORES = "/admin/backups/backup/", "/admin/backups/restore/"
ACTOR = Actor.system("test")
DONE = {"_form_submitted": "True"}
#: What the dialog of a restore sends when nothing was touched.
PLAIN = {
    **DONE,
    "where": "place",
    "folder": "",
    "paths": "",
    "chown": "",
    "stop_container": "on",
    "health": "on",
}


def logged_in(user: User) -> Client:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(user)
    return client


@pytest.fixture
def boss(fleet: DoorFleet) -> Client:
    return logged_in(User.objects.create_superuser("boss", password="x"))


@pytest.fixture
def staff(fleet: DoorFleet) -> Callable[[str], Client]:
    """``staff(role)``: a person with that role in our organisation only."""

    def with_role(role: str) -> Client:
        user = User.objects.create_user(f"{role}-person", password="x", is_staff=True)
        member_set(organisation=fleet.organisation, username=user.username, role=role, actor=ACTOR)
        return logged_in(user)

    return with_role


def said(response: Any) -> str:
    return " ".join(str(each) for each in get_messages(response.wsgi_request))


def read(client: Client, url: str, **query: Any) -> str:
    """The text of a page as a person reads it."""
    response = client.get(url, query)
    assert response.status_code == 200, url
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def page(obj: Any) -> str:
    return reverse(f"admin:backups_{obj._meta.model_name}_change", args=(obj.pk,))


def listed(client: Client, **query: Any) -> set[int]:
    return {obj.pk for obj in client.get(LIST, query).context["cl"].result_list}


# -- reading


def test_the_list_says_what_counts(boss: Client, fleet: DoorFleet) -> None:
    Backup.objects.filter(pk=fleet.ours.pk).update(drilled_at=datetime.now(UTC) - timedelta(hours=2), tier="hot")
    drilled(fleet.ours, seconds=90, hours_ago=9)
    drilled(fleet.ours, seconds=42.5, hours_ago=2)
    text = read(boss, LIST)
    for part in (fleet.ours.name, "lead", "workspace", "Verified", "hot", "folder", "2 h ago, 42.5 s"):
        assert part in text, part
    assert "unchanged until" not in text
    assert "Could not be restored" not in text
    Backup.objects.filter(pk=fleet.ours.pk).update(
        state="damaged", still_at=fleet.ours.began_at + timedelta(days=1), is_adopted=True
    )
    drilled(fleet.ours, seconds=1, is_ok=False)
    text = read(boss, LIST)
    for part in ("Damaged", "unchanged until", "found, not made by us", "Could not be restored", "42.5 s"):
        assert part in text, part


def test_the_list_is_narrowed_and_searched(boss: Client, fleet: DoorFleet) -> None:
    values = {"began_at": TAKEN - timedelta(days=1), "kind": "database", "tier": "cold", "is_adopted": True}
    other = row(fleet.organisation, fleet.agent, state="damaged", problem="cut", name="other.tar.gz", **values)
    gone = row(fleet.organisation, fleet.agent, state="deleted", deleted_at=TAKEN, name="gone.tar.gz")
    ours, theirs = fleet.ours.pk, fleet.theirs.pk
    assert listed(boss) == {ours, other.pk, theirs}
    assert listed(boss, state="deleted") == {gone.pk}
    for query in ({"state": "damaged"}, {"kind": "database"}, {"tier__exact": "cold"}, {"is_adopted__exact": "1"}):
        assert listed(boss, **query) == {other.pk}, query
    assert listed(boss, q="other") == {other.pk}
    assert listed(boss, q="theirs") == listed(boss, agent=fleet.rival_agent.pk) == {theirs}


def test_the_page_has_everything(boss: Client, fleet: DoorFleet) -> None:
    run = run_once(
        organisation=fleet.organisation, executor="archive.verify", payload={"backup": 1}, agent=None, actor=ACTOR
    ).run
    Backup.objects.filter(pk=fleet.ours.pk).update(job_run_id=run.job_run_id, details={"pages": 7})
    drilled(fleet.ours, seconds=42, checks={"databases": "checked"}, job_run_id="long-pruned")
    restore = fleet.restored(state="failed", problem="The disk is full. <b>")
    text = read(boss, page(fleet.ours))
    parts = (
        fleet.ours.sha256,
        "10 entries",
        "databases: checked",
        "long-pruned",
        "The disk is full. <b>",
        "the last 100",
    )
    for part in (*parts, run.job_run_id, str(fleet.path(fleet.ours)), '"pages": 7'):
        assert part in text, part
    assert "What is wrong" not in text
    html = boss.get(page(fleet.ours)).content.decode()
    assert reverse("admin:schedules_run_change", args=(run.pk,)) in html
    assert page(restore) in html
    assert "<b>" not in html.split("The disk is full.")[1][:20]


def test_a_damaged_one_says_so_first_and_what_to_take_instead(boss: Client, fleet: DoorFleet) -> None:
    damaged = row(
        fleet.organisation, fleet.agent, state="damaged", problem="It is cut <i>short</i>.", name="bad.tar.gz"
    )
    text = read(boss, page(damaged))
    # What is below the heading of the page: its problem comes before anything else of it.
    assert text.index("What is wrong") < text.index("It is cut <i>short</i>.") < text.index("What it holds")
    assert page(fleet.ours) in boss.get(page(damaged)).content.decode()
    Backup.objects.filter(pk=fleet.ours.pk).update(state="complete", retention={"nonsense": 1})
    assert "no good archive of this kind" in read(boss, page(damaged))
    assert "rules that can't be read" in read(boss, page(fleet.ours))


def test_one_query_more_for_each_row_would_be_too_many(
    boss: Client, fleet: DoorFleet, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        drilled(row(fleet.organisation, fleet.agent, name=f"{number}.tar.gz"))
    boss.get(LIST)
    with django_assert_max_num_queries(15):
        boss.get(LIST)


def test_nothing_is_added_edited_or_deleted_by_hand(boss: Client, fleet: DoorFleet) -> None:
    restore = fleet.restored()
    for url, obj in ((LIST, fleet.ours), (RESTORES, restore)):
        assert boss.get(f"{url}add/").status_code == 403
        assert boss.post(page(obj), {"state": "verified"}).status_code == 403
        assert boss.post(f"{url}{obj.pk}/delete/", {"post": "yes"}).status_code == 403
        rows = {"action": "delete_selected", "_selected_action": [obj.pk], "post": "yes"}
        boss.post(url, rows)
    assert (Backup.objects.count(), Restore.objects.count()) == (2, 1)
    assert fleet.path(fleet.ours).exists()


def test_the_sidebar_leads_here(boss: Client) -> None:
    html = boss.get("/admin/").content.decode()
    assert f'href="{LIST}"' in html
    assert f'href="{RESTORES}"' in html


# -- actions that make runs


@pytest.mark.parametrize(
    ("action", "executor", "field"), [("verify-now", "archive.verify", "backup"), ("drill", "restore.drill", "which")]
)
def test_checks_and_drills_ask_first_and_make_runs(
    boss: Client, fleet: DoorFleet, action: str, executor: str, field: str
) -> None:
    url = f"{LIST}{fleet.ours.pk}/{action}/"
    asked = boss.get(url).content.decode()
    assert fleet.ours.name in asked
    assert not Run.objects.exists()
    answer = boss.post(url, DONE)
    run = Run.objects.get()
    assert (run.executor, run.payload, run.hold) == (executor, {field: fleet.ours.pk}, "shared")
    assert (run.requested_by, run.organisation) == ("boss", fleet.organisation)
    assert run.job_run_id in said(answer)
    fleet.carry_out(run)
    assert AuditEntry.objects.get(action="run.once").address == ADDRESS


def test_many_are_checked_at_once(boss: Client, fleet: DoorFleet) -> None:
    gone = row(fleet.organisation, fleet.agent, state="deleted", deleted_at=TAKEN, name="gone.tar.gz")
    rows = {"action": "verify_selected", "_selected_action": [fleet.ours.pk, gone.pk]}
    assert f"Checks were asked for: {fleet.ours.name}." in said(boss.post(LIST, rows))
    text = said(boss.post(f"{LIST}?state=deleted", rows | {"_selected_action": [gone.pk]}))
    assert "gone.tar.gz: gone.tar.gz was deleted" in text
    assert Run.objects.count() == 1


def test_a_restore_to_its_place_leads_to_its_run(boss: Client, fleet: DoorFleet) -> None:
    url = f"{LIST}{fleet.ours.pk}/restore/"
    dialog = boss.get(url).content.decode()
    for part in ("until somebody confirms", "10 entries", "/restores/acme/lead/workspace_", "notes/today.md"):
        assert part in dialog, part
    assert "allow_damaged" not in dialog
    script = Path(fleet.agent.workspace_folder, "run.sh")
    script.write_text("rm -rf /")
    answer = boss.post(url, PLAIN)
    run = Run.objects.get()
    assert (run.executor, run.agent, run.hold) == ("workspace.restore", fleet.agent, "exclusive")
    assert run.payload == {"backup": fleet.ours.pk, "stop_container": True, "health": "check"}
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:schedules_run_change", args=(run.pk,)))
    fleet.carry_out(run)
    assert "echo hi" in script.read_text()
    by_htmx = boss.post(url, PLAIN, headers={"HX-Request": "true"})
    assert by_htmx["HX-Redirect"] == reverse("admin:schedules_run_change", args=(Run.objects.latest("pk").pk,))


def test_a_restore_of_some_paths_beside(boss: Client, fleet: DoorFleet) -> None:
    choice = {"where": "beside", "paths": "run.sh\n\n notes/今日.md \n", "chown": "1000:1000"}
    asked = {key: value for key, value in PLAIN.items() if key not in {"stop_container", "health"}}
    boss.post(f"{LIST}{fleet.ours.pk}/restore/", asked | choice)
    stem = fleet.ours.name.removesuffix(".tar.gz")
    assert Run.objects.get().payload == {
        "backup": fleet.ours.pk,
        "to": f"{fleet.watch.data_dir}/restores/acme/lead/{stem}",
        "paths": ["run.sh", "notes/今日.md"],
        "chown": "1000:1000",
        "stop_container": False,
        "health": "skip",
    }


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"where": "beside", "folder": "/etc"}, "is not inside of the folders"),
        ({"where": "beside", "folder": "{data}/restores/rival/x"}, "since others have theirs"),
        ({"where": "place", "folder": "/etc"}, "leave this empty, or choose beside"),
        ({"where": "moon"}, "is not one of the available choices"),
        ({"chown": "root:root"}, "chown is"),
        ({"paths": "a\x00b"}, "Null characters"),
    ],
)
def test_a_restore_that_cannot_work_is_refused_in_its_dialog(
    boss: Client, fleet: DoorFleet, choice: dict[str, str], text: str
) -> None:
    choice = {name: value.replace("{data}", str(fleet.watch.data_dir)) for name, value in choice.items()}
    answer = boss.post(f"{LIST}{fleet.ours.pk}/restore/", PLAIN | choice)
    assert answer.status_code == 200
    assert text in unescape(answer.content.decode())
    assert not Run.objects.exists()


def test_a_damaged_one_is_restored_only_by_one_who_says_so(boss: Client, fleet: DoorFleet) -> None:
    Backup.objects.filter(pk=fleet.ours.pk).update(state="damaged", problem="It is cut.")
    url = f"{LIST}{fleet.ours.pk}/restore/"
    assert "It is cut." in boss.post(url, PLAIN).content.decode()
    assert not Run.objects.exists()
    boss.post(url, PLAIN | {"allow_damaged": "on"})
    assert Run.objects.get().payload["allow_damaged"] is True


def test_without_its_agent_it_is_not_restored(boss: Client, fleet: DoorFleet) -> None:
    agent_remove(agent=fleet.agent, actor=ACTOR)
    assert "was removed or renamed" in boss.post(f"{LIST}{fleet.ours.pk}/restore/", PLAIN).content.decode()
    assert "was removed or renamed" in said(boss.post(f"{LIST}{fleet.ours.pk}/drill/", DONE))
    assert "lead (removed)" in read(boss, page(fleet.ours))
    assert not Run.objects.exists()


# -- deleting


def test_the_last_good_one_cannot_be_deleted(boss: Client, fleet: DoorFleet) -> None:
    url = f"{LIST}{fleet.ours.pk}/discard/"
    assert "is the last good archive" in boss.get(url).content.decode()
    assert "is the last good archive" in said(boss.post(url, DONE))
    assert fleet.path(fleet.ours).exists()
    newer = fleet.archive()
    assert "1 good one of its kind stays" in boss.get(url).content.decode()
    assert f"Deleted: {fleet.ours}." in said(boss.post(url, DONE))
    assert not fleet.path(fleet.ours).exists()
    fleet.ours.refresh_from_db()
    assert (fleet.ours.state, fleet.ours.deleted_why) == ("deleted", "deleted by boss")
    entry = AuditEntry.objects.get(action="backup.delete")
    assert (entry.actor, entry.address, entry.organisation) == ("boss", ADDRESS, fleet.organisation)
    assert "deleted by boss" in read(boss, page(fleet.ours))
    assert "was deleted already" in said(boss.post(url, DONE))
    assert "is the last good archive" in said(boss.post(f"{LIST}{newer.pk}/discard/", DONE))


def test_what_cannot_be_removed_now_says_so(boss: Client, fleet: DoorFleet) -> None:
    fleet.archive()
    path = fleet.path(fleet.ours)
    path.unlink()
    path.mkdir()
    text = said(boss.post(f"{LIST}{fleet.ours.pk}/discard/", DONE))
    assert "is recorded as deleted. Housekeeping removes the archive itself" in text


def test_deleting_one_that_was_never_verified_says_what_that_means(boss: Client, fleet: DoorFleet) -> None:
    Backup.objects.filter(pk=fleet.ours.pk).update(state="complete")
    url = f"{LIST}{fleet.ours.pk}/discard/"
    assert "this may be the best that there is" in boss.get(url).content.decode()
    assert "Deleted" in said(boss.post(url, DONE))


def test_a_backup_is_made_again(boss: Client, fleet: DoorFleet) -> None:
    """As it was made: for whom it is encrypted, and what was left out."""
    assert "how it was made is not kept" in said(boss.post(f"{LIST}{fleet.ours.pk}/again/", DONE))
    options = {"to": str(fleet.watch.backup_root), "leave_out": ["notes"], "recipient": "none", "keep": 3}
    asked = backup_request(
        organisation=fleet.organisation, agent=fleet.agent, kind="workspace", options=options, actor=ACTOR
    )
    Backup.objects.filter(pk=fleet.ours.pk).update(job_run_id=asked.run.job_run_id)
    assert "A backup was asked for: " in said(boss.post(f"{LIST}{fleet.ours.pk}/again/", DONE))
    again = Run.objects.exclude(pk=asked.run.pk).get()
    assert (again.executor, again.agent, again.payload) == ("workspace.backup", fleet.agent, options)
    fleet.carry_out(again)


def test_the_report_says_what_could_be_brought_back(boss: Client, fleet: DoorFleet) -> None:
    text = read(boss, f"{LIST}report/")
    for part in ("acme: what could be brought back", fleet.ours.name, "a restore was never tried", "kept by a rule"):
        assert part in text, part
    Backup.objects.filter(pk=fleet.archive().pk).update(retention={"last": 1})
    Backup.objects.filter(pk=fleet.ours.pk).update(still_at=TAKEN, began_at=TAKEN)
    assert "not among the last 1" in read(boss, f"{LIST}report/")


def test_what_is_in_an_archive_and_what_became_of_it(boss: Client, fleet: DoorFleet) -> None:
    workspace = Path(fleet.agent.workspace_folder)
    (workspace / "zero").unlink()
    (workspace / "<b>new<b>").write_text("1")
    newer = fleet.archive()
    text = read(boss, f"{LIST}{newer.pk}/contents/")
    for part in ("workspace/run.sh", "0750", "What differs from the one before it", "removed", "workspace/zero"):
        assert part in text, part
    assert "&lt;b&gt;new&lt;b&gt;" in boss.get(f"{LIST}{newer.pk}/contents/").content.decode()
    fleet.path(newer).unlink()
    assert "It can't be read now" in read(boss, f"{LIST}{newer.pk}/contents/")


# -- restores


def test_a_restore_is_undone_or_confirmed(boss: Client, fleet: DoorFleet) -> None:
    script = Path(fleet.agent.workspace_folder, "run.sh")
    script.write_text("rm -rf /")
    boss.post(f"{LIST}{fleet.ours.pk}/restore/", PLAIN)
    fleet.carry_out(Run.objects.get())
    restore = Restore.objects.get()
    text = read(boss, page(restore))
    for part in ("In place, not confirmed", restore.kept, fleet.ours.name, "not yet: confirm it when all is well"):
        assert part in text, part
    assert restore.kept in boss.get(f"{RESTORES}{restore.pk}/undo/").content.decode()
    run = Run.objects.get()
    assert "The undo was asked for: " in said(boss.post(f"{RESTORES}{restore.pk}/undo/", DONE))
    fleet.carry_out(Run.objects.exclude(pk=run.pk).get())
    assert script.read_text() == "rm -rf /"
    assert "settled already: undone" in said(boss.post(f"{RESTORES}{restore.pk}/confirm/", DONE))
    fleet.context.job_run_id = "run-8"
    fleet.carry_out(run)
    again = Restore.objects.latest("pk")
    assert f"Confirmed: {again}." in said(boss.post(f"{RESTORES}{again.pk}/confirm/", DONE))
    assert not Path(again.kept).exists()
    assert "Undone" in read(boss, RESTORES, state__exact="undone")


def test_what_cannot_be_undone_says_why(boss: Client, fleet: DoorFleet) -> None:
    restore = fleet.restored(kept="/nowhere/kept")
    assert "What was there before is in /nowhere/kept." in boss.get(f"{RESTORES}{restore.pk}/undo/").content.decode()
    assert "no former tree to bring back any more" in said(boss.post(f"{RESTORES}{restore.pk}/undo/", DONE))
    assert Restore.objects.get().state == "done"


# -- who may


def test_another_tenants_are_not_there(staff: Callable[[str], Client], fleet: DoorFleet) -> None:
    client = staff("owner")
    their_restore = fleet.restored(
        organisation=fleet.rival, agent=fleet.rival_agent, agent_slug="theirs", backup=fleet.theirs, archive="x.tar.gz"
    )
    assert listed(client) == {fleet.ours.pk}
    assert "theirs" not in read(client, LIST)
    assert listed(client, q="theirs") == listed(client, agent=fleet.rival_agent.pk) == set()
    assert "x.tar.gz" not in read(client, RESTORES)
    for obj in (fleet.theirs, their_restore):
        assert client.get(page(obj)).status_code == 302  # Django's "perhaps it was deleted?"
    doors = [f"{LIST}{fleet.theirs.pk}/{door}/" for door in ("verify-now", "drill", "restore", "discard")]
    doors += [f"{LIST}{fleet.theirs.pk}/contents/"]
    doors += [f"{RESTORES}{their_restore.pk}/{door}/" for door in ("confirm", "undo")]
    for url in doors:
        assert client.get(url).status_code == 404, url
        assert client.post(url, PLAIN).status_code == 404, url
    client.post(LIST, {"action": "verify_selected", "_selected_action": [fleet.theirs.pk]})
    assert not Run.objects.exists()
    assert (Backup.objects.get(pk=fleet.theirs.pk).state, Restore.objects.get().state) == ("verified", "done")


def test_a_page_never_shows_what_hangs_on_another_tenant(staff: Callable[[str], Client], fleet: DoorFleet) -> None:
    """Were a row ever to name the wrong tenant's archive or run, its page would not tell."""
    fleet.restored(organisation=fleet.rival, target="/srv/rival/secret")
    Backup.objects.filter(pk=fleet.ours.pk).update(job_run_id="theirs-1")
    run = run_once(
        organisation=fleet.rival, executor="archive.verify", payload={"backup": 1}, agent=None, actor=ACTOR
    ).run
    Run.objects.filter(pk=run.pk).update(job_run_id="theirs-1")
    html = staff("owner").get(page(fleet.ours)).content.decode()
    assert "/srv/rival/secret" not in html
    assert reverse("admin:schedules_run_change", args=(run.pk,)) not in html


ACTIONS = ("verify-now", "drill", "restore", "discard")
SETTLES = ("undo", "confirm")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", set()),
        ("operator", {"verify-now", "drill", "restore", "undo"}),
        ("admin", {*ACTIONS, *SETTLES}),
        ("owner", {*ACTIONS, *SETTLES}),
    ],
)
def test_a_role_decides(staff: Callable[[str], Client], fleet: DoorFleet, role: str, may: set[str]) -> None:
    client, restore = staff(role), fleet.restored()
    fleet.archive()
    assert listed(client) != set()
    html = client.get(page(fleet.ours)).content.decode() + client.get(page(restore)).content.decode()
    for base, doors in ((f"{LIST}{fleet.ours.pk}", ACTIONS), (f"{RESTORES}{restore.pk}", SETTLES)):
        for door in doors:
            url = f"{base}/{door}/"
            status = client.post(url, PLAIN).status_code
            assert (status == 302) if door in may else (status == 403), (url, status)
            assert (url in html) == (door in may), url
    # To undo is a run as well; to discard and to confirm are done at once.
    assert Run.objects.count() == len(may - {"discard", "confirm"})


def test_a_role_counts_in_its_own_organisation_only(staff: Callable[[str], Client], fleet: DoorFleet) -> None:
    client = staff("admin")
    member_set(organisation=fleet.rival, username="admin-person", role="viewer", actor=ACTOR)
    assert fleet.theirs.pk in listed(client)
    for door in ACTIONS:
        assert client.post(f"{LIST}{fleet.theirs.pk}/{door}/", PLAIN).status_code == 403
    client.post(LIST, {"action": "verify_selected", "_selected_action": [fleet.theirs.pk]})
    assert not Run.objects.exists()


def test_a_forged_post_is_refused(fleet: DoorFleet) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("victim", password="x"))
    for door in ACTIONS:
        assert client.post(f"{LIST}{fleet.ours.pk}/{door}/", PLAIN).status_code == 403
    assert not Run.objects.exists()
