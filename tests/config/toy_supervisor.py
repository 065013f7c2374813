"""A supervisor over toy children, run as a process of its own: ``toy_supervisor.py FOLDER NAME=STAGE=KIND…``.

KIND: ``stays`` ends on SIGTERM; ``stubborn`` ignores it; ``fails`` ends at once; ``parent`` has a child.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from signal import SIGTERM

from config.watch.child import MARKER, Child
from config.watch.errors import LaunchError, StopAsked
from config.watch.supervisor import Supervisor
from config.watch.terminal import complain, say
from config.watch.wakeup import Wakeup

CHILD = """
import os, pathlib, signal, subprocess, sys, time
folder, name, kind = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def note(text):
    with open(folder / "notes", "a") as file: file.write(text + "\\n")
def end(number, frame):
    note(f"ended {name}"); sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "stubborn" else end)
if kind == "parent":
    inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / f"{name}-inner.pid").write_text(str(inner.pid))
(folder / f"{name}.pid").write_text(str(os.getpid()))
note(f"started {name}")
if kind == "fails": sys.exit("no reason at all")
while True: time.sleep(1)
"""


def toy(folder: Path, name: str, stage: str, kind: str) -> Child:
    return Child(
        name=name,
        argv=(sys.executable, "-c", CHILD, str(folder), name, kind),
        env={**os.environ, MARKER: str(folder)},
        cwd=folder,
        log=folder / f"{name}.log",
        stops=((SIGTERM, 1.0),),
        stage=int(stage),
    )


def main() -> int:
    folder = Path(sys.argv[1])
    supervisor = Supervisor(Wakeup(), settled_seconds=0.5, first_wait=0.1)
    try:
        for text in sys.argv[2:]:
            supervisor.start(toy(folder, *text.split("=")))
        say("tending")
        supervisor.tend()
    except StopAsked:
        say("stopping")
    except LaunchError as error:
        complain(str(error))
        return 1
    finally:
        supervisor.stop_all()
    say("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
