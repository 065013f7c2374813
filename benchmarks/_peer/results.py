"""Celery in a Django project with the django-db result backend, which stores a row for each task."""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("results", broker=os.environ["PEER_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=False,
    result_backend="django-db",
    worker_prefetch_multiplier=1,
    task_default_queue=os.environ["PEER_QUEUE"],
)


@app.task(name="peer.noop")
def noop() -> None:
    """Nothing, whose result is kept."""


@app.task(name="peer.trace")
def trace(path: str) -> None:
    """Note when it started."""
    with Path(path).open("a") as file:
        file.write(f"{time.time():.6f}\n")
