"""However the bench ends, nothing that it started runs on and none of its folders stays."""
import contextlib
import ctypes
import os
import signal
import time

from lib import scratch

from . import memory

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Ward:
    """with Ward() as w: scratch folders are in one of the bench's own, daemons that leave their parents become the bench's
    children, and SIGTERM (from `timeout`, say) unwinds what is under way as an interrupt from the keyboard does. Not against
    SIGKILL."""

    def __init__(self):
        self.ended = False

    def __enter__(self):
        assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self.folder = scratch.folder("bench")
        os.environ["OFM_SCRATCH"] = str(self.folder)
        signal.signal(signal.SIGTERM, self.on_term)
        return self

    def on_term(self, *_):
        """Tools that are waited for end at once; servers, which have sessions of their own, are closed by who opened them."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.ended = True
        for pid in memory.family(os.getpid())[1:]:
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == os.getpgrp():
                    os.kill(pid, signal.SIGTERM)
        raise SystemExit(143)

    def clear(self):
        """Ends whatever a job has left, gently at first."""
        for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            for pid in left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            end = time.monotonic() + seconds
            while left() and time.monotonic() < end:
                time.sleep(0.05)

    def __exit__(self, *_):
        self.clear()
        scratch.remove(self.folder)


def left():
    """Descendants that live; dead ones are reaped, so no job may be under way."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] > 0:
            pass
    return memory.family(os.getpid())[1:]
