"""Running a command in this process as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Manage = Callable[..., Answer]


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str]) -> Manage:
    """``manage("job", "ls")``."""
    from django.core.management import execute_from_command_line

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        code = 0
        try:
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run
