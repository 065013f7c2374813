"""A bare Celery task, for the benchmarks to stand beside."""

import time
from pathlib import Path

from celery import shared_task


@shared_task(name="witness.noop", ignore_result=True, acks_late=True)
def noop(trace: str) -> None:
    """Note when it started."""
    with Path(trace).open("a") as file:
        file.write(f"{time.time():.6f}\n")
