"""What every benchmark prints and writes: a table, and benchmarks/results/NAME.json."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass
class Figure:
    """One measured thing; ``peer`` is empty where nothing stands beside it."""

    name: str
    ours: float
    peer: str
    peer_value: float
    goal: str
    met: bool

    @property
    def ratio(self) -> float | None:
        return round(self.ours / self.peer_value, 3) if self.peer_value else None


def report(name: str, figures: list[Figure], *, write: bool = True) -> None:
    """Print the table, the missed goals first, and write the JSON, unless it was tried with other sizes."""
    figures = sorted(figures, key=lambda figure: figure.met)
    for figure in figures:
        beside = f"  {figure.peer} {figure.peer_value:.2f}, ratio {figure.ratio}" if figure.peer else ""
        print(f"{'met   ' if figure.met else 'MISSED'}  {figure.name}: {figure.ours:.2f}{beside}  (goal {figure.goal})")
    if not write:
        print("Tried with other sizes or rounds: nothing was written.")
        return
    RESULTS.mkdir(exist_ok=True)
    rows = [vars(figure) | {"ratio": figure.ratio} for figure in figures]
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine, "figures": rows}, indent=2) + "\n")
