"""One point each: the program under load, killed or failed at its N-th change of a file, restarted, and audited."""
import errno
import os
import random
import threading
import time

from . import audit, shim

ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
LADDER_MAX = 400


class Result:
    def __init__(self):
        self.points = self.kills = self.faults_injected = self.messages = 0
        self.bad = []  # (description, [faults])

    def take(self, world, what, faults):
        self.points += 1
        self.kills += world.kills
        self.messages += sum(m.fate == "accepted" for m in audit.all_messages(world))
        if faults:
            self.bad.append((what, faults))

    def __str__(self):
        return (f"{self.points} points, {self.kills} kills, {self.faults_injected} failed calls, "
                f"{self.messages} promised messages, {len(self.bad)} points with a fault")


def undisturbed(world):
    """A run without any fault: the number of calls, at the load's end and in a start that has nothing to recover."""
    world.reset()
    world.shim.arm()
    assert world.begin()
    start = world.shim.count
    assert world.load()
    total = world.shim.count
    world.finish()
    faults = audit.final(world)
    assert not faults, faults
    return start, total


def _recover(world, kills):
    """Starts that are killed at their n-th call, one after the other; those that come through are killed too."""
    for n in kills:
        world.shim.arm(shim.KILL, n)
        if world.begin():
            world.gateway.kill()
            return
        world.died()


def ladder():
    """Recovery killed at its 1st, 2nd, 3rd… call, until one comes through."""
    return range(1, LADDER_MAX)


STRACE = ("write,pwrite64,writev,fsync,fdatasync,syncfs,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,"
          "mkdirat,ftruncate,fallocate")


def kill_by_strace(world, n):
    """The same by the kernel's own count, which each thread has for itself, sockets and libc's own calls included."""
    g = world.gateway
    env = g.env
    g.env = {}
    g.prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={STRACE}",
                "-e", f"inject={STRACE}:signal=SIGKILL:when={n}"]
    try:
        return kill(world, n, action=shim.NOTHING, restored=(env, []))
    finally:
        g.env, g.prefix = env, []


def kill(world, n, action=shim.KILL, recovery=(), restored=None):
    """The n-th call is the last one. Returns (where that was, faults)."""
    world.reset()
    world.shim.arm(action, n)
    lived = world.begin() and world.load()
    where = world.shim.last
    if restored is not None:
        world.gateway.env, world.gateway.prefix = restored
    if not lived:
        world.died()
    else:
        world.gateway.kill()
        world.kills += 1
        world.note_final()
    faults = [f"at the kill: {f}" for f in audit.partial(world)]
    _recover(world, recovery)
    world.shim.arm()
    if not world.begin():
        return where, faults + ["the start after the crash failed: " + world.gateway.stderr()[-500:]]
    world.finish()
    return where, faults + audit.final(world)


def fail(world, n, error, length=1, ops=shim.ALL):
    """Calls n … n+length-1 fail; nobody restarts the program unless it ended at its start."""
    world.reset()
    world.shim.arm(shim.FAIL, n, n + length - 1, error, ops)
    up = world.begin()
    if up:
        if not world.load(seconds=3):
            return world.shim.last, ["the program died: " + world.gateway.stderr()[-500:]]
    else:
        world.gateway.kill()  # a failed start, with its message
    where, fired = world.shim.last, world.shim.fired
    world.shim.calm()
    if not up:
        world.shim.arm()
        if not world.begin():
            return where, ["no start after the failed one: " + world.gateway.stderr()[-500:]]
    world.fired = fired
    world.finish()
    faults = audit.final(world, spools=False)
    # And what the disk has is what the program believed.
    if not world.begin():
        return where, faults + ["no second start: " + world.gateway.stderr()[-500:]]
    world.finish()
    return where, faults + [f"after one more start: {f}" for f in audit.final(world) if f not in faults]


def shuffled(total, n, seed):
    return random.Random(seed).sample(range(1, total + 1), min(n, total))


def power_cut(world, disk, delay, how):
    """The real thing: the disk is shut down so long after the load's beginning, and comes back after a "reboot".

    The program outlives its disk here by some moments, which no power cut allows, and a flush that runs while ext4 is
    being shut down may be answered with success: what is answered from then on is no promise."""
    world.gateway.env = world.shim.env(world.home)
    world.reset()
    os.sync()
    world.shim.arm()
    assert world.begin()
    clients = threading.Thread(target=world.load, kwargs={"seconds": 1})
    clients.start()
    time.sleep(delay)
    at = time.monotonic_ns()
    disk.cut(how)
    clients.join()
    world.gateway.kill()
    world.promised_before(at)
    world.kills += 1
    disk.reboot()
    world.note_final()
    faults = [f"on the disk: {f}" for f in audit.partial(world)]
    world.gateway.env = world.shim.env(world.home, rebooted=True)
    world.shim.arm()
    if not world.begin():
        return faults + ["no start after the power cut: " + world.gateway.stderr()[-500:]]
    world.finish()
    return faults + audit.final(world)
