"""Every `manage.py` command that a document shows is one that works: run, in the order in which they are shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.processes import ROOT, Watch, watching

COMMAND = re.compile(r"^python manage\.py (.+)$", re.MULTILINE)
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def commands(document: Path) -> list[list[str]]:
    blocks = BLOCK.findall(document.read_text())
    lines = [line for block in blocks for line in COMMAND.findall(block.replace("\\\n", " "))]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def watch(tmp_path: Path, s3_env: Mapping[str, str]) -> Iterator[Watch]:
    from tests.servers import running_redis

    (tmp_path / "redis").mkdir()
    with (
        running_redis(tmp_path / "redis") as redis,
        watching(tmp_path, {"REDIS_URL": redis.url, "HOME": str(tmp_path), **s3_env}) as watch,
    ):
        assert watch.manage("bootstrap").returncode == 0
        watch.beat()
        watch.worker()
        watch.until(lambda: watch.manage("status").returncode == 0, every=1)
        yield watch


def test_the_commands_of_the_readme_work(watch: Watch) -> None:
    shown = commands(ROOT / "README.md")
    assert len(shown) >= 8
    for command in shown:
        done = watch.manage(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_the_commands_of_the_page_on_operations_work(watch: Watch) -> None:
    """The drain, which comes last, leaves no worker."""
    shown = commands(ROOT / "docs" / "operations.md")
    assert len(shown) >= 4
    for command in shown:
        done = watch.manage(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert watch.processes["worker"].wait(timeout=20) == 0


def test_the_commands_of_the_restore_runbook_work(watch: Watch) -> None:
    shown = commands(ROOT / "docs" / "backups.md")
    assert len(shown) >= 9
    for command in shown:
        done = watch.manage(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_every_document_that_is_linked_exists() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links {target}"


def test_every_test_that_a_document_names_exists() -> None:
    known = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        known |= set(re.findall(r"def (test_\w+)", path.read_text()))
    for document in (ROOT / "docs").glob("*.md"):
        named = set(re.findall(r"`(?:[\w/]*/)?(test_\w+)", document.read_text()))
        assert named <= known, f"{document.name}: {sorted(named - known)}"


def test_the_executor_that_the_documents_show_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    source = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "add-an-executor.md").read_text(), re.DOTALL)[0]
    path = tmp_path / "greeting.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("greeting", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from tests.run_context import FakeContext

    context = FakeContext(None)
    result = module.Greeting().execute(module.GreetingPayload(name="you"), context)
    assert result.summary == "greeted you"
