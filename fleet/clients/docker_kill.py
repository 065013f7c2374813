"""Ending what runs inside a container: the Docker API can start an exec but not kill one.

Each exec carries a random token in its environment, which its children inherit. A small script in the
same container looks the token up in ``/proc`` and signals what it finds. Where the container has no shell,
the same is done from outside, if its processes are visible here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from pathlib import Path

TOKEN_VARIABLE = "WATCHBILL_EXEC"  # noqa: S105 - the name of it
#: Linux knows none above 4,194,304.
_PID_DIGITS = 7

#: Arguments: the token's assignment, a signal (0: only look), and process ids that are known to belong to it.
#: A process belongs to it when its environment says so, or its parent or the leader of its session does: the
#: environment of another user's process is hidden even from root in a container, ancestry is not.
#: Only built-ins, ``cat`` and ``kill``; nothing of it is made from a user's text.
SCRIPT = r"""
want=$1; signal=$2; shift 2; hit=" $* "; more=1
while [ -n "$more" ]; do
  more=
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    case $hit in *" $pid "*) continue;; esac
    status=$(cat "$entry/stat" 2>/dev/null) || continue
    set -- ${status##*) }
    [ "$1" = Z ] && continue
    case $hit in *" $2 "*|*" $4 "*) ;; *)
      case "$(cat "$entry/environ" 2>/dev/null)" in *"$want"*) ;; *) continue;; esac;;
    esac
    hit="$hit$pid "; more=1
  done
done 2>/dev/null
for pid in $hit; do
  status=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
  set -- ${status##*) }
  [ "$1" = Z ] && continue
  [ "$signal" = 0 ] || kill -s "$signal" "$pid" 2>/dev/null
  echo "$pid"
done
"""


def new_token() -> str:
    return secrets.token_hex(16)


def script_argv(token: str, signal_name: str, pids: tuple[int, ...] = ()) -> list[str]:
    """``signal_name`` without SIG, or ``0``."""
    wanted = f"{TOKEN_VARIABLE}={token}"
    return ["sh", "-c", SCRIPT, "watchbill-kill", wanted, signal_name, *map(str, pids)]


def parse_pids(output: bytes) -> tuple[int, ...]:
    """What a container's shell answered; anything may stand there."""
    return tuple(int(word) for word in output.split() if len(word) <= _PID_DIGITS and word.isdigit())


def signal_from_outside(token: str, number: int) -> bool:
    """Signal every process of this host that carries the token; True when one was seen.

    Through a descriptor of the process: its id may have passed on to another between look and signal.
    """
    seen = False
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(int(entry.name))
            try:
                if _carries(entry, token):
                    seen = True
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
    return seen


def _carries(entry: Path, token: str) -> bool:
    return f"{TOKEN_VARIABLE}={token}".encode() in (entry / "environ").read_bytes().split(b"\0")
