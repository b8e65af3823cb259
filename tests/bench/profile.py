#!/usr/bin/python3
"""make profile: where the gateway's processor time goes on each road, written to docs/PROFILES.md. `profile.py FILE [ROAD…]`; root."""
import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from rig import collectors, folding, mail, memory, peers, tools, ward  # noqa: E402
from lib import ca as authority, scratch  # noqa: E402
from lib.strace import Strace  # noqa: E402
from jobs import b3_pop3, b6_send  # noqa: E402

SIZE, USERS = 4096, 20
HEAD = """# Where the processor time goes

Written by `make profile`: `perf record -g` (on cpu-clock) of the gateway alone while one road is gone, and `strace -c -f` of a
second, smaller run. Messages of 4 KB, everything on loopback, at full speed. Shares are of all samples of the process; a thread
bears the name of its first function; neighbouring functions of one library are its outermost one, what the kernel does is one
line, named after the call. `a › b` stands where b takes all of a's time, within a twentieth. What a run costs is in
[BENCH.md](BENCH.md); this says of what it is made.
"""


def usable():
    """None, or why perf cannot be used."""
    try:
        p = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-g", "-o", "/dev/null", "true"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return "perf is not installed (Debian's package linux-perf)"
    if p.returncode == 0:
        return None
    paranoid = pathlib.Path("/proc/sys/kernel/perf_event_paranoid").read_text().strip()
    return f"perf may not be used here (kernel.perf_event_paranoid = {paranoid}, user {os.getuid()}): {p.stderr.strip()[:300]}"


@contextlib.contextmanager
def recorded(pid, out):
    p = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "1499", "--call-graph", "dwarf,16384", "-o", out, "-p", str(pid)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    try:
        yield
    finally:
        p.send_signal(signal.SIGINT)
        said = p.communicate(timeout=60)[1]
    assert p.returncode in (0, -signal.SIGINT, 130), said


def folded(data):
    p = subprocess.run(["perf", "script", "--no-inline", "-F", "tid,ip,sym,dso", "-i", data], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace", timeout=120)
    return folding.stacks(folding.samples(p.stdout.splitlines()))


def smtp(connections, many, few):
    def road(stack):
        s = peers.Ours(USERS)
        stack.callback(s.close)
        sent = [0]

        def work(n):
            tools.run("smtp_load", port=s.port, connections=connections, messages=n, size=SIZE, first=sent[0])
            sent[0] += n
            tools.wait_until(lambda: s.count() >= sent[0])
            mail.check(s.folders, range(sent[0]), SIZE)
        return s.pid, lambda _: None, work, many, few
    return road


def pop3(depth, tls, times=4, each=200):
    def road(stack):
        ca = authority.CA()
        stack.callback(ca.close)
        s = b3_pop3.ours(*ca.issue("pop.test"))
        stack.callback(s.close)

        def work(n):
            for _ in range(n // (USERS * each)):
                b3_pop3.drain(s, tls, depth, each)
        return s.pid, lambda _: None, work, times * USERS * each, USERS * each
    return road


def collecting(boxes=50, each=120):
    """Half of the accounts for perf, half for strace."""
    def road(stack):
        ca = authority.CA()
        stack.callback(ca.close)
        provider = stack.enter_context(collectors.Provider(*ca.issue("collect.test"), 2 * boxes, each, SIZE, 0))
        s = peers.Ours(USERS, collectors.accounts(ca.cert, provider.port, 2 * boxes))
        stack.callback(s.close)
        halves, sofar = iter((range(boxes), range(boxes, 2 * boxes))), [0]

        def work(n):
            sofar[0] += n
            s.gateway.ctl_ok("sync", *(f"a{i}" for i in next(halves)))
            tools.wait_until(lambda: provider.server.figures()["removed"] >= sofar[0] and s.count() >= sofar[0], 120, 0.05)
        return s.pid, lambda _: None, work, boxes * each, boxes * each
    return road


def sending(many=6000, few=1000):
    def road(stack):
        relay, port = stack.enter_context(b6_send.relay(True, 0))
        s = b6_send.gateway_for(port)
        stack.callback(s.close)
        first = [0]

        def before(n):
            got = tools.run("smtp_load", port=s.port, connections=10, messages=n, size=SIZE, domain=b6_send.FAR, first=first[0])
            assert got["accepted"] == n
            first[0] += n
            s.wait_queued(n)

        def work(n):
            s.flush()
            tools.wait_until(lambda: relay.figures()["messages"] >= first[0], 120)
            b6_send.check(relay.figures(), first[0])
        return s.pid, before, work, many, few
    return road


ROADS = {
    "SMTP in, 20 connections": smtp(20, 16000, 2000),
    "SMTP in, 1 connection": smtp(1, 4000, 600),
    "POP3 out, pipelined": pop3(32, False),
    "POP3 out, lock-step": pop3(1, False),
    "POP3 out, TLS, pipelined": pop3(32, True),
    "POP3 out, TLS, lock-step": pop3(1, True),
    "Collecting over TLS, 0 ms, 50 accounts": collecting(),
    "Sending with CHUNKING, 0 ms": sending(),
}


def told(name, stacks, cpu, n, calls, traced):
    """The road's section, at most 60 lines."""
    out = [f"\n## {name}\n", f"{1e6 * cpu / n:.0f} µs of processor a message ({n:,} messages, {sum(stacks.values()):,} samples, while perf looked on).\n"]
    out += ["| thread | share |", "| --- | --- |"]
    out += [f"| `{t}` | {100 * share:.0f} % |" for t, share in folding.threads(stacks)[:7]]
    out += ["\n```", *(line[:150] for line in folding.text(stacks, 32)), "```\n"]
    each = sorted(((c / traced, call) for call, c in calls.items()), reverse=True)
    out.append(f"System calls a message ({traced:,} messages): {sum(c for c, _ in each):.1f}: " +
               ", ".join(f"{call} {c:.2g}" for c, call in each[:14] if c >= 0.01) + ".")
    return out


def profile(name, road):
    print(f"  {name}", file=sys.stderr, end=" ", flush=True)
    began = time.monotonic()
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(dir=os.environ["OFM_SCRATCH"]) as folder:
        pid, before, work, many, few = road(stack)
        before(many)
        tools.settle_disk()
        with recorded(pid, f"{folder}/perf.data"):
            cpu = memory.cpu(pid)
            work(many)
            cpu = memory.cpu(pid) - cpu
        ran = time.monotonic() - began
        before(few)
        with Strace([pid], f"{folder}/strace") as s:
            work(few)
        stacks = folded(f"{folder}/perf.data")
    print(f"{ran:.0f} s, {time.monotonic() - began:.0f} s with strace and perf script", file=sys.stderr)
    return told(name, stacks, cpu, many, s.calls, few)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("file", type=pathlib.Path)
    a.add_argument("roads", nargs="*", help="parts of their names; without any, all")
    o = a.parse_args()
    why = usable()
    if why:
        print(f"profile: {why}", file=sys.stderr)
        return 1
    out = [HEAD.rstrip("\n")]
    date = time.strftime("%Y-%m-%d", time.gmtime())
    with ward.Ward() as w:
        for name, road in ROADS.items():
            if not o.roads or any(r.lower() in name.lower() for r in o.roads):
                out += profile(name, road)
                w.clear()
    out.insert(1, f"\nThis run: {date}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} at its end.")
    o.file.write_text("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
