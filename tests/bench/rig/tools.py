"""The bench's C tools, and what the machine can do at best."""
import json
import os
import pathlib
import signal
import subprocess
import time

from lib import scratch

BENCH = pathlib.Path(__file__).resolve().parents[1]
TOOLS = scratch.ROOT / "build" / "bench"
DEADLINE = 900


def command(tool, options):
    args = [str(TOOLS / tool)]
    for name, value in options.items():
        if value is not None:
            args += ["--" + name.replace("_", "-"), str(value)]
    return args


def run(tool, *words, within=DEADLINE, **options):
    """Runs a tool to its end, which comes within so many seconds; returns its figures."""
    args = command(tool, options)
    args[1:1] = map(str, words)
    p = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within)
    assert p.returncode == 0, f"{' '.join(args)}: {p.stderr}"
    return json.loads(p.stdout)


class Server:
    """A tool that serves until SIGTERM and then prints its figures. It is up when its port listens."""

    def __init__(self, tool, port, **options):
        self.port = port
        self.process = subprocess.Popen(command(tool, dict(options, port=port)), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, start_new_session=True)
        scratch.wait_for(lambda: self.process.poll() is not None or scratch.listens(port), 20, tool)
        assert self.process.poll() is None, f"{tool} ended"

    def figures(self):
        """What it has counted so far."""
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def limit(kind, count, size=4096, threads=16):
    """The rate of one of the floors (floors.c): files, append or sendfile."""
    folder = scratch.folder("floor")
    try:
        extra = {"port": scratch.free_port()} if kind == "sendfile" else {}
        return run("floors", kind, folder, threads=threads, count=count, size=size, **extra)["rate"]
    finally:
        scratch.remove(folder)


def wait_until(condition, seconds=DEADLINE, step=0.02):
    """The time at which condition() came true; what it costs to look is part of the load, so it is looked at seldom."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not seen in time"
        time.sleep(step)
    return time.monotonic()


def settle_disk():
    """What an earlier contestant left in the page cache is not the next one's load."""
    os.sync()
