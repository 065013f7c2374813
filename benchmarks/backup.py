"""Backing up an agent's workspace of 1 GiB and bringing it back, beside tar, pigz, restic and borg."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from _backup_peers import Grounds, Missing, Peer, peers, sized
from _backup_timing import Job, Measured, measure
from _memory import children
from _report import Figure, report

ROOT = Path(__file__).resolve().parents[1]
OURS, CORPUS = Path(__file__).with_name("_backup_ours.py"), ROOT / "tests" / "tools" / "gen_corpus.py"
MB, SEED, ROUNDS, COPIES = 1024, 7, 3, 4
#: Restores go to memory: the disk here took three times as long in one run as in the next.
TMPFS = Path("/dev/shm")
#: Seconds for which a workspace must have been left alone, for its fingerprint to prove anything.
SETTLED = 3.0
GOAL_TAR, GOAL_RESTIC, GOAL_S3, GOAL_RESTORE, GOAL_UNCHANGED, GOAL_MB = 0.15, 1.0, 1.3, 0.7, 0.4, 150.0
CREATE, STREAM, RESTORE, UNCHANGED, VERIFY = "create", "stream", "restore", "unchanged", "verify"
STEPS = (CREATE, UNCHANGED, VERIFY, RESTORE)

#: Of each side, by what it did.
Measures = dict[tuple[str, str], list[Measured]]


@dataclass(frozen=True, kw_only=True)
class Server:
    """An S3 server of this run."""

    pid: int
    settings: dict[str, Any]
    folder: Path

    def forget(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.unlink()


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="bench-backup-") as name, tempfile.TemporaryDirectory(dir=TMPFS) as target:
        folder = Path(name)
        corpus = Path(arguments.corpus) if arguments.corpus else generated(folder / "corpus", arguments.mb)
        grounds = Grounds(corpus=corpus, folder=folder, target=Path(target) / "restored")
        others, missing = peers(grounds)
        for told in [
            *(f"{peer.name}: {peer.version}" for peer in others),
            *(f"left out: {each.reason}" for each in missing),
        ]:
            print(f"  {told}", flush=True)
        with serving(folder / "s3") as server:
            measures = measured(grounds, server, others, arguments.rounds)
            peaks = memory(grounds, server, measures, arguments.copies)
        sizes = {peer.name: sized(peer.store) for peer in others}
    figures = [*speed(measures, missing), *size_figures(measures, sizes), *peaks]
    defaults = (arguments.mb, arguments.rounds, arguments.copies) == (MB, ROUNDS, COPIES)
    report("backup", figures, write=defaults)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=MB, help="size of the workspace")
    parser.add_argument("--corpus", help="a workspace that gen_corpus.py made already, with this size and seed 7")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--copies", type=int, default=COPIES, help="copies of it that make the large one; 0: none")
    return parser.parse_args()


def generated(path: Path, megabytes: int) -> Path:
    print(f"  making a workspace of {megabytes} MiB ...", flush=True)
    command = [sys.executable, str(CORPUS), str(path), "--mb", str(megabytes), "--seed", str(SEED)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    time.sleep(SETTLED)
    return path


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """rclone's: real files on disk, real signatures."""
    sys.path.insert(0, str(ROOT))
    from tests.s3_servers import rclone_server

    folder.mkdir()
    before = set(children(os.getpid()))
    with rclone_server(folder) as settings:
        (pid,) = set(children(os.getpid())) - before
        yield Server(pid=pid, settings=asdict(settings), folder=folder)


# -- measuring


def measured(grounds: Grounds, server: Server, others: list[Peer], rounds: int) -> Measures:
    """All sides in turn, round by round."""
    found: Measures = {}
    for number in range(1, rounds + 1):
        last = ours(grounds, server)
        for peer in others:
            last |= {(peer.name, step): measure(job) for step in STEPS if (job := getattr(peer, step))}
        for key, each in last.items():
            found.setdefault(key, []).append(each)
        print(f"round {number}: {told(last)}", flush=True)
    return found


def told(measures: dict[tuple[str, str], Measured]) -> str:
    return "; ".join(
        f"{side} {step} {each.seconds:.2f} s, CPU {each.cpu:.2f}"
        + (f" and the server's {each.server_cpu:.2f}" if each.server_cpu else "")
        + f" (others {each.others:.0%})"
        for (side, step), each in measures.items()
    )


def ours(grounds: Grounds, server: Server) -> dict[tuple[str, str], Measured]:
    store = grounds.folder / "store"
    made = measure(job(CREATE, grounds.corpus, partial(emptied, store), source=grounds.corpus, folder=store))
    archive = json.loads(made.output)
    where: dict[str, Any] = {"folder": store, "name": archive["name"]}
    same = measure(job(UNCHANGED, grounds.corpus, source=grounds.corpus, fingerprint=archive["fingerprint"]))
    assert json.loads(same.output)["same"]
    verified = measure(job(VERIFY, store, **where))
    restored = measure(job(RESTORE, store, grounds.empty_target, **where, target=grounds.target))
    streamed = measure(
        job(CREATE, grounds.corpus, server.forget, source=grounds.corpus, s3=server.settings), server=server.pid
    )
    server.forget()
    found = {CREATE: made, STREAM: streamed, UNCHANGED: same, VERIFY: verified, RESTORE: restored}
    return {("ours", step): each for step, each in found.items()}


def emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def job(task: str, reads: Path, before: Any = lambda: None, **arguments: Any) -> Job:
    """A task of ``_backup_ours``, in a process of its own whose start counts."""
    return Job(
        command=[sys.executable, str(OURS), task, json.dumps(arguments, default=str)], reads=reads, before=before
    )


def memory(grounds: Grounds, server: Server, measures: Measures, copies: int) -> list[Figure]:
    """Peaks of the 1 GiB are those of the rounds; a tenth of it and a multiple are each measured once."""
    rows = {"1 GiB": {step: max(map(peak, some)) for (side, step), some in measures.items() if side == "ours"}}
    small = generated(grounds.folder / "small", MB // 10)
    rows["0.1 GiB"] = once(small, grounds, server)
    if copies:
        rows[f"{copies} GiB"] = once(copied(grounds, copies), grounds, server)
    return [
        Figure(f"peak memory, {step}, {size}, MB", value, "", 0, f"<= {GOAL_MB}", met=value <= GOAL_MB)
        for size, row in sorted(rows.items(), key=lambda item: float(item[0].split()[0]))
        for step, value in row.items()
    ]


def once(corpus: Path, grounds: Grounds, server: Server) -> dict[str, float]:
    there = Grounds(corpus=corpus, folder=grounds.folder / "once", target=grounds.target)
    emptied(there.folder)
    found = {step: peak(each) for (_, step), each in ours(there, server).items()}
    shutil.rmtree(there.folder)
    return found


def copied(grounds: Grounds, copies: int) -> Path:
    into = grounds.folder / "copies"
    into.mkdir()
    for number in range(copies):
        subprocess.run(["cp", "-a", str(grounds.corpus), str(into / str(number))], check=True)
    time.sleep(SETTLED)
    return into


def peak(each: Measured) -> float:
    return float(json.loads(each.output)["peak_mb"])


# -- reporting


def speed(measures: Measures, missing: list[Missing]) -> Iterator[Figure]:
    goals = {
        (CREATE, "tar czf, tar xzf"): GOAL_TAR,
        (CREATE, "restic"): GOAL_RESTIC,
        (RESTORE, "tar czf, tar xzf"): GOAL_RESTORE,
        (UNCHANGED, "restic"): GOAL_UNCHANGED,
    }
    for side, step in measures:
        if side != "ours":
            yield beside(measures, step, side, goals.get((step, side)))
    local, streamed = seconds(measures, "ours", CREATE), seconds(measures, "ours", STREAM)
    ratio = streamed / local
    name = "streamed into S3 (rclone on the same cores), s"
    yield Figure(name, streamed, "creating it locally", local, f"ratio <= {GOAL_S3}", met=ratio <= GOAL_S3)
    cpu, served = (
        median(values)
        for values in zip(*((each.cpu, each.server_cpu) for each in measures["ours", STREAM]), strict=True)
    )
    yield Figure("of it CPU of rclone, s", served, "CPU of ours", cpu, "none", met=True)
    for each in missing:
        yield Figure(f"{each.name} is left out: {each.reason}", 0, "", 0, "none", met=True)


def beside(measures: Measures, step: str, peer: str, goal: float | None) -> Figure:
    own, other = seconds(measures, "ours", step), seconds(measures, peer, step)
    name = {RESTORE: "restore + verification to tmpfs, s", UNCHANGED: "unchanged workspace noticed, s"}.get(
        step, f"{step}, s"
    )
    return Figure(
        name, own, peer, other, f"ratio <= {goal}" if goal else "none", met=goal is None or own <= goal * other
    )


def seconds(measures: Measures, side: str, step: str) -> float:
    return median(each.seconds for each in measures[side, step])


def size_figures(measures: Measures, sizes: dict[str, int]) -> Iterator[Figure]:
    own = json.loads(measures["ours", CREATE][-1].output)["size"] / 1e6
    for peer, size in sizes.items():
        yield Figure("size of the backup, MB", own, peer, size / 1e6, "none", met=True)


if __name__ == "__main__":
    main()
