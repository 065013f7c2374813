"""What stands before every app: health, content security policy, boot checks, refusals of wrong settings."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from tests.processes import ROOT


def test_health_is_what_outside_monitors_look_for(client: Client) -> None:
    response = client.get("/health")
    assert re.fullmatch(rb'\{"status":"ok","timestamp":\d{13}\}', response.content)
    assert response.headers["Content-Type"] == "application/json"


def test_the_policy_is_strict_but_where_third_parties_can_not_live_with_it(client: Client, db: None) -> None:
    strict = client.get("/health").headers["Content-Security-Policy"]
    assert "unsafe" not in strict
    assert "default-src 'none'" in strict
    assert "unsafe-inline" in client.get("/admin/login/").headers["Content-Security-Policy"]
    assert "unsafe-inline" in client.get("/api/docs").headers["Content-Security-Policy"]


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # nothing connects in this test
def test_boot_checks_name_what_is_wrong(settings: Any) -> None:
    from config import checks

    assert checks.check_redis_url() == checks.check_leases() == checks.check_secret_key() == []
    settings.WATCHBILL = dataclasses.replace(
        settings.WATCHBILL, redis_url="amqp://host", lease_seconds=5, heartbeat_seconds=3
    )
    assert [each.id for each in checks.check_redis_url()] == ["watchbill.E002"]
    assert [each.id for each in checks.check_leases()] == ["watchbill.E005"]
    settings.SECRET_KEY_IS_RANDOM = True
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}
    assert [each.id for each in checks.check_secret_key()] == ["watchbill.E001"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "DATABASE_URL names no database"),
        ("mysql://u:sekret@h/db", "DATABASE_URL names no database"),
        ("postgres://u:sekret@127.0.0.1:1/db", "The database can't be used"),
        ("sqlite:////nonexistent/folder/db.sqlite3", "The database can't be used"),
    ],
)
def test_a_database_that_can_not_be_used_is_one_line(url: str, said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput"],
        cwd=ROOT,
        env=environment | {"DATABASE_URL": url, "SECRET_KEY": "for-this-test"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "sekret" not in done.stderr


@pytest.mark.parametrize(("lease", "found"), [(10.0, ["watchbill.E005"]), (12.0, ["watchbill.W001"]), (15.0, [])])
def test_a_lease_has_to_outlast_its_heartbeats(settings: Any, lease: float, found: list[str]) -> None:
    from config import checks

    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, lease_seconds=lease, heartbeat_seconds=5.0)
    assert [each.id for each in checks.check_leases()] == found
