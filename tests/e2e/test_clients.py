"""Real mail programs against our servers: who reads, who sends, plain, after STLS or STARTTLS, and under TLS."""
import re

import pytest

from lib import clients, mailers
from lib.gateway import Gateway, message


@pytest.fixture(scope="module")
def served(ca):
    """One gateway with a certificate that the programs verify; each test has users of its own."""
    cert, key = ca.issue("gate.test", also=("localhost",))
    users = {f"user r{i}": {"password": "secret", "alias": f"r{i}@firm.example"} for i in range(40)}
    g = Gateway({"tls": {"certificate": cert, "key": key}, **users}, start=False)
    g.write({"smtp": {"tls_port": g.smtps_port}, "pop3": {"tls_port": g.pop3s_port}})
    try:
        g.start()
        g.ca = ca.cert
        g.fresh = iter(range(40))
        yield g
    finally:
        g.close()


READ = [(p, tls) for p in mailers.READERS for tls in ("none", "starttls", "tls")
        if not (p is mailers.Getmail and tls == "starttls")]  # getmail6 knows no STLS
SEND = [(p, tls, auth) for p in mailers.SENDERS for tls in ("none", "starttls", "tls")
        for auth in ((None, "plain", "login") if tls != "tls" else (None, "plain"))]


def name(x):
    return getattr(x, "__name__", x or "open").lower()


@pytest.mark.parametrize("program, tls", READ, ids=name)
def test_program_reads(served, program, tls):
    user = f"r{next(served.fresh)}"
    sent = [message(f"m{n}", to=f"{user}@office.lan", body=b"line\r\n.dot\r\n\r\n..two\r\nlast " + bytes([48 + n]) + b"\r\n")
            for n in range(3)]
    for m in sent:
        served.send("anna@office.lan", f"{user}@office.lan", m)
    with program(served.pop3s_port if tls == "tls" else served.pop3_port, tls, served.ca, user, "secret") as p:
        try:
            got = p.read()
        except AssertionError:
            print(served.log()[-5000:])
            raise
    assert len(got) == 3
    for m in sent:
        assert sum(mailers.lines(g).endswith(mailers.lines(m)) for g in got) == 1
    with served.pop3(user, "secret") as c:
        assert c.stat() == (0, 0)


@pytest.mark.parametrize("program, tls, auth", SEND, ids=name)
def test_program_sends(served, program, tls, auth):
    before = [len(served.box(u)) for u in ("anna", "boris")]
    m = message(f"from {name(program)}", to="anna@office.lan, boris@office.lan", body=b"line\r\n.dot\r\n..two\r\nlast\r\n")
    with program(served.smtps_port if tls == "tls" else served.smtp_port, tls, served.ca,
                 "r0" if auth else None, "secret", auth) as p:
        p.send("r0@office.lan", ["anna@office.lan", "boris@office.lan"], m)
    for user, n in zip(("anna", "boris"), before):
        got = served.wait_box(user, n + 1)
        assert len(got) == n + 1
        assert mailers.lines(got[-1]).endswith(b"\n\nline\n.dot\n..two\nlast")
        assert re.search(rb"^Subject: from " + name(program).encode(), got[-1], re.M)
        assert got[-1].startswith(b"Return-Path: <r0@office.lan>")


@pytest.mark.parametrize("program", mailers.SENDERS[:2] + mailers.SENDERS[3:], ids=name)
def test_wrong_password_does_not_send(served, program):
    with program(served.smtp_port, "none", served.ca, "r0", "wrong", "plain") as p:
        with pytest.raises(AssertionError):
            p.send("r0@office.lan", ["boris@office.lan"], message("never"))
    assert "never" not in served.subjects("boris")


@pytest.mark.parametrize("program", mailers.READERS[:3] + mailers.READERS[4:], ids=name)
def test_wrong_password_does_not_read(served, program):
    served.send("anna@office.lan", "r39@office.lan", message("kept"))
    with program(served.pop3_port, "none", served.ca, "r39", "wrong") as p:
        try:
            assert p.read() == []
        except AssertionError:
            pass
    assert "kept" in served.subjects("r39")


def test_capabilities(served):
    with served.smtp() as s:
        offered = s.ehlo.split("\n")
        assert {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS", "SIZE"} <= {o.strip() for o in offered}
        assert any(o.startswith("AUTH") and {"PLAIN", "LOGIN"} <= set(o.split()) for o in offered)
        s.starttls()
        assert "STARTTLS" not in s.ehlo and "AUTH" in s.ehlo
        assert s.auth_plain("r0", "secret")[0] == 235
    with served.smtp() as s:
        assert s.auth_plain("r0", "secret", initial=False)[0] == 235
    with served.smtp() as s:
        assert s.auth_login("r0", "secret")[0] == 235
    with served.smtp() as s:
        assert s.auth_plain("r0", "wrong")[0] == 535
    with served.pop3() as p:
        caps = {c.split()[0] for c in p.lines("CAPA")}
        assert {"TOP", "UIDL", "USER", "SASL", "STLS", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"} <= caps
        p.stls()
        assert "STLS" not in {c.split()[0] for c in p.lines("CAPA")}
        p.login("r0", "secret")
    with clients.POP3(served.pop3s_port, "r1", "secret", tls=True) as p:
        p.ok("NOOP")


def test_swaks_pipelines(served):
    before = len(served.box("boris"))
    with mailers.Swaks(served.smtp_port) as p:
        p.run("swaks", "--server", mailers.HOST, "--port", served.smtp_port, "--pipeline", "--from", "anna@office.lan",
              "--to", "boris@office.lan,anna@office.lan", "--h-Subject", "piped", "--body", "line\\n.dot\\n")
    assert b"\r\nSubject: piped\r\n" in served.wait_box("boris", before + 1)[-1]
