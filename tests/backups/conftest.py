from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.archive.settings import S3Settings
from tests.run_context import FakeContext, agent_view


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A small workspace with one of everything that an agent may have."""
    folder = tmp_path / "agent" / "workspace"
    (folder / "notes" / "empty").mkdir(parents=True)
    (folder / "notes" / "今日.md").write_text("夜班\n", encoding="utf-8")
    (folder / "run.sh").write_text("#!/bin/sh\necho hi\n")
    (folder / "run.sh").chmod(0o750)
    (folder / "zero").touch()
    os.link(folder / "run.sh", folder / "run-again.sh")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    (folder / "bin" / "up").symlink_to("../notes")
    (folder / "notes").chmod(0o755)
    os.utime(folder / "zero", (1_700_000_000, 1_700_000_000))
    os.utime(folder / "notes" / "empty", (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture
def watch(tmp_path: Path, settings: Any) -> SimpleNamespace:
    """The settings, to be changed."""
    real = {field.name: getattr(settings.WATCHBILL, field.name) for field in fields(settings.WATCHBILL)}
    watch = SimpleNamespace(**real | {"docker_host": "", "s3": S3Settings(), "backup_root": tmp_path / "backups"})
    settings.WATCHBILL = watch
    return watch


@pytest.fixture
def context(workspace: Path, transactional_db: None) -> FakeContext:
    """A run of an agent that has a workspace and a state folder."""
    from fleet.models import Agent, Organisation

    state = workspace.parent / "state"
    state.mkdir()
    organisation = Organisation.objects.create(slug="acme", name="Acme")
    folders = {"workspace_folder": str(workspace), "state_folder": str(state)}
    agent = Agent.objects.create(organisation=organisation, slug="lead", **folders)
    context = FakeContext(agent_view(id=agent.pk, container_name="", **folders))
    context.organisation_id = organisation.pk
    return context
