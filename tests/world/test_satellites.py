"""Other mail servers of the LAN that send all their mail to us: stock Postfix as a null client, Exim with a smarthost, OpenSMTPD."""
import re

import pytest

from lib import scratch
from lib.gateway import message
from peers import satellites


@pytest.fixture
def satellite(request):
    made = []

    def make(name, *args):
        made.append(satellites.ALL[name](*args))
        return made[-1]
    yield make
    for s in made:
        if getattr(request.node, "report_call", None) is not None and request.node.report_call.failed:
            print(s.log())
        s.close()


@pytest.fixture
def office(gateway, relay, ca):
    """A gateway whose relay is Postfix; both with TLS."""
    cert, key = ca.issue("gate.test", also=("localhost",))
    g = gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": "secret"},
                 "relay": {"host": "127.0.0.1", "port": relay.port, "security": "none", "auth": "off"},
                 "sync": {"on_send": "yes"}}, start=False)
    g.write({"smtp": {"tls_port": g.smtps_port}})
    g.start()
    return g


SUBJECTS = ("plain", "=?UTF-8?B?0KHRh9GR0YI=?=", "Счёт №17 без кодировки")


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
@pytest.mark.parametrize("name", list(satellites.ALL))
def test_its_mail_arrives_here_and_outside(office, relay, satellite, name, tls):
    s = satellite(name, office.smtps_port if tls == "tls" else office.smtp_port, tls, "anna")
    outside = f"{name}-{tls}@far.example"
    text = "Строка\r\n.dot\r\n..two\r\n\r\nend\r\n".encode()
    for subject in SUBJECTS:
        s.send("anna@office.lan", ["boris@office.lan", outside],
               message(subject, to=f"boris@office.lan, {outside}", body=text))
    scratch.wait_for(lambda: len(office.box("boris")) == len(SUBJECTS) and len(relay.to(outside)) == len(SUBJECTS), 30,
                     lambda: f"all of it: {len(office.box('boris'))} here, {len(relay.to(outside))} outside; {s.log()[-1500:]}")
    for got in (office.box("boris"), [d.raw for d in relay.to(outside)]):
        found = sorted(re.search(rb"^Subject: ([^\r\n]*)", raw, re.M).group(1).decode() for raw in got)
        assert found == sorted(SUBJECTS)
        assert all(raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2] == text.replace(b"\r\n", b"\n") for raw in got)
    assert office.box("anna") == []  # no bounce


@pytest.mark.parametrize("name", list(satellites.ALL))
def test_who_is_nobody_bounces_at_the_satellite(office, satellite, name):
    """Our refusal becomes a bounce of theirs, which we take from <> and deliver."""
    s = satellite(name, office.smtp_port, "none", "anna")
    s.send("anna@office.lan", ["nobody@office.lan"], message("to nobody", to="nobody@office.lan"))
    got = office.wait_box("anna", 1)
    assert len(got) == 1 and got[0].startswith(b"Return-Path: <>") and b"nobody@office.lan" in got[0]
