"""One client that takes more than its part, asks for more than there is, or comes from outside the LAN."""
import base64
import re

import pytest

from lib import netns, scratch
from lib.clients import POP3, Line
from lib.gateway import message

RELAY = {"relay": {"host": "127.0.0.1", "port": 1, "security": "none", "auth": "off"}}


def hold(g, server, source, most):
    """Opens connections from one address until one is refused: (those that were served, the refusal)."""
    port = g.smtp_port if server == "smtp" else g.pop3_port
    held = []
    for _ in range(most + 1):
        c = Line(port, source=source)
        line = c.line()
        if not line.startswith((b"220", b"+OK")):
            return held, line
        held.append(c)
    return held, b""


@pytest.mark.parametrize("server, refusal", [("smtp", b"421 4.7.0"), ("pop3", b"-ERR [SYS/TEMP]")])
def test_one_address_does_not_take_all_connections(gateway, server, refusal):
    """Half of max_connections, ten at least; the others find room, and so does the machine itself."""
    g = gateway({server: {"max_connections": 30}})
    held, said = hold(g, server, "127.0.0.2", 30)
    assert len(held) == 15 and said.startswith(refusal) and b"address" in said
    for source in ("127.0.0.3", "127.0.0.1"):
        others, said = hold(g, server, source, 3)
        assert len(others) == 4, said
        for c in others:
            c.close()
    assert len(re.findall(rf" {server}\.refuse.*127\.0\.0\.2", g.log())) == 1
    held.pop().close()
    scratch.wait_for(lambda: len(hold(g, server, "127.0.0.2", 0)[0]) == 1, 5, "room for one more")
    for c in held:
        c.close()


@pytest.mark.parametrize("server", ["smtp", "pop3"])
def test_small_limits_are_nobodys_alone_but_the_machines(gateway, server):
    g = gateway({server: {"max_connections": 12}})
    held, said = hold(g, server, "127.0.0.2", 12)
    assert len(held) == 10 and said
    more, said = hold(g, server, "127.0.0.1", 12)
    assert len(more) == 2 and said
    for c in held + more:
        c.close()


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62, 2**63 - 4 * 2**20, 2**63 - 1, 2**63, 2**64 - 1])
def test_absurd_size_is_refused(gateway_of_file, size):
    with gateway_of_file.smtp() as s:
        got = s.cmd(f"MAIL FROM:<anna@office.lan> SIZE={size}")
        # 2 GiB may fit on the disk; what no disk has is never promised
        assert got[0] == 452 or (size == 2**31 and got[0] == 250), got
        s.cmd("RSET")
        s.ok("MAIL FROM:<anna@office.lan> SIZE=1000")


@pytest.fixture(scope="module")
def gateway_of_file():
    from lib import gateway as gw
    g = gw.Gateway(RELAY)
    yield g
    g.close()


def test_distant_clients_send_outside_only_when_logged_in():
    """The filter may be wide or off: an open relay it is never."""
    if not netns.possible():
        pytest.skip("no network namespaces here")
    plain = base64.b64encode(b"\0anna\0pw").decode()
    sections = {**RELAY, "ip_filter": {"enabled": "no"}, "user anna": {"password": "pw", "alias": "anna@firm.example"},
                "smtp": {"bind": "0.0.0.0, ::"}, "pop3": {"bind": "0.0.0.0, ::"}}
    mail, local, outside = "MAIL FROM:<anna@office.lan>", "RCPT TO:<boris>", "RCPT TO:<x@far.example>"
    commands = [mail, local, outside, "RSET", f"AUTH PLAIN {plain}", mail, local, outside]
    near, far = ["127.0.0.1", "10.1.2.3", "192.168.7.7", "100.64.0.9", "fe80::5", "fd00::9"], \
        ["203.0.113.7", "198.51.100.1", "11.0.0.1", "172.32.0.1", "2001:db8::7"]
    got = netns.greetings([a for a in near if not a.startswith("fe80")] + far, sections, commands)
    for a in near[:4] + near[5:]:
        assert [code for code, _ in got[a]] == [250, 250, 250, 250, 235, 250, 250, 250], (a, got[a])
    for a in far:
        assert [code for code, _ in got[a]] == [250, 250, 530, 250, 235, 250, 250, 250], (a, got[a])


def test_distant_clients_never_send_outside_where_nobody_can_log_in():
    if not netns.possible():
        pytest.skip("no network namespaces here")
    sections = {**RELAY, "ip_filter": {"allow": "0.0.0.0/0, ::/0"}, "smtp": {"bind": "0.0.0.0", "auth": "off"},
                "pop3": {"bind": "0.0.0.0"}}
    got = netns.greetings(["203.0.113.7", "10.0.0.1"], sections,
                          ["MAIL FROM:<anna@office.lan>", "RCPT TO:<x@far.example>", "RCPT TO:<anna@firm.example>"])
    assert [code for code, _ in got["203.0.113.7"]] == [250, 550, 250]
    assert [code for code, _ in got["10.0.0.1"]] == [250, 250, 250]


def connections(g):
    c = g.json("status")["connections"]
    return c["smtp"], c["pop3"]


def test_many_connections_are_refused_politely(gateway):
    """1,000 in a row from one address that holds all it gets: others are served, the control socket answers."""
    g = gateway({"smtp": {"max_connections": 40}, "pop3": {"max_connections": 40}})
    held, polite = [], 0
    for n in range(1000):
        c = Line(g.smtp_port if n % 2 else g.pop3_port, source="127.0.0.2")
        line = c.line()
        if line.startswith((b"220", b"+OK")):
            held.append(c)
            continue
        assert line.startswith((b"421", b"-ERR [SYS/TEMP]")) and c.rest() == b""
        c.close()
        polite += 1
        if n % 250 == 0:
            g.send("anna@office.lan", ["boris"], message("served"))
    assert len(held) == 40 and polite == 960
    assert connections(g) == (20, 20)
    with POP3(g.pop3_port, "boris", "x") as p:
        assert p.stat()[0] >= 3
    for c in held:
        c.close()
    scratch.wait_for(lambda: connections(g) == (0, 0), 10, "all gone")
