"""A project with the real launcher and toy Django parts: the whole of `make run` within two seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import config.watch

MANAGE = """
import json, os, pathlib, sys
data = pathlib.Path(os.environ["WATCHBILL_DATA"])
if sys.argv[1] == "migrate" and os.environ.get("TOY_MIGRATE_FAILS"):
    sys.exit("no such table: everything")
if sys.argv[1] == "bootstrap":
    first = not (data / "bootstrapped").exists()
    (data / "bootstrapped").touch()
    admin = {"username": "admin", "password": "pa55-w0rd" if first else None}
    print("a library's chatter")
    print(json.dumps({"admin": admin, "organisation": "main", "agent": "demo"}))
"""

ASGI = """
async def application(scope, receive, send):
    body = b'{"status":"ok","timestamp":1}'
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"29")]})
    await send({"type": "http.response.body", "body": body})
"""

CELERY = """
import os, pathlib, signal, sys, time
name = next(word for word in ("beat", "worker", "flower") if word in sys.argv)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
path = pathlib.Path(os.environ["WATCHBILL_DATA"]) / f"{name}.pid"
path.write_text(str(os.getpid()))
(path.with_suffix(".argv")).write_text(" ".join(sys.argv))
while True: time.sleep(1)
"""


def make(folder: Path) -> Path:
    package = folder / "config"
    shutil.copytree(Path(config.watch.__file__).parent, package / "watch", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").touch()
    (package / "asgi.py").write_text(ASGI)
    (folder / "manage.py").write_text(MANAGE)
    (folder / "celery.py").write_text(CELERY)  # found before the library by `python -m`
    return folder
