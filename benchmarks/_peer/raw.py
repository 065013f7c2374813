"""Celery as it comes, without Django: late ack, no result."""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("raw", broker=os.environ["PEER_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_default_queue=os.environ["PEER_QUEUE"],
)


@app.task(name="peer.noop")
def noop() -> None:
    """Nothing."""


@app.task(name="peer.trace")
def trace(path: str) -> None:
    """Note when it started."""
    with Path(path).open("a") as file:
        file.write(f"{time.time():.6f}\n")
