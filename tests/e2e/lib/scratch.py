"""Scratch folders, free ports and waiting."""
import fcntl
import os
import pathlib
import random
import shutil
import socket
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


def folder(name="e2e"):
    """A new folder that other users (dovecot's, postfix's) may enter; short enough for Unix sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"ofm.{name}.", dir=os.environ.get("OFM_SCRATCH", "/tmp")))
    path.chmod(0o755)
    return path


def remove(path):
    if not os.environ.get("OFM_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


_given = {}  # port -> the locked file that keeps other test processes from it


def free_port():
    """A port of loopback that nothing listens on, for this process alone: below the range from which the kernel takes
    the ports of outgoing connections, and locked against the other test processes."""
    locks = pathlib.Path(tempfile.gettempdir()) / "ofm.ports"
    locks.mkdir(mode=0o777, exist_ok=True)
    while True:
        port = random.randrange(10000, 32000)
        if port in _given:
            continue
        lock = open(locks / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _given[port] = lock
        return port


def listens(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def wait_for(condition, seconds=15, what="the condition"):
    """Returns the first true value of condition(); fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what}: not seen within {seconds} s")
        time.sleep(0.03)


def tail(path, lines=40):
    try:
        return "\n".join(pathlib.Path(path).read_text(errors="replace").split("\n")[-lines:])
    except OSError as e:
        return str(e)
