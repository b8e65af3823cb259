"""What a message costs on each road, counted and not timed: system calls, flushes, round trips, allocations. The bounds leave
room for how threads happen to meet; a call too many for each message breaks them."""
import concurrent.futures
import pathlib
import struct
import subprocess
import time

import pytest

from lib import clients, gateway as gateway_module, scratch
from lib.strace import Strace

pytestmark = pytest.mark.skipif(gateway_module.BUILD != "build", reason="sanitizers have costs of their own")
LETTER = gateway_module.message(body=(b"x" * 70 + b"\r\n") * 40)


@pytest.fixture
def strace(inspector):
    return lambda g: Strace([g.process.pid], g.home / "strace.out")


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A function that says how many allocations gateways started from here on have made."""
    library, path = tmp_path / "count.so", tmp_path / "count"
    source = pathlib.Path(__file__).parent / "lib/alloc_count.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    path.write_bytes(bytes(8))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("ALLOC_COUNT", str(path))
    return lambda: struct.unpack("Q", path.read_bytes())[0]


def calm(g, n, user="boris"):
    """Everything has arrived and is settled."""
    g.wait_box(user, n)
    scratch.wait_for(lambda: not list((g.home / "mailboxes/.spool").iterdir()), 30, "an empty spool")


def at_rest(counted):
    """How many allocations there were, once nothing goes on behind the scenes: the journal writes a while later."""
    for _ in range(30):
        before = counted()
        time.sleep(1.2)
        if counted() == before:
            break
    return before


def submit(g, n):
    with g.smtp() as s:
        for _ in range(n):
            s.mail("anna@office.lan", ["boris"], LETTER)
        s.quit()


def quiet(gateway):
    """No debug log: it is what users run."""
    return gateway({"server": {"log_level": "info"}})


# ---- from a colleague to a colleague ----

def test_a_submission_costs_few_system_calls(gateway, strace):
    g, n = quiet(gateway), 50
    submit(g, 1)
    calm(g, 1)
    with strace(g) as s:
        submit(g, n)
        calm(g, n + 1)
    assert s.total / n <= 90, s.calls
    assert s.calls.get("fstatfs", 0) / n <= 10, s.calls  # room is measured, but not for each step of each message


def test_one_after_another_each_submission_has_its_own_flush(gateway, strace):
    """Not fewer than one each, or 250 was said too early; and few for what comes after it."""
    g, n = quiet(gateway), 30
    with strace(g) as s:
        submit(g, n)
        calm(g, n)
    assert n <= s.calls["fdatasync"] + s.calls.get("fsync", 0), s.calls
    assert s.flushes() / n <= 6, s.calls


def test_submissions_at_once_share_flushes(gateway, strace):
    g, lines, each = quiet(gateway), 20, 10
    with strace(g) as s, concurrent.futures.ThreadPoolExecutor(lines) as pool:
        for f in [pool.submit(submit, g, each) for _ in range(lines)]:
            f.result()
        calm(g, lines * each)
    assert s.flushes() / (lines * each) <= 0.9, s.calls


def test_a_submission_costs_few_allocations(gateway, counted):
    g, n = quiet(gateway), 100
    submit(g, 1)
    calm(g, 1)
    before = counted()
    submit(g, n)
    calm(g, n + 1)
    assert 1 <= (counted() - before) / n <= 125


# ---- from a mailbox to a mail program ----

def fill(g, n, user="boris"):
    box = g.home / "mailboxes" / user / "new"
    scratch.wait_for(box.exists, 10, "the mailbox")
    for i in range(n):
        (box / f"{1700000000 + i}.M{i:06d}P1.test,S={len(LETTER)}").write_bytes(LETTER)


def test_retrieving_costs_few_system_calls(gateway, strace):
    g, n = quiet(gateway), 100
    submit(g, 1)
    calm(g, 1)
    fill(g, n - 1)
    with g.pop3("boris") as p:
        with strace(g) as s:
            for i in range(1, n + 1):
                p.retr(i)
        assert s.total / n <= 12, s.calls
        p.quit()


def test_emptying_a_mailbox_costs_few_flushes(gateway, strace):
    g, n = quiet(gateway), 200
    submit(g, 1)
    calm(g, 1)
    fill(g, n - 1)
    with g.pop3("boris") as p:
        for i in range(1, n + 1):
            p.ok(f"DELE {i}")
        with strace(g) as s:
            p.quit()
            scratch.wait_for(lambda: not any((g.home / "mailboxes/boris/new").iterdir()), 20, "an empty mailbox")
    assert 1 <= s.flushes() <= 20, s.calls


def test_retrieving_costs_few_allocations(gateway, counted):
    g, n = quiet(gateway), 100
    submit(g, 1)
    calm(g, 1)
    fill(g, n - 1)
    with g.pop3("boris") as p:
        p.retr(1)
        before = at_rest(counted)
        for i in range(1, n + 1):
            p.retr(i)
        assert (counted() - before) / n <= 5
        p.quit()


# ---- across the line ----

def test_collecting_takes_a_few_round_trips(gateway, dovecot, mailbox, proxy):
    n = 40
    dovecot.put(mailbox, *[LETTER] * n)
    line = proxy(dovecot.port, delay=0.02)
    g = gateway({"server": {"log_level": "info"},
                 "account far": {"host": "127.0.0.1", "port": line.port, "security": "none", "user": mailbox,
                                 "password": "secret", "deliver": "boris"}})
    g.sync()
    g.wait_box("boris", n)
    assert line.rounds() <= 12, line.rounds()


def test_collecting_costs_few_system_calls(gateway, dovecot, mailbox, strace):
    n = 60
    dovecot.put(mailbox, *[LETTER] * n)
    g = gateway({"server": {"log_level": "info"},
                 "account near": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox,
                                  "password": "secret", "deliver": "boris"}})
    with strace(g) as s:
        g.sync()
        calm(g, n)
    assert s.total / n <= 60, s.calls
    assert s.flushes() / n <= 1.5, s.calls


def test_sending_takes_a_few_round_trips(gateway, relay, proxy):
    """Whole transactions travel together; the limit is how many may be unanswered."""
    n, line = 60, proxy(relay.notls_port, delay=0.05)
    g = gateway({"server": {"log_level": "info"},
                 "relay": {"host": "127.0.0.1", "port": line.port, "security": "none", "auth": "off", "connections": 1,
                           "sender": "office@firm.example"}})
    with clients.SMTP(g.smtp_port) as s:
        for _ in range(n):
            s.mail("anna@office.lan", ["far@far.example"], LETTER)
        s.quit()
    g.wait_queue(n)
    g.sync()
    relay.wait("far@far.example", n, 60)
    assert line.rounds() <= 15, line.rounds()


def test_idle_costs_nothing(gateway, strace):
    """No timer wakes a gateway that has nothing to do: once what was begun has ended, a second passes without a call."""
    g = quiet(gateway)
    submit(g, 1)
    calm(g, 1)

    def silent():
        with strace(g) as s:
            time.sleep(1)
        return s.total <= 10
    scratch.wait_for(silent, 30, "a silent second")
