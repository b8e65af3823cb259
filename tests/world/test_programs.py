"""Mail programs and libraries that are common in offices, with our servers: they send and read, plain, after STARTTLS, under TLS."""
import email
import email.policy

import pytest

from lib.gateway import Gateway, message
from peers import figures, programs

TEXT = "Письмо\n.dot\n..two\n.\nend\n"
SENDERS = ("perl", "nodemailer", "javamail", "python")
READERS = ("perl", "javamail", "python")


@pytest.fixture(scope="module")
def clients(ca):
    p = programs.Programs(ca.cert)
    figures.say(f"mail programs: {p.versions()}")
    yield p
    p.close()


@pytest.fixture(scope="module")
def served(ca):
    cert, key = ca.issue("gate.test", also=("localhost",))
    users = {f"user r{i}": {"password": "secret", "alias": f"r{i}@firm.example"} for i in range(200)}
    g = Gateway({"tls": {"certificate": cert, "key": key}, **users}, start=False)
    g.write({"smtp": {"tls_port": g.smtps_port}, "pop3": {"tls_port": g.pop3s_port}})
    g.fresh = iter(range(200))
    try:
        g.start()
        yield g
    finally:
        g.close()


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
@pytest.mark.parametrize("login", [False, True], ids=["open", "login"])
@pytest.mark.parametrize("name", SENDERS)
def test_it_sends(served, clients, name, login, tls):
    sender, a, b = (f"r{next(served.fresh)}" for _ in range(3))
    for serial in range(2):
        clients.send(name, served.smtps_port if tls == "tls" else served.smtp_port, tls, (sender, "secret") if login else None,
                     f"{sender}@office.lan", [f"{a}@office.lan", f"{b}@office.lan"], f"Счёт №{serial}")
    for user in (a, b):
        got = [email.message_from_bytes(raw, policy=email.policy.default) for raw in served.wait_box(user, 2)]
        assert sorted(str(m["Subject"]) for m in got) == ["Счёт №0", "Счёт №1"]
        for m in got:
            text, attachment = m.iter_parts()
            assert text.get_content().replace("\r\n", "\n").rstrip("\n") == TEXT.rstrip("\n")  # a part may end with its boundary
            assert attachment.get_content() == clients.attachment.read_bytes()


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
@pytest.mark.parametrize("name", READERS)
def test_it_reads(served, clients, name, tls):
    user = f"r{next(served.fresh)}"
    sent = [message(f"letter {i}", to=f"{user}@office.lan", body=body) for i, body in enumerate((
        b"line\r\n.dot\r\n\r\n..two\r\n.\r\n", b"", bytes(range(128, 256)) + b"\r\n", b"0123456789abcdef\r\n" * 100_000))]
    for m in sent:
        served.send("anna@office.lan", f"{user}@office.lan", m)
    served.wait_box(user, len(sent))
    got = clients.read(name, served.pop3s_port if tls == "tls" else served.pop3_port, tls, (user, "secret"))
    assert len(got) == len(sent)
    for raw, m in zip(got, sent):
        assert raw.replace(b"\r\n", b"\n").rstrip(b"\n").endswith(m.replace(b"\r\n", b"\n").rstrip(b"\n"))
    assert served.box(user) == []


@pytest.mark.parametrize("name", SENDERS)
def test_a_wrong_password_sends_nothing(served, clients, name):
    user = f"r{next(served.fresh)}"
    with pytest.raises((AssertionError, OSError)):
        clients.send(name, served.smtp_port, "none", (user, "wrong"), f"{user}@office.lan", [f"{user}@office.lan"], "never")
    assert served.box(user) == []
