"""The file of the tiers: refused at start with its path, what it holds and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "holds None: give it the `storage` of docs/backups.md"),
        ("- hot\n", "holds ['hot']: give it"),
        ("backup: {}\n", "has no `storage` at its top"),
        ("storage: 5\n", "can't be used: storage is 5: give a mapping of hot, warm, cold."),
        ("storage: {hot: {path: x}}\n", "storage.hot.path is 'x': give an absolute folder"),
        ("storage: [\n", "can't be used: "),
    ],
)
def test_what_makes_no_sense_is_refused(
    content: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "storage.yaml"
    file.write_text(content)
    monkeypatch.setenv("BACKUP_STORAGE_FILE", str(file))
    with pytest.raises(ImproperlyConfigured) as refused:
        env.watchbill()
    assert str(refused.value).startswith(f"BACKUP_STORAGE_FILE: {file} ")
    assert text in str(refused.value)
