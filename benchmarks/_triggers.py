"""How many due entries a second the peers' schedulers send, beside many that are not due."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

from _peers import Peer

if TYPE_CHECKING:
    from _place import Grounds

# django-celery-beat would take an hour for what is due: its rate is that of so many seconds.
SECONDS = 45


class Triggers:
    """Both peers, filled. Each ``round`` adds to what was measured."""

    def __init__(self, ground: Grounds, *, entries: int, due: int) -> None:
        self.entries, self.due = entries, due
        self.database = Peer(ground.folder, broker=ground.broker(3), database=ground.create_database("peer"))
        self.redbeat = Peer(ground.folder, broker=ground.broker(4))
        self.measured: dict[str, list[dict[str, float]]] = {"django-celery-beat": [], "RedBeat": []}
        self.database.run("-m", "django", "migrate", "-v", "0")
        self.database.run("entries.py", "fill", str(entries), str(due))

    def round(self) -> None:
        self._note("django-celery-beat", self.database.run("entries.py", "measure", str(SECONDS)))
        begun = time.monotonic()
        self.redbeat.flush()
        self.redbeat.run("redbeats.py", "fill", str(self.entries), str(self.due))
        print(f"  (RedBeat filled in {time.monotonic() - begun:.0f} s)", flush=True)
        self._note("RedBeat", self.redbeat.run("redbeats.py", "measure"))

    def middle(self, peer: str, of: str) -> float:
        return statistics.median(each[of] for each in self.measured[peer])

    def _note(self, peer: str, printed: str) -> None:
        measured: dict[str, float] = json.loads(printed)
        self.measured[peer].append(measured)
        shown = ", ".join(f"{name} {value:.1f}" for name, value in measured.items())
        print(f"  {peer}, {self.entries} entries: {shown}", flush=True)
