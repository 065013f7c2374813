"""The peers, in an environment of their own: made once by ``peers.txt``, started as processes from ``_peer/``."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIST, FOLDER, PROJECT = HERE / "peers.txt", HERE / ".peers", HERE / "_peer"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", str(LIST))


def environment() -> str:
    """The peers' Python, with exactly the packages that ``peers.txt`` names now."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".made"
    wanted = hashlib.sha256(LIST.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"  installing the peers into {FOLDER.relative_to(HERE.parent)} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        subprocess.run([str(python), *PIP], check=True)
        stamp.write_text(wanted)
    return str(python)


class Peer:
    """The peers' project on a broker and, where it needs one, a database. Every process is ended by its own id."""

    def __init__(self, folder: Path, *, broker: str, database: str = "", queue: str = "peer") -> None:
        self.folder, self.python = folder, environment()
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PROJECT),
            "PYTHONPYCACHEPREFIX": str(FOLDER / "compiled"),
            "PEER_BROKER": broker,
            "PEER_QUEUE": queue,
        }
        if database:  # Celery takes a project with this variable for one of Django's
            self.environment |= {"DJANGO_SETTINGS_MODULE": "peer_settings", "PEER_DATABASE": database}

    def flush(self) -> None:
        """Empty its number of Redis."""
        from redis import Redis

        Redis.from_url(self.environment["PEER_BROKER"]).flushdb()

    def run(self, *arguments: str) -> str:
        """What it printed."""
        done = subprocess.run(
            [self.python, *arguments], cwd=PROJECT, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def start(self, name: str, *arguments: str) -> subprocess.Popen[Any]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [self.python, *arguments], cwd=PROJECT, env=self.environment, stdout=log, stderr=log
            )

    def worker(self, app: str, *, slots: int) -> subprocess.Popen[Any]:
        """As the product starts its own."""
        return self.start(
            f"peer-{app}", "-m", "celery", "-A", app, "worker", "--pool", "prefork", "-c", str(slots),
            "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "-n", f"{app}@%h",
        )  # fmt: skip
