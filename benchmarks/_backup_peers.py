"""The other ways to back up a folder and to bring it back, as the jobs of a benchmark."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from _backup_timing import Job

_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """``unchanged`` and ``verify``: None where the peer has no such thing. ``store`` is where its backup lies."""

    name: str
    store: Path
    create: Job
    restore: Job
    unchanged: Job | None = None
    verify: Job | None = None
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Missing:
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """``target``: a folder on tmpfs that is emptied before each restore."""

    corpus: Path
    folder: Path
    target: Path

    def empty_target(self) -> None:
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir()


def peers(grounds: Grounds) -> tuple[list[Peer], list[Missing]]:
    """Those whose program is on PATH, and those that are left out."""
    makers = {"tar": _tar, "pigz": _pigz, "restic": _restic, "borg": _borg}
    missing = [
        Missing(name=name, reason=f"{name} is not on PATH (Debian: apt-get install restic borgbackup pigz)")
        for name in makers
        if not shutil.which(name)
    ]
    return [make(grounds) for name, make in makers.items() if shutil.which(name)], missing


def sized(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(each.stat().st_size for each in _files(path))


def _files(path: Path) -> Iterator[Path]:
    return (each for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file())


def _version(command: str) -> str:
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]


def _tar(grounds: Grounds) -> Peer:
    store, corpus, target = grounds.folder / "tar.tar.gz", str(grounds.corpus), str(grounds.target)
    return Peer(
        name="tar czf, tar xzf",
        store=store,
        create=Job(
            command=["tar", "czf", str(store), "-C", corpus, "."],
            reads=grounds.corpus,
            before=partial(store.unlink, missing_ok=True),
        ),
        restore=Job(command=["tar", "xzf", str(store), "-C", target], reads=store, before=grounds.empty_target),
        version=_version("tar"),
    )


def _pigz(grounds: Grounds) -> Peer:
    store = grounds.folder / "pigz.tar.gz"
    return Peer(
        name="tar | pigz, pigz -d | tar",
        store=store,
        create=Job(
            command=["sh", "-c", 'tar cf - -C "$0" . | pigz > "$1"', str(grounds.corpus), str(store)],
            reads=grounds.corpus,
            before=partial(store.unlink, missing_ok=True),
        ),
        restore=Job(
            command=["sh", "-c", 'pigz -dc "$0" | tar xf - -C "$1"', str(store), str(grounds.target)],
            reads=store,
            before=grounds.empty_target,
        ),
        version=_version("pigz"),
    )


@dataclass(frozen=True, kw_only=True)
class _Repository:
    """A peer that keeps its backups in a repository, which is made anew before each first backup."""

    store: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def renew(self, *command: str) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        self.store.mkdir()
        environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", **self.environment}
        subprocess.run(command, env=environment, check=True, capture_output=True)


def _restic(grounds: Grounds) -> Peer:
    store = grounds.folder / "restic"
    environment = {
        "RESTIC_REPOSITORY": str(store / "repository"),
        "RESTIC_PASSWORD": "benchmark",
        "RESTIC_CACHE_DIR": str(store / "cache"),
    }
    repository = _Repository(store=store, environment=environment)
    again = Job(
        command=["restic", "backup", "--quiet", "."], reads=grounds.corpus, environment=environment, cwd=grounds.corpus
    )
    return Peer(
        name="restic",
        store=store / "repository",
        create=_with(again, before=partial(repository.renew, "restic", "init")),
        unchanged=again,
        verify=Job(command=["restic", "check", "--quiet", "--read-data"], reads=store, environment=environment),
        restore=Job(
            command=["restic", "restore", "--quiet", "latest", "--target", str(grounds.target)],
            reads=store,
            before=grounds.empty_target,
            environment=environment,
        ),
        version=subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.strip(),
    )


def _borg(grounds: Grounds) -> Peer:
    store = grounds.folder / "borg"
    environment = {
        "BORG_REPO": str(store / "repository"),
        "BORG_BASE_DIR": str(store / "base"),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    }
    repository = _Repository(store=store, environment=environment)
    again = Job(
        command=["borg", "create", "--compression", "lz4", "::{utcnow:%Y%m%d%H%M%S%f}", "."],
        reads=grounds.corpus,
        environment=environment,
        cwd=grounds.corpus,
    )
    newest = 'borg extract "::$(borg list --short --last 1)"'
    return Peer(
        name="borg, lz4",
        store=store / "repository",
        create=_with(again, before=partial(repository.renew, "borg", "init", "--encryption", "none")),
        unchanged=again,
        verify=Job(command=["borg", "check", "--verify-data"], reads=store, environment=environment),
        restore=Job(
            command=["sh", "-c", newest],
            reads=store,
            before=grounds.empty_target,
            environment=environment,
            cwd=grounds.target,
        ),
        version=_version("borg"),
    )


def _with(job: Job, *, before: partial[None]) -> Job:
    return Job(command=job.command, reads=job.reads, before=before, environment=job.environment, cwd=job.cwd)
