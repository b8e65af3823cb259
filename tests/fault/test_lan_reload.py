"""Reloads under open sessions: whatever the file took away or changed, the sessions go on, and nothing that is forbidden now is
still allowed."""
import base64
import random
import signal
import ssl

import pytest

from lib import scratch
from lib.clients import Line, POP3, SMTP
from lib.gateway import SLOWER, message
from lib.sending import to


@pytest.fixture
def g(gateway, ca):
    cert, key = ca.issue("localhost")
    return gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": "pw"}, **to(1)})


def without_tls(g):
    g.drop("tls")
    g.reload()


def test_certificate_gone_under_an_open_pop3_session(g):
    p = POP3(g.pop3_port)
    assert "STLS" in p.lines("CAPA")
    without_tls(g)
    assert p.cmd("STLS").startswith("-ERR")
    assert "STLS" not in p.lines("CAPA")
    p.login("anna", "pw")
    assert p.stat() == (0, 0)


def test_certificate_gone_under_an_open_smtp_session(g):
    s = g.smtp()
    assert "STARTTLS" in s.ehlo
    without_tls(g)
    assert s.cmd("STARTTLS")[0] == 502
    s.mail("anna", "boris", message("still here"))


def test_certificate_that_comes_is_offered_to_open_sessions(g):
    tls = g.ini["tls"]
    without_tls(g)
    p, s = POP3(g.pop3_port), g.smtp()
    g.reload({"tls": tls})
    p.stls()
    s.starttls()
    p.login("anna", "pw")
    s.mail("anna", "boris", message("under TLS"))


def test_sessions_under_tls_outlive_the_certificate(g):
    p, s = POP3(g.pop3_port), g.smtp()
    p.stls()
    s.starttls()
    without_tls(g)
    p.login("anna", "pw")
    assert p.stat() == (0, 0) and s.auth_plain("anna", "pw")[0] == 235


def test_log_in_that_needs_tls_now(g):
    """Open plain sessions in each state before log-in."""
    secret = base64.b64encode(b"\0anna\0pw").decode()
    fresh, named, sasl = POP3(g.pop3_port), POP3(g.pop3_port), POP3(g.pop3_port)
    named.ok("USER anna")
    assert sasl.cmd("AUTH PLAIN").startswith("+")
    s, half = g.smtp(), g.smtp()
    half.ok("AUTH PLAIN", 334)
    g.reload({"pop3": {"auth_tls": "yes"}, "smtp": {"auth_tls": "yes"}})
    assert fresh.cmd("USER anna").startswith("-ERR") and fresh.cmd(f"AUTH PLAIN {secret}").startswith("-ERR")
    assert named.cmd("PASS pw").startswith("-ERR") and sasl.cmd(secret).startswith("-ERR")
    assert not [c for c in fresh.lines("CAPA") if c.startswith(("SASL", "USER"))]
    assert s.cmd(f"AUTH PLAIN {secret}")[0] == 538 and half.cmd(secret)[0] == 538
    for p in (fresh, named, sasl):
        p.stls()
        p.login("anna", "pw")
        p.quit()


def test_auth_off_within_a_log_in(g):
    s = g.smtp()
    s.ok("AUTH LOGIN", 334)
    g.reload({"smtp": {"auth": "off"}})
    assert s.cmd("YW5uYQ==")[0] == 502
    s.mail("anna", "boris", message("without log-in"))


def test_a_user_who_logged_in_and_is_no_more(g):
    """By name: gone, back, and then with the daemon's task, which must not log in."""
    s, p = g.smtp(), g.pop3("anna", "pw")
    assert s.auth_plain("anna", "pw")[0] == 235
    section = g.ini.pop("user anna")
    g.reload({"smtp": {"auth": "required"}})
    assert s.cmd("MAIL FROM:<anna@firm.example>")[0] == 530 and p.stat() == (0, 0)
    g.reload({"user anna": section})
    s.mail("anna", "boris", message("back again"))
    g.ini.pop("user anna")
    g.reload({"special": {"daemon": "anna"}})
    assert s.cmd("MAIL FROM:<x@firm.example>")[0] == 530
    assert p.quit().startswith("+OK")


def test_a_stopping_program_reloads_nothing(g):
    """A transaction under way holds the stop up: then a port must not open again."""
    s = g.smtp()
    s.ok("MAIL FROM:<anna>")
    s.ok("RCPT TO:<boris>")
    g.signal(signal.SIGTERM)
    scratch.wait_for(lambda: not scratch.listens(g.smtp_port), 20, "the end of listening")
    g.write({"user carla": {}})
    g.signal(signal.SIGHUP)
    scratch.wait_for(lambda: "the program is stopping" in g.log(), 20, lambda: "the refusal in the log; " + g.log())
    assert not scratch.listens(g.smtp_port) and not scratch.listens(g.pop3_port)
    assert "reload.done" not in g.log()
    assert s.data(message("the last"))[0] == 250
    g.stop()


# ---- at random ----

POP3_SAYS = ["STLS", "CAPA", "USER anna", "PASS pw", "PASS no", "AUTH PLAIN", "AUTH PLAIN AGFubmEAcHc=", "AUTH LOGIN", "YW5uYQ==", "cHc=",
             "*", "STAT", "LIST", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "RSET", "NOOP", "QUIT"]
SMTP_SAYS = ["EHLO x", "HELO x", "STARTTLS", "AUTH PLAIN", "AUTH PLAIN AGFubmEAcHc=", "AUTH LOGIN", "YW5uYQ==", "cHc=", "*", "NOOP", "RSET",
             "MAIL FROM:<anna>", "MAIL FROM:<x@far.example> SIZE=2000", "RCPT TO:<boris>", "RCPT TO:<daemon>", "RCPT TO:<x@far.example>",
             "DATA", "Subject: x\r\n\r\ntext\r\n.", "BDAT 3\r\nab\n", "BDAT 2 LAST\r\n\r\n", "VRFY x", "QUIT"]


def random_ini(r, tls, ports):
    """Sections that come and go, and every key of both servers that has another value."""
    def some(**keys):
        return {k: r.choice(v) for k, v in keys.items() if r.random() < 0.7}

    def server(section):
        port, tls_port = ports[section]
        own = some(timeout=["2s", "30s", "10m"], max_connections=[1, 20, 1000], auth_tls=["yes", "no"])
        return {"bind": r.choice(["127.0.0.1", "0.0.0.0", "127.0.0.1, 127.0.0.2"]), "port": port,
                **own, **({"tls_port": tls_port} if tls and r.random() < 0.5 else {})}

    ini = {"pop3": server("pop3"), "smtp": {**server("smtp"), **some(max_message_kib=[0, 1], max_recipients=[1, 1000],
                                                                     auth=["off", "optional", "required"])},
           "server": some(domain=["office.lan", "firm.lan"], unknown_local=["refuse", "relay"], alias_local=["yes", "no"],
                          language=["en", "ru"], hostname=["gate.test", "gate2.test"]),
           "user boris": some(password=["x"], keep=["90d", "forever"])}
    if r.random() < 0.7:
        ini["user anna"] = some(password=["pw"], alias=["anna@firm.example"], keep=["1d"], forward=["boris", "x@far.example"])
    if r.random() < 0.5:
        ini["tls"] = tls
    else:
        for s in ("pop3", "smtp"):
            ini[s].pop("tls_port", None)
    if r.random() < 0.3:
        ini["special"] = some(boss=["boris"], daemon=["carla"], postmaster=["boris"])
    if r.random() < 0.5:
        ini["relay"] = {"host": "127.0.0.1", "port": 1, "security": "none"}
    if r.random() < 0.2:
        ini["ip_filter"] = some(enabled=["no"], deny=["10.1.1.1"])
    return ini


def talk(r, line, says):
    """Says something; reads what has come by then. Whether the connection is still of use."""
    what = r.choice(says)
    try:
        line.send(what + "\r\n")
        if r.random() < 0.3:
            line.send(r.choice(says)[:r.randrange(6)])  # the beginning of another
        if r.random() < 0.5:
            line.sock.settimeout(0.05)
            got = line.sock.recv(1 << 16)
            if what in ("STLS", "STARTTLS") and got.startswith((b"+OK", b"220")):
                line.sock.settimeout(10)
                line.wrap()
            return got != b""
    except TimeoutError:
        pass
    except (OSError, ssl.SSLError):
        return False
    return True


@pytest.mark.parametrize("seed", range(3))
def test_random_reloads_under_random_sessions(gateway, ca, seed):
    r = random.Random(seed)
    cert, key = ca.issue("localhost")
    g = gateway({"user anna": {"password": "pw"}})
    ports = {"pop3": (g.pop3_port, g.pop3s_port), "smtp": (g.smtp_port, g.smtps_port)}
    base = {"server": dict(g.ini["server"]), "sync": dict(g.ini["sync"])}
    open_now = []
    for _ in range(int(40 / SLOWER) + 10):
        for _ in range(10):
            section, says = r.choice([("pop3", POP3_SAYS), ("smtp", SMTP_SAYS)])
            if len(open_now) < 12:
                try:
                    open_now.append((Line(ports[section][r.random() < 0.2], timeout=5), says))
                except OSError:
                    pass  # no port of implicit TLS at the moment
            if open_now:
                k = r.randrange(len(open_now))
                if not talk(r, *open_now[k]):
                    open_now.pop(k)[0].close()
        ini = random_ini(r, {"certificate": cert, "key": key}, ports)
        g.ini = {**ini, "server": {**base["server"], **ini["server"]}, "sync": base["sync"]}
        g.write()
        g.signal(signal.SIGHUP)
        assert g.process.poll() is None, g.stderr()
    for line, _ in open_now:
        line.close()
    assert g.process.poll() is None, g.stderr()
    g.ini = {"server": base["server"], "sync": base["sync"], "pop3": {"bind": "127.0.0.1", "port": g.pop3_port},
             "smtp": {"bind": "127.0.0.1", "port": g.smtp_port}, "user anna": {"password": "pw"}, "user boris": {}}
    g.write()
    g.reload()
    assert g.log().count("reload.done") > 5
    s = SMTP(g.smtp_port)
    s.mail("anna", "boris", message("the end"))
