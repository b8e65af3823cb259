"""Counts the system calls of running programs."""
import pathlib
import re
import signal
import subprocess

from . import scratch

FLUSHES = ("fsync", "fdatasync", "syncfs")


def counts(path):
    """{system call: times} from what `strace -c -o path` has written."""
    calls = {}
    for line in pathlib.Path(path).read_text().splitlines():
        m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if m and m.group(2) != "total":
            calls[m.group(2)] = int(m.group(1))
    return calls


class Strace:
    """with Strace(pids, file) as s: …; s.calls["fsync"], s.total. The file is strace's to write, more its options."""

    def __init__(self, pids, out, *more):
        self.pids, self.out, self.more = pids, out, more

    def __enter__(self):
        which = [word for pid in self.pids for word in ("-p", str(pid))]
        self.process = subprocess.Popen(["strace", "-f", "-c", "-o", str(self.out), *self.more, *which],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        scratch.wait_for(self.attached, 20, "strace")
        return self

    def attached(self):
        threads = [t for pid in self.pids for t in pathlib.Path(f"/proc/{pid}/task").glob("*/status")]
        return all(re.search(r"^TracerPid:\t[1-9]", t.read_text(), re.M) for t in threads)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.calls = counts(self.out)
        self.total = sum(self.calls.values())

    def flushes(self):
        return sum(self.calls.get(c, 0) for c in FLUSHES)
