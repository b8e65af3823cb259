"""B8: memory when idle, for each idle connection, with large mailboxes open, and after load."""
import os
import socket
import ssl
import time

from lib import ca as authority, clients, scratch
from rig import mail, memory, peers, tools
from rig.contest import Row

CONNECTIONS, FIRST, BIG, BIG_BOXES = 400, 20, 100000, 4
BOX_SECONDS = 240  # a million links take 10 s in memory on a calm box, and 100 on a busy one
THEIRS = 60  # connections of peers: each is a process or more


def tls_client():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def say(s, text):
    s.sendall(text.encode() + b"\r\n")
    assert s.recv(4096)[:1] in b"+2", text


def logged_in(s, i):
    say(s, f"USER u{i}")
    say(s, "PASS x")


def greeted(s, i):
    say(s, "EHLO client.test")


def idle(port, numbers, tls, begin):
    """Connections that have begun and say nothing more."""
    out = []
    for i in numbers:
        s = socket.create_connection(("127.0.0.1", port), 60)
        if tls:
            s = tls.wrap_socket(s)
        s.recv(1024)
        begin(s, i)
        out.append(s)
    return out


def per_connection(pid, port, n, begin, tls=None):
    """KiB for each of n idle connections; the first few have paid for what all share."""
    first = idle(port, range(FIRST), tls, begin)
    base = memory.pss(pid)
    more = idle(port, range(FIRST, FIRST + n), tls, begin)
    time.sleep(0.5)
    grown = memory.pss(pid) - base
    for s in first + more:
        s.close()
    return grown / n


def secured(cert, key):
    pops, smtps = scratch.free_port(), scratch.free_port()
    s = peers.Ours(CONNECTIONS + FIRST, {"tls": {"certificate": cert, "key": key}, "pop3": {"tls_port": pops}, "smtp": {"tls_port": smtps},
                                            **{f"user u{i}": {"password": "x"} for i in range(CONNECTIONS + FIRST)}})
    s.pops, s.smtps = pops, smtps
    return s


def big_box(folder, messages, size=1024, owner=None, first=0):
    """A large mailbox, or one that has `first` messages grown to so many: hard links to a few files, since ext4 allows 65,000
    to each. Names are as the gateway gives them, or, where an owner is given, as Dovecot does; both tell sizes."""
    for path in (folder, *(folder / sub for sub in ("tmp", "new", "cur"))):
        os.makedirs(path, exist_ok=True)
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    end, made = time.monotonic() + BOX_SECONDS, None
    for i in range(first, messages):
        unique = f"{i:020x},S={size}" if owner is None else f"M{i % 1000000:06d}P1.bench,S={size},W={size}"
        name = f"{folder}/cur/{1700000000 + i}.{unique}:2,S"
        if made is None or i % 60000 == 0:
            assert time.monotonic() < end, f"no mailbox of {messages:,} within {BOX_SECONDS} s: {i:,} are there"
            with open(name, "wb") as f:
                f.write(b"Subject: one of many\r\n\r\n" + b"x" * (size - 26) + b"\r\n")
            if owner is not None:
                os.chown(name, owner.pw_uid, owner.pw_gid)
            made = name
        else:
            os.link(made, name)


def open_boxes(s, boxes, messages):
    """KiB for each open mailbox of so many messages."""
    for f in s.folders[:boxes]:
        big_box(f, messages)
    base, lines = memory.pss(s.pid), []
    for i in range(boxes):
        p = clients.POP3(s.gateway.pop3_port, f"u{i}", "x", timeout=120)
        assert p.stat()[0] == messages, p.stat()
        lines.append(p)
    grown = memory.pss(s.pid) - base
    for p in lines:
        p.close()
    return grown / boxes


def after_load(s, messages):
    """PSS in KiB after so many messages, and after as many again."""
    out = []
    for _ in range(2):
        s.clear()
        tools.run("smtp_load", port=s.port, connections=20, messages=messages)
        tools.wait_until(lambda: s.count() >= messages, step=0.2)
        time.sleep(1)
        out.append(memory.pss(s.pid))
        mail.check(s.folders, range(messages), 4096)
    return out


def dovecot(cert, key, tuned):
    d = peers.Dovecot(cert, key, THEIRS + FIRST, tuned)
    try:
        time.sleep(1)
        return {"idle": memory.pss(d.pid), "pop3": per_connection(d.pid, d.port, THEIRS, logged_in),
                "pop3s": per_connection(d.pid, d.tls_port, THEIRS, logged_in, tls_client())}
    finally:
        d.close()


def postfix():
    p = peers.Postfix(1)
    try:
        time.sleep(1)
        return {"idle": memory.pss(p.pid), "smtp": per_connection(p.pid, p.port, THEIRS, greeted)}
    finally:
        p.close()


def connections(cert, key):
    """Each kind on a gateway of its own, since memory that one kind has let go serves the next."""
    kinds = [("an idle POP3 connection, logged in", lambda s: (s.gateway.pop3_port, CONNECTIONS, logged_in), "pop3", 6),
             ("an idle SMTP connection", lambda s: (s.gateway.smtp_port, CONNECTIONS, greeted), "smtp", 6),
             ("an idle POP3 connection, logged in, TLS", lambda s: (s.pops, CONNECTIONS, logged_in, tls_client()), "pop3s", 40),
             ("an idle SMTP connection, TLS", lambda s: (s.smtps, CONNECTIONS, greeted, tls_client()), "smtps", 40)]
    for what, of, key_, bound in kinds:
        s = secured(cert, key)
        try:
            yield what, per_connection(s.pid, *of(s)), key_, bound
        finally:
            s.close()


def b8(o):
    ca = authority.CA()
    cert, key = ca.issue("pop.test")
    them = {"Dovecot": dovecot(cert, key, False), "Dovecot tuned": dovecot(cert, key, True), "Postfix": postfix()}
    s, big = peers.Ours(20), o.scaled(BIG)
    try:
        time.sleep(1)
        rows = [("idle, PSS", memory.pss(s.pid), "idle", 12 * 1024), *connections(cert, key)]
        once, twice = after_load(s, o.scaled(20000))
        rows.append(("PSS after load: growth by as much load again", max(twice - once, 0), "", 1024))
        rows.append(("PSS after load", twice, "", None))
        s.clear()
        rows.append((f"an open mailbox of {big:,} messages", open_boxes(s, BIG_BOXES, big), "", None))
    finally:
        s.close()
        ca.close()
    return [Row("B8", what, "KiB", {"ofmsrv": [v], **{n: [f[key]] for n, f in them.items() if key in f}},
                targets=[(f"≤ {bound:,} KiB", bound, None)] if bound else (), better="less") for what, v, key, bound in rows]


JOBS = {"B8": b8}
