"""The servers around the gateway and the tests' own clients, against each other: a bed that lies proves nothing."""
import subprocess

import pytest

from lib import clients


def test_provider_serves_plain_stls_and_tls(dovecot, ca, mailbox):
    dovecot.put(mailbox, b"Subject: one\r\n\r\n.dot\r\n..\r\n", b"Subject: two\r\n\r\n")
    for kind in ("plain", "stls", "tls"):
        p = clients.POP3(dovecot.tls_port if kind == "tls" else dovecot.port, tls=True if kind == "tls" else None)
        if kind == "stls":
            p.stls()
        p.login(mailbox, "secret")
        assert p.all() == [b"Subject: one\r\n\r\n.dot\r\n..\r\n", b"Subject: two\r\n\r\n"]
        assert "PIPELINING" in p.lines("CAPA")
        p.quit()
    with pytest.raises(clients.POP3.Refused):
        clients.POP3(dovecot.port, mailbox, "wrong")


def test_provider_has_a_certificate_that_verifies(dovecot, ca, mailbox):
    dovecot.put(mailbox, b"Subject: one\r\n\r\n")
    def curl(name):
        return subprocess.run(["curl", "-sS", "--cacert", ca.cert, "--resolve", f"{name}:{dovecot.tls_port}:127.0.0.1",
                               "-u", f"{mailbox}:secret", f"pop3s://{name}:{dovecot.tls_port}/1"], capture_output=True)
    assert curl(dovecot.name).stdout == b"Subject: one\r\n\r\n"
    assert curl("other.test").returncode == 60


def test_relay_takes_mail_with_tls_and_log_in_and_refuses_as_told(relay, mailbox):
    p = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(relay.auth_port), "-tls", "--auth", "PLAIN",
                        "--auth-user", mailbox, "--auth-password", "secret", "--from", "a@b.example",
                        "--to", "x@far.example,y@far.example"], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr
    assert relay.wait("x@far.example")[0].sender == relay.wait("y@far.example")[0].sender == "a@b.example"
    relay.refuse({"no@far.example": "550 5.1.1 nobody", "later@far.example": "451 4.2.1 later"})
    with clients.SMTP(relay.port) as s:
        s.ok("MAIL FROM:<a@b.example>")
        assert [s.cmd(f"RCPT TO:<{r}@far.example>")[0] for r in ("no", "later", "yes")] == [550, 451, 250]
        assert s.data(b"Subject: q\r\n\r\n.x\r\n")[0] == 250
    assert relay.wait("yes@far.example")[0].message["Subject"] == "q"
    assert "CHUNKING" in clients.SMTP(relay.port).ehlo and "CHUNKING" not in clients.SMTP(relay.bare_port).ehlo
    assert "STARTTLS" not in clients.SMTP(relay.notls_port).ehlo


def test_proxy_counts_delays_cuts_and_drops(dovecot, mailbox, proxy):
    dovecot.put(mailbox, *[b"Subject: %d\r\n\r\n" % n for n in range(20)])
    line = proxy(dovecot.port, delay=0.01)
    p = clients.POP3(line.port, mailbox, "secret")
    before = line.rounds()
    for n in range(1, 21):
        p.retr(n)
    assert line.rounds() - before == 20
    before = line.rounds()
    p.send(b"".join(b"RETR %d\r\n" % n for n in range(1, 21)))
    for n in range(1, 21):
        assert p.line().startswith(b"+OK")
        p.body()
    assert line.rounds() - before == 1
    line.drop_all()
    with pytest.raises((EOFError, OSError)):
        p.ok("NOOP")
    line.cut_after = 10
    with pytest.raises(EOFError, match="OK Doveco'"):
        clients.POP3(line.port)
