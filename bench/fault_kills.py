"""Faults of processes: runs and local workers that are killed or stopped, and runs that race."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from fault_lab import Lab, Outcome, Running, n_trained, stored

AT_A_TIME = 5  # faults on one store before it is finished


def interrupted(lab: Lab, rng: np.random.Generator, n: int, number: int, network: bool = False) -> Outcome:
    """End a run by a signal at random instants, again and again, and finish it."""
    out, before, n_hit, n_partial = lab.folder(), {}, 0, 0
    for _ in range(min(n, AT_A_TIME)):
        run = lab.start(out, network=network)
        time.sleep(rng.uniform(0.2, lab.seconds))
        hit = run.kill(number)
        code, said = run.end()
        assert code in ((-number, 2, 128 + number) if hit else (0,)) or (hit and code == 0), said
        before = lab.check_part(out, before)
        n_hit += hit
        n_partial += hit and 0 < len(before) < len(lab.members)
        if not hit:  # it was finished
            break
    trained = lab.finish(out, network=network)
    return Outcome(n_hit, len(before) + trained - len(lab.members), {"amid training": n_partial})


def kill(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """`kill -9` of the run"""
    return interrupted(lab, rng, n, signal.SIGKILL)


def terminate(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """SIGTERM of the run"""
    return interrupted(lab, rng, n, signal.SIGTERM)


def interrupt(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """SIGINT, as by Ctrl-C"""
    return interrupted(lab, rng, n, signal.SIGINT)


def network_kill(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """`kill -9` of the run on a file system without locks"""
    return interrupted(lab, rng, n, signal.SIGKILL, network=True)


def workers_run_killed(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """`kill -9` of a run with workers, which must end with it"""
    out = lab.folder()
    run = lab.start(out, "--workers", "2")
    began = time.monotonic()
    while run.is_alive() and len(run.workers()) < 2 and time.monotonic() - began < 60:
        time.sleep(0.05)
    time.sleep(rng.uniform(0, lab.seconds))
    workers = run.workers()
    hit = run.kill()
    run.end()
    deadline = time.monotonic() + 20
    while (left := [pid for pid in workers if os.path.exists(f"/proc/{pid}")]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"workers outlive their run: {left}"
    before = lab.check_part(out, {})
    return Outcome(int(hit), len(before) + lab.finish(out) - len(lab.members))


def kill_workers(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """`kill -9` of local workers while they start or train"""
    out, n_hit, last = lab.folder(), 0, -1
    run = lab.start(out, "--workers", "2")
    while run.is_alive() and n_hit < min(n, 3):
        workers, n_stored = run.workers(), len(stored(out))
        if workers and n_stored > last:  # a run gives up if workers die again and again without a finished batch
            time.sleep(rng.uniform(0.0, 1.0))
            try:
                os.kill(workers[rng.integers(len(workers))], signal.SIGKILL)
            except ProcessLookupError:
                continue
            n_hit, last = n_hit + 1, n_stored
        time.sleep(0.05)
    code, said = run.end()
    assert code == 0, said
    lab.check(out)
    return Outcome(n_hit, n_trained(said) - len(lab.members))


def _share(lab: Lab, out: Path, runs: list[Running], n_before: int = 0) -> int:
    """Wait for runs of one store; return the number of members trained more than once."""
    ended = [run.end() for run in runs]
    for code, said in ended:
        assert code == 0, said
    lab.check(out)
    return sum(n_trained(said) for _, said in ended) + n_before - len(lab.members)


def stop(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """SIGSTOP of a run for some seconds, while another trains on the same store, then SIGCONT"""
    out = lab.folder()
    runs = [lab.start(out), lab.start(out)]
    lab.wait(runs[0], out)
    time.sleep(rng.uniform(0.0, lab.seconds / 4))
    hit = runs[0].kill(signal.SIGSTOP)
    time.sleep(rng.uniform(1.0, 5.0))
    runs[0].kill(signal.SIGCONT)
    return Outcome(int(hit), _share(lab, out, runs))


def lapse(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """SIGSTOP of a run until its reservations have lapsed: what it was training is trained twice, to the same bits"""
    out = lab.folder()
    runs = [lab.start(out, lease=1.0), lab.start(out, lease=1.0)]
    lab.wait(runs[0], out)
    time.sleep(rng.uniform(0.0, lab.seconds / 4))
    hit = runs[0].kill(signal.SIGSTOP)
    runs[1].process.join(60)
    runs[0].kill(signal.SIGCONT)
    twice = _share(lab, out, runs)
    return Outcome(int(hit), 0, {"members trained by both": twice})


def parts(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """Four parts, two of them at once, and the sweep without `--part`, which joins them"""
    out = lab.folder()
    for some in (("1/4", "2/4"), ("3/4",), ("4/4",)):
        runs = [lab.start(out, "--part", part) for part in some]
        assert [run.end()[0] for run in runs] == [0] * len(runs)
    return Outcome(1, lab.finish(out))


def race(lab: Lab, rng: np.random.Generator, n: int, network: bool = False) -> Outcome:
    """Four processes on one store."""
    out = lab.folder()
    return Outcome(1, _share(lab, out, [lab.start(out, network=network) for _ in range(4)]))


def network_race(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """Four processes on one store, on a file system without locks"""
    return race(lab, rng, n, network=True)


def race_killed(lab: Lab, rng: np.random.Generator, n: int, network: bool = False) -> Outcome:
    """Four processes on one store, two of which are killed."""
    out = lab.folder()
    runs = [lab.start(out, network=network) for _ in range(4)]
    lab.wait(runs[0], out)
    n_hit = 0
    for run in runs[:2]:
        time.sleep(rng.uniform(0.0, lab.seconds / 3))
        n_hit += run.kill()
        run.end()
    ended = [run.end() for run in runs[2:]]
    assert [code for code, _ in ended] == [0, 0], ended
    lab.check(out)
    return Outcome(n_hit)


def network_race_killed(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """Four processes on one store without locks, two of which are killed"""
    return race_killed(lab, rng, n, network=True)
