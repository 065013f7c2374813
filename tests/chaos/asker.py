"""People who press "run now" all along, through the web's API, and cancel now and then."""

from __future__ import annotations

import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

_SECONDS = 8.0
# What is asked for, how often, and in which organisation.
_CHOICES = (("a-asked", "alpha", 6), ("b-asked", "beta", 4), ("g-asked", "gamma", 8), ("g-long", "gamma", 2))


class Asker:
    """A thread that asks. ``accepted``: the runs that the web said it took."""

    def __init__(self, url: str, keys: Mapping[str, str], seed: int) -> None:
        self._url, self._keys, self._dice = url, keys, random.Random(seed)
        self.accepted: list[str] = []
        self.refused = 0
        self.cancelled = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="asker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(timeout=2 * _SECONDS)

    def _loop(self) -> None:
        while not self._end.wait(self._dice.uniform(0.3, 1.2)):
            name, organisation, _ = self._dice.choices(_CHOICES, weights=[each[2] for each in _CHOICES])[0]
            run = self._post(f"schedules/{name}/run-now", organisation)
            if run is None:
                self.refused += 1
                continue
            self.accepted.append(run)
            if self._dice.random() < 0.1 and self._post(f"schedule-runs/{run}/cancel", organisation):
                self.cancelled += 1

    def _post(self, path: str, organisation: str) -> str | None:
        """The run that the answer names; None for any other answer, and for none: then nobody knows."""
        headers = {"Authorization": f"Bearer {self._keys[organisation]}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/api/v1/{path}", b"{}", headers)  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return str(json.load(answer)["job_run_id"])
        except (urllib.error.URLError, HTTPException, OSError, ValueError, KeyError):
            return None
