"""``/api/v1/backups`` and ``/api/v1/restores``: what is shown, what becomes a run, and who may."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from backups.models import Backup, Restore
from backups.services.discarding import backup_discard
from backups.services.requesting import backup_request
from fleet.actors import Actor
from fleet.errors import Conflict, NotFound
from fleet.models import AuditEntry
from fleet.services.agents import agent_remove
from fleet.services.apikeys import apikey_create
from fleet.services.organisations import member_set
from schedules.executors.base import ExecutorError
from schedules.models import Run
from tests.backups.door_fleet import ADDRESS, TAKEN, DoorFleet, drilled, fleet, row, stranger_context

__all__ = ("fleet",)

URL, RESTORES = "/api/v1/backups", "/api/v1/restores"
ACTOR = Actor.system("test")
ALL = ("backups:read", "backups:write", "backups:run", "backups:delete")
DOORS = [
    ("get", "/api/v1/backups", "backups:read"),
    ("post", "/api/v1/backups", "backups:run"),
    ("get", "/api/v1/backups/{backup}", "backups:read"),
    ("delete", "/api/v1/backups/{backup}", "backups:delete"),
    ("post", "/api/v1/backups/{backup}/verify", "backups:run"),
    ("post", "/api/v1/backups/{backup}/drill", "backups:run"),
    ("get", "/api/v1/backups/{backup}/drills", "backups:read"),
    ("post", "/api/v1/backups/{backup}/restore", "backups:run"),
    ("get", "/api/v1/restores", "backups:read"),
    ("get", "/api/v1/restores/{restore}", "backups:read"),
    ("post", "/api/v1/restores/{restore}/confirm", "backups:delete"),
    ("post", "/api/v1/restores/{restore}/undo", "backups:run"),
]
NamedClient = Callable[..., APIClient]


def client_of(organisation: Any, *scopes: str) -> APIClient:
    secret = apikey_create(organisation=organisation, name=" ".join(scopes), scopes=scopes, actor=ACTOR).secret
    client = APIClient(REMOTE_ADDR=ADDRESS)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def api(fleet: DoorFleet) -> APIClient:
    return client_of(fleet.organisation, *ALL)


@pytest.fixture
def stranger(fleet: DoorFleet) -> APIClient:
    return client_of(fleet.rival, *ALL)


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    return body


def post(client: APIClient, url: str, **body: Any) -> Any:
    return client.post(url, body, format="json")


def accepted(response: Any) -> Run:
    """The run that was made; the answer tells of it and where to watch it."""
    assert response.status_code == 202, response.content
    run = Run.objects.get(job_run_id=response.json()["job_run_id"])
    assert response["Location"] == f"/api/v1/schedule-runs/{run.job_run_id}"
    assert run.trigger == "manual"
    assert "wb_" in run.requested_by
    return run


# -- reading


def test_a_backup_is_shown_whole(api: APIClient, fleet: DoorFleet) -> None:
    drilled(fleet.ours, seconds=90, hours_ago=3)
    drilled(fleet.ours, seconds=42.5, hours_ago=2, checks={"databases": "checked"})
    drilled(fleet.ours, seconds=1, is_ok=False, problem="no room")
    shown = api.get(f"{URL}/{fleet.ours.pk}").json()
    assert (shown["name"], shown["agent"], shown["kind"], shown["state"]) == (
        fleet.ours.name,
        "lead",
        "workspace",
        "verified",
    )
    assert shown["place"] == str(fleet.path(fleet.ours))
    assert shown["drill_seconds"] == 42.5, "of the newest that worked"
    assert shown["entries"] == 10
    assert "organisation" not in shown
    drills = api.get(f"{URL}/{fleet.ours.pk}/drills").json()["results"]
    assert [(each["seconds"], each["is_ok"], each["problem"]) for each in drills] == [
        (1.0, False, "no room"),
        (42.5, True, ""),
        (90.0, True, ""),
    ]


def test_the_list_is_newest_first_filtered_and_paged(api: APIClient, fleet: DoorFleet) -> None:
    old, older = (
        row(fleet.organisation, fleet.agent, began_at=TAKEN - timedelta(days=days), **values)
        for days, values in (
            (30, {"state": "damaged", "tier": "hot"}),
            (60, {"kind": "database", "agent_slug": "gone"}),
        )
    )
    gone = row(fleet.organisation, fleet.agent, state="deleted", deleted_at=TAKEN, name="gone.tar.gz")

    def listed(**query: Any) -> list[int]:
        return [each["id"] for each in api.get(URL, query).json()["results"]]

    assert listed() == [fleet.ours.pk, old.pk, older.pk]
    assert listed(agent="gone") == listed(kind="database") == [older.pk]
    assert listed(tier="hot") == listed(state="damaged") == [old.pk]
    assert listed(state=["deleted", "damaged"]) == [gone.pk, old.pk]
    assert listed(agent="theirs") == []
    first = api.get(URL, {"page_size": 2}).json()
    assert [each["id"] for each in api.get(first["next"]).json()["results"]] == [older.pk]
    assert "state" in problem(api.get(URL, {"state": "lost"}), 400)["errors"]
    cursor = base64.b64encode(b"p=never").decode()
    assert "cursor" in problem(api.get(URL, {"cursor": cursor}), 400)["errors"]


def test_a_restore_is_shown_and_listed(api: APIClient, fleet: DoorFleet) -> None:
    restore, failed = fleet.restored(), fleet.restored(state="failed", problem="no room", backup=None)
    shown = api.get(f"{RESTORES}/{restore.pk}").json()
    assert (shown["backup"], shown["agent"], shown["state"]) == (fleet.ours.pk, "lead", "done")
    assert [each["id"] for each in api.get(RESTORES).json()["results"]] == [failed.pk, restore.pk]
    assert [each["id"] for each in api.get(RESTORES, {"backup": fleet.ours.pk}).json()["results"]] == [restore.pk]
    assert [each["id"] for each in api.get(RESTORES, {"state": "failed"}).json()["results"]] == [failed.pk]


# -- runs


def test_a_backup_is_asked_for_and_made(api: APIClient, fleet: DoorFleet) -> None:
    root = str(fleet.watch.backup_root)
    asked = post(api, URL, agent="lead", kind="workspace", to=root, leave_out=["bin"], if_unchanged="archive")
    run = accepted(asked)
    assert (run.executor, run.agent, run.hold, run.queue) == ("workspace.backup", fleet.agent, "shared", "backups")
    assert run.payload == {"to": root, "leave_out": ["bin"], "if_unchanged": "archive"}
    assert Backup.objects.get(pk=fleet.carry_out(run).details["backup"]).entries == 7
    kept = accepted(post(api, URL, agent="lead", kind="database", to=root, keep={"daily": 7}))
    assert (kept.executor, kept.payload["keep"]) == ("database.backup", {"daily": 7})


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({"agent": "nobody"}, "agent", "no agent 'nobody'"),
        ({"agent": "theirs"}, "agent", "no agent 'theirs'"),
        ({"kind": "minds"}, "kind", "Kinds are: database"),
        ({"kind": "test.trace"}, "kind", "no kind"),
        ({"to": "/etc"}, "body", "not to '/etc'"),
        ({"source": "/etc"}, "body", "not inside of the folders"),
        ({"keep": 0}, "keep", "keep"),
        ({"keep": {"lats": 5}}, "keep", "lats"),
        ({"keep": [5]}, "keep", "keep"),
        ({"location": "moon"}, "location", "location is 'moon'"),
        ({"databases": ["a.db"]}, "databases", "nothing that this executor knows"),
        ({"organisation": "rival"}, "organisation", "no field 'organisation'"),
        ({"before": ["sh", "-c", "id"]}, "before", "no field 'before'"),  # what runs in its container is for schedules
        ({"to": "a\x00b"}, "to", "ull character"),
        ({"leave_out": ["\ud800"]}, "leave_out", ""),
        ({"agent": None}, "agent", "null"),
    ],
)
def test_what_no_backup_can_be_made_of(
    api: APIClient, fleet: DoorFleet, body: dict[str, Any], field: str, text: str
) -> None:
    whole = {"agent": "lead", "kind": "workspace", "to": str(fleet.watch.backup_root), **body}
    found = problem(api.post(URL, json.dumps(whole), content_type="application/json"), 400)
    if field == "body":
        assert text in found["detail"]
    else:
        (name,) = found["errors"]
        assert name.partition(".")[0] == field
        assert text in found["errors"][name][0]
    assert not Run.objects.exists()


@pytest.mark.parametrize("decided", [{"keep": 1}, {"recipient": "age1someone"}])
def test_who_only_runs_backups_decides_neither_what_is_kept_nor_for_whom(
    fleet: DoorFleet, decided: dict[str, Any]
) -> None:
    """``keep: 1`` would delete all that others made by hand."""
    client = client_of(fleet.organisation, "backups:run")
    asked = {"agent": "lead", "kind": "workspace", "to": str(fleet.watch.backup_root)}
    assert "backups:write" in problem(post(client, URL, **asked, **decided), 403)["detail"]
    accepted(post(client, URL, **asked))


def test_an_archive_is_read_again(api: APIClient, fleet: DoorFleet) -> None:
    run = accepted(post(api, f"{URL}/{fleet.ours.pk}/verify"))
    assert (run.executor, run.agent, run.hold) == ("archive.verify", None, "shared")
    assert run.payload == {"backup": fleet.ours.pk}
    assert fleet.carry_out(run).summary == f"[Verify] {fleet.ours.name} is whole: every byte was read back"
    path = fleet.path(fleet.ours)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExecutorError, match=fleet.ours.name) as caught:
        fleet.carry_out(run)
    assert (caught.value.code, caught.value.retryable) == ("archive_damaged", False)
    assert api.get(f"{URL}/{fleet.ours.pk}").json()["state"] == "damaged"


def test_an_archive_that_cannot_be_asked_for_is_not_called_damaged(fleet: DoorFleet, api: APIClient) -> None:
    run = accepted(post(api, f"{URL}/{fleet.ours.pk}/verify"))
    shutil.rmtree(fleet.path(fleet.ours).parent)
    fleet.path(fleet.ours).parent.write_text("no folder")
    with pytest.raises(ExecutorError) as caught:
        fleet.carry_out(run)
    assert caught.value.code != "archive_damaged"
    fleet.ours.refresh_from_db()
    assert fleet.ours.state == "verified"


def test_one_that_was_damaged_when_it_was_archived_is_not_called_whole(
    fleet: DoorFleet, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.executors import archive_verify
    from backups.services.verification import backup_verify

    def verify(*, backup: Backup, hooks: Any) -> Any:
        checked = backup_verify(backup=backup, hooks=hooks)
        Backup.objects.filter(pk=backup.pk).update(state="damaged", problem="a database in it is damaged")
        return checked

    monkeypatch.setattr(archive_verify, "backup_verify", verify)
    with pytest.raises(ExecutorError, match="a database in it is damaged"):
        fleet.carry_out(accepted(post(api, f"{URL}/{fleet.ours.pk}/verify")))


def test_a_drill_is_asked_for_and_timed(api: APIClient, fleet: DoorFleet) -> None:
    run = accepted(post(api, f"{URL}/{fleet.ours.pk}/drill"))
    assert (run.executor, run.agent, run.payload) == ("restore.drill", fleet.agent, {"which": fleet.ours.pk})
    fleet.carry_out(run)
    shown = api.get(f"{URL}/{fleet.ours.pk}").json()
    assert shown["drilled_at"] is not None
    assert 0 < shown["drill_seconds"] < 60


def test_a_restore_holds_the_agent_alone_and_is_undone(api: APIClient, fleet: DoorFleet) -> None:
    script = Path(fleet.agent.workspace_folder, "run.sh")
    as_it_was = script.read_text()
    script.write_text("rm -rf /")
    run = accepted(post(api, f"{URL}/{fleet.ours.pk}/restore", paths=[], stop_container=False, health="skip"))
    assert (run.executor, run.agent, run.hold) == ("workspace.restore", fleet.agent, "exclusive")
    assert run.payload == {"backup": fleet.ours.pk, "paths": [], "stop_container": False, "health": "skip"}
    fleet.carry_out(run)
    assert script.read_text() == as_it_was
    restore = Restore.objects.get()
    undo = accepted(post(api, f"{RESTORES}/{restore.pk}/undo"))
    assert (undo.executor, undo.agent, undo.hold) == ("restore.undo", fleet.agent, "exclusive")
    fleet.carry_out(undo)
    assert script.read_text() == "rm -rf /"
    assert "settled already" in problem(post(api, f"{RESTORES}/{restore.pk}/confirm"), 409)["detail"]
    assert AuditEntry.objects.get(action="restore.undone").actor_kind == "system"


def test_a_restore_is_confirmed(api: APIClient, fleet: DoorFleet) -> None:
    fleet.carry_out(accepted(post(api, f"{URL}/{fleet.ours.pk}/restore")))
    kept = Path(Restore.objects.get().kept)
    assert kept.is_dir()
    assert post(api, f"{RESTORES}/{Restore.objects.get().pk}/confirm").json()["state"] == "confirmed"
    assert not kept.exists()


def test_what_cannot_be_undone_says_why(api: APIClient, fleet: DoorFleet) -> None:
    some = fleet.restored(kept="/nowhere/kept")
    assert (
        "no former tree to bring back any more: /nowhere/kept"
        in problem(post(api, f"{RESTORES}/{some.pk}/undo"), 409)["detail"]
    )
    assert problem(post(api, f"{RESTORES}/{some.pk}/undo", force=True), 400)["errors"]["force"]
    orphan = fleet.restored(kept=fleet.agent.workspace_folder, agent=None)
    assert f"backup undo --now {orphan.pk}" in problem(post(api, f"{RESTORES}/{orphan.pk}/undo"), 409)["detail"]


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({"to": "/etc"}, "to", "is not inside of the folders"),
        ({"to": "look"}, "to", "is not inside of the folders"),
        ({"to": "/"}, "to", "is not inside of the folders"),
        ({"to": "{workspace}/../../elsewhere"}, "to", "is not inside of the folders"),
        ({"to": "{data}/restores/rival/theirs"}, "to", "since others have theirs"),
        ({"to": "{data}/restores/acme/../rival"}, "to", "since others have theirs"),
        ({"to": "{data}/restores"}, "to", "since others have theirs"),
        ({"to": "{data}/restores/acme"}, "to", "since others have theirs"),
        ({"to": "{workspace}/" + "n" * 300 + "/\x00"}, "to", "ull character"),
        ({"to": ""}, "to", "blank"),
        ({"chown": "root"}, "chown", "chown is 'root'"),
        ({"chown": "0:0; rm"}, "chown", "chown"),
        ({"file_mode": "7777"}, "file_mode", "file_mode"),
        ({"health": "maybe"}, "health", "health is 'maybe'"),
        ({"stop_seconds": 10**9}, "stop_seconds", "stop_seconds"),
        ({"paths": "run.sh"}, "paths", "list"),
        ({"backup": 1}, "backup", "said by the backup"),
        ({"agent": "theirs"}, "agent", "said by the backup"),
        ({"healht": "skip"}, "healht", "no field 'healht'"),
    ],
)
def test_what_no_restore_takes(api: APIClient, fleet: DoorFleet, body: dict[str, Any], field: str, text: str) -> None:
    places = {"{workspace}": fleet.agent.workspace_folder, "{data}": str(fleet.watch.data_dir)}
    for name, place in places.items():
        body = {key: value.replace(name, place) if isinstance(value, str) else value for key, value in body.items()}
    errors = problem(post(api, f"{URL}/{fleet.ours.pk}/restore", **body), 400)["errors"]
    (name,) = errors
    assert name.partition(".")[0] == field
    assert text in errors[name][0]
    assert not Run.objects.exists()


def test_a_folder_of_ones_own_beside_is_fine(api: APIClient, fleet: DoorFleet) -> None:
    to = f"{fleet.watch.data_dir}/restores/acme/look"
    fleet.carry_out(accepted(post(api, f"{URL}/{fleet.ours.pk}/restore", to=to)))
    assert Path(to, "run.sh").exists()
    shutil.rmtree(Path(to).parent)


def test_which_backups_are_not_restored(api: APIClient, fleet: DoorFleet) -> None:
    url = f"{URL}/{fleet.ours.pk}"
    rows = Backup.objects.filter(pk=fleet.ours.pk)
    rows.update(state="damaged", problem="It is cut.")
    assert "It is cut." in problem(post(api, f"{url}/restore"), 409)["detail"]
    assert accepted(post(api, f"{url}/restore", allow_damaged=True)).payload["allow_damaged"] is True
    rows.update(in_container=True, state="verified")
    assert "to" in problem(post(api, f"{url}/restore"), 400)["errors"]
    rows.update(kind="minds")
    assert "'minds'" in problem(post(api, f"{url}/restore"), 409)["detail"]
    rows.update(state="deleted", deleted_at=TAKEN, deleted_why="the last 5")
    for door in ("restore", "verify", "drill"):
        assert "the last 5" in problem(post(api, f"{url}/{door}"), 409)["detail"]
    assert Run.objects.count() == 1


def test_the_archive_of_an_agent_that_was_removed(api: APIClient, fleet: DoorFleet) -> None:
    agent_remove(agent=fleet.agent, actor=ACTOR)
    assert api.get(URL, {"agent": "lead"}).json()["results"][0]["id"] == fleet.ours.pk
    for door in ("restore", "drill"):
        assert "was removed" in problem(post(api, f"{URL}/{fleet.ours.pk}/{door}"), 409)["detail"]
    accepted(post(api, f"{URL}/{fleet.ours.pk}/verify"))


def test_it_is_not_restored_to_another_tenants_agent_of_the_same_name(api: APIClient, fleet: DoorFleet) -> None:
    agent_remove(agent=fleet.agent, actor=ACTOR)
    type(fleet.rival_agent).objects.filter(pk=fleet.rival_agent.pk).update(slug="lead")
    problem(post(api, f"{URL}/{fleet.ours.pk}/restore"), 409)
    problem(post(api, f"{URL}/{fleet.ours.pk}/drill"), 409)
    problem(post(api, URL, agent="lead", kind="workspace"), 400)
    assert not Run.objects.exists()


def test_a_backup_of_another_tenants_agent_is_refused_behind_the_door_too(fleet: DoorFleet) -> None:
    with pytest.raises(NotFound, match="no such agent"):
        backup_request(
            organisation=fleet.organisation, agent=fleet.rival_agent, kind="database", options={}, actor=ACTOR
        )


# -- deleting


def test_the_last_good_one_stays_and_the_others_go(api: APIClient, fleet: DoorFleet) -> None:
    url = f"{URL}/{fleet.ours.pk}"
    assert "last good archive" in problem(api.delete(url), 409)["detail"]
    same = {"source": fleet.ours.source, "schedule_name": "nightly"}
    unsure = row(fleet.organisation, fleet.agent, name="unsure.tar.gz", state="complete", **same)
    row(fleet.organisation, fleet.agent, source="/elsewhere")
    problem(api.delete(url), 409)  # neither one that was not verified nor one of another source stands in for it
    assert api.delete(f"{URL}/{unsure.pk}").status_code == 204
    newer = fleet.archive()
    gone = api.delete(url)
    assert (gone.status_code, gone.content) == (204, b"")
    assert not fleet.path(fleet.ours).exists()
    shown = api.get(url).json()
    assert shown["state"] == "deleted"
    assert shown["deleted_why"].startswith("deleted by backups:read")
    assert "deleted already" in problem(api.delete(url), 409)["detail"]
    entry = AuditEntry.objects.get(action="backup.delete", object_name=fleet.ours.name)
    assert (entry.actor_kind, entry.address, entry.organisation) == ("api_key", ADDRESS, fleet.organisation)
    assert "last good archive" in problem(api.delete(f"{URL}/{newer.pk}"), 409)["detail"]
    Backup.objects.filter(pk=newer.pk).update(state="damaged", problem="It is cut.")
    assert api.delete(f"{URL}/{newer.pk}").status_code == 204


def test_of_two_people_who_delete_the_last_two_good_ones_one_is_refused(fleet: DoorFleet) -> None:
    """On PostgreSQL they meet; SQLite lets one write after the other anyhow."""
    both, start, told = (fleet.ours, fleet.archive()), threading.Barrier(2), list[str]()

    def delete(backup: Backup) -> None:
        start.wait()
        while True:
            try:
                told.append(backup_discard(backup=backup, actor=ACTOR) or "deleted")
            except Conflict as refusal:
                told.append(str(refusal))
            except OperationalError:
                # The tests' SQLite is in memory, where the busy timeout does not count: "table is locked".
                connection.close()
                time.sleep(0.01)
                continue
            break
        connection.close()

    people = [threading.Thread(target=delete, args=(backup,)) for backup in both]
    for person in people:
        person.start()
    for person in people:
        person.join(30)
    assert "deleted" in told
    assert any("last good archive" in each for each in told)
    assert Backup.objects.of(fleet.organisation).good().count() == 1


def test_what_could_not_be_removed_yet_is_recorded_as_deleted(api: APIClient, fleet: DoorFleet) -> None:
    fleet.archive()
    path = fleet.path(fleet.ours)
    path.unlink()
    path.mkdir()  # what can't be deleted as a file
    assert api.delete(f"{URL}/{fleet.ours.pk}").status_code == 204
    assert Backup.objects.get(pk=fleet.ours.pk).state == "deleted"


# -- who may


@pytest.mark.parametrize(("method", "path", "scope"), DOORS)
def test_every_door_asks_who_is_there_and_names_the_scope(fleet: DoorFleet, method: str, path: str, scope: str) -> None:
    url = path.format(backup=fleet.ours.pk, restore=1)
    problem(getattr(APIClient(), method)(url), 401)
    others = [each for each in ALL if each != scope]
    assert scope in problem(getattr(client_of(fleet.organisation, *others), method)(url), 403)["detail"]


@pytest.mark.parametrize("door", [door for door in DOORS if "{" in door[1]])
def test_another_tenants_object_is_404(
    fleet: DoorFleet, api: APIClient, stranger: APIClient, door: tuple[str, str, str]
) -> None:
    method, path, scope = door
    restore = fleet.restored()
    for client in (stranger, client_of(fleet.rival, scope)):
        problem(getattr(client, method)(path.format(backup=fleet.ours.pk, restore=restore.pk)), 404)
    problem(getattr(api, method)(path.format(backup=fleet.theirs.pk, restore=10**30)), 404)
    fleet.ours.refresh_from_db()
    restore.refresh_from_db()
    assert (fleet.ours.state, restore.state, Run.objects.count()) == ("verified", "done", 0)


def test_lists_show_the_own_only(fleet: DoorFleet, stranger: APIClient) -> None:
    fleet.restored()
    assert [each["id"] for each in stranger.get(URL).json()["results"]] == [fleet.theirs.pk]
    assert stranger.get(URL, {"agent": "lead"}).json()["results"] == []
    assert stranger.get(RESTORES).json()["results"] == []
    assert stranger.get(RESTORES, {"backup": fleet.ours.pk}).json()["results"] == []


def test_a_number_in_a_payload_reaches_no_other_tenants_backup(fleet: DoorFleet) -> None:
    """A schedule may hold any payload: what its run finds is the run's tenant's alone."""
    from backups.executors.archive_verify import ArchiveVerify, VerifyPayload

    with pytest.raises(ExecutorError, match=f"no backup {fleet.ours.pk} here") as caught:
        ArchiveVerify().execute(VerifyPayload(backup=fleet.ours.pk), stranger_context(fleet))
    assert (caught.value.code, caught.value.retryable) == ("backup_missing", False)
    with pytest.raises(ExecutorError, match="no backup"):
        ArchiveVerify().execute(VerifyPayload(backup=10**30), stranger_context(fleet))


@pytest.mark.parametrize(
    ("role", "statuses"),
    [("viewer", (200, 403, 403, 403)), ("operator", (200, 202, 403, 403)), ("admin", (200, 202, 200, 409))],
)
def test_a_role_decides(fleet: DoorFleet, role: str, statuses: tuple[int, ...]) -> None:
    user = get_user_model().objects.create_user("ada", password="x")
    member_set(organisation=fleet.organisation, username="ada", role=role, actor=ACTOR)
    client = APIClient()
    client.force_login(user)
    restore = fleet.restored()
    answers = (
        client.get(URL),
        post(client, f"{URL}/{fleet.ours.pk}/restore"),
        post(client, f"{RESTORES}/{restore.pk}/confirm"),
        client.delete(f"{URL}/{fleet.ours.pk}"),
    )
    assert tuple(answer.status_code for answer in answers) == statuses


# -- the document


def test_the_document_has_every_door_and_is_valid() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    paths = json.loads(out.getvalue())["paths"]
    for method, path, _ in DOORS:
        operation = paths[path.replace("{backup}", "{id}").replace("{restore}", "{id}")][method]
        assert operation["summary"]
        assert {"400", "401", "403"} <= operation["responses"].keys()
    assert {"202", "404", "409"} <= paths["/api/v1/backups/{id}/restore"]["post"]["responses"].keys()
    assert "202" in paths["/api/v1/backups"]["post"]["responses"]
