"""Killed, or failed by the disk, at any change of any file, the gateway keeps what it promised.

A sample here; `make crash` goes through every point. SEED=n samples others."""
import errno
import os
import time

import pytest

from crash import shim, sweep
from crash.world import World

SEED = int(os.environ.get("SEED", "1"))
SECONDS = 15  # for each kind; on a busy machine fewer points, but at least three


@pytest.fixture(scope="module")
def world():
    w = World()
    w.make_template()
    w.start_calls, w.calls = sweep.undisturbed(w)
    assert w.calls > 200, "the load does not reach the disk"
    yield w
    w.close()


def run(world, points, one):
    end, done, bad = time.monotonic() + SECONDS, 0, []
    for n in points:
        if done >= 3 and time.monotonic() > end:
            break
        where, faults = one(n)
        done += 1
        if faults:
            bad.append((n, where, faults))
    assert not bad, f"SEED={SEED}: {bad}"
    return done


def points(world, salt, n=12):
    return sweep.shuffled(world.calls, n, f"{SEED}.{salt}")


@pytest.mark.parametrize("action", [shim.KILL, shim.TEAR], ids=["killed before a call", "killed inside a write"])
def test_killed_anywhere_nothing_is_lost_or_doubled(world, action):
    run(world, points(world, action), lambda n: sweep.kill(world, n, action))


def test_killed_again_and_again_in_recovery(world):
    run(world, points(world, "ladder", 3), lambda n: sweep.kill(world, n, recovery=sweep.ladder()))


def test_killed_by_strace(world):
    run(world, points(world, "strace", 3), lambda n: sweep.kill_by_strace(world, 1 + n // 4))


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_one_call_fails(world, error):
    run(world, points(world, error, 6), lambda n: sweep.fail(world, n, error))


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_the_disk_fails_for_a_while(world, error):
    run(world, points(world, f"while {error}", 6), lambda n: sweep.fail(world, n, error, length=40))
