"""docs/import-and-export.md shows what the commands really answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleet.actors import Actor
from fleet.models import Organisation
from fleet.services.agents import agent_create
from schedules.exchange import JobDocument
from schedules.models import Schedule
from tests.console import Manage

pytestmark = pytest.mark.usefixtures("redis_down")
DOCUMENT = (Path(__file__).parents[3] / "docs" / "import-and-export.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(autouse=True)
def organisation(transactional_db: None) -> None:
    organisation = Organisation.objects.create(slug="main", name="Main")
    agent_create(organisation=organisation, slug="agent", container_name="agent", actor=Actor.command("test"))


def test_the_crontabs_are_answered_as_shown(manage: Manage, tmp_path: Path) -> None:
    wrong, right = blocks("crontab")
    (tmp_path / "agent.crontab").write_text(wrong)
    assert manage("job", "import", str(tmp_path / "agent.crontab")).err == blocks("text")[0]
    (tmp_path / "agent.crontab").write_text(right)
    assert manage("job", "import", str(tmp_path / "agent.crontab")).code == 0
    assert list(Schedule.objects.values_list("name", flat=True)) == ["agent-s3-backup", "agent-s3-check"]


def test_the_yaml_is_applied_as_shown_and_exported_the_same(manage: Manage, tmp_path: Path) -> None:
    (shown,) = blocks("yaml")
    file = tmp_path / "jobs.yaml"
    file.write_text(shown)
    assert manage("job", "apply", str(file)).out == blocks("text")[1]
    assert manage("job", "export").out == shown
    file.write_text(re.sub(r"    enabled: false\n.*\n", "", shown.replace("0 2 * * *", "0 3 * * *")))
    assert manage("job", "apply", str(file)).out == blocks("text")[2]


def test_every_field_is_named() -> None:
    assert set(JobDocument.model_fields) - {"name"} <= set(re.findall(r"`(\w+)`", DOCUMENT))
