"""Scratch folders, free ports and waiting."""
import os
import pathlib
import shutil
import socket
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


def folder(name="e2e"):
    """A new folder that other users (dovecot's, postfix's) may enter; short enough for Unix sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"ofm.{name}.", dir="/tmp"))
    path.chmod(0o755)
    return path


def remove(path):
    if not os.environ.get("OFM_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


_given = set()


def free_port():
    """A port of loopback that nothing listens on, given out once by this process."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in _given:
            _given.add(port)
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
