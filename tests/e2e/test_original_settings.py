"""The settings of the original program, one by one, each with what it must do here."""
import datetime
import re
import socket
import time

import pytest

from lib import clients, gateway as gw, netns, scratch
from lib.gateway import message


def refuses_to_start(g):
    """Starts it; it must end by itself with status 1 and words on stderr, which are returned."""
    g.start(wait=False)
    status = g.process.wait(20)
    g.process = None
    assert status == 1, (status, g.stderr())
    assert g.stderr().strip()
    return g.stderr()


def account(dovecot, user, **more):
    return {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": user, "password": "secret",
            "keep": "0", **more}


def put(dovecot, user, *subjects, to="somebody@firm.example"):
    dovecot.put(user, *[message(s, "client@far.example", to) for s in subjects])


# ---- folders ----

@pytest.mark.parametrize("folder", ["mailboxes", "outqueue"])
def test_folder_must_exist(gateway, folder):
    g = gateway(start=False)
    (g.home / folder).rmdir()
    assert folder in refuses_to_start(g)
    assert not scratch.listens(g.smtp_port)
    (g.home / folder).mkdir()
    g.start()


@pytest.mark.parametrize("folder", ["mailboxes", "outqueue"])
def test_folder_may_stand_anywhere(gateway, folder):
    g = gateway(start=False)
    elsewhere = g.home / "elsewhere"
    (g.home / folder).rename(elsewhere)
    g.write({"server": {folder: elsewhere}, "relay": {"host": "127.0.0.1", "port": scratch.free_port()}})
    g.start()
    g.send("anna@office.lan", ["boris@office.lan", "x@far.example"], message())
    scratch.wait_for(lambda: list(elsewhere.glob("*.eml" if folder == "outqueue" else "boris/new/*")), 20, folder)


# ---- log ----

@pytest.mark.parametrize("size, good", [(0, True), (1, True), (999, True), (1000, False), (-1, False), ("x", False)])
def test_log_size_is_0_to_999(gateway, size, good):
    g = gateway({"server": {"log_size_kib": size}}, start=False)
    p = g.ctl("check")
    assert (p.returncode == 0) == good
    if not good:
        assert "log_size_kib" in p.stdout + p.stderr and "999" in p.stdout + p.stderr


def test_log_size_0_is_off(gateway):
    g = gateway({"server": {"log_size_kib": 0}})
    g.send("anna@office.lan", "boris@office.lan", message())
    g.wait_box("boris")
    assert not (g.home / "ofmsrv.log").exists()


def test_log_never_exceeds_its_size(gateway):
    g = gateway({"server": {"log_size_kib": 8, "log_level": "debug"}})
    largest = 0
    for _ in range(60):
        with g.smtp() as s:
            s.mail("anna@office.lan", "boris@office.lan", message())
            s.quit()
        largest = max(largest, sum(p.stat().st_size for p in g.home.glob("ofmsrv.log*")))
    assert 2048 < largest <= 8 * 1024
    assert len(g.wait_box("boris", 60)) == 60


# ---- ports, timeout, size ----

def test_ports(gateway):
    g = gateway()
    assert g.smtp().greeting[0] == 220 and g.pop3().greeting.startswith("+OK")
    old_smtp, old_pop3 = g.smtp_port, g.pop3_port
    g.smtp_port, g.pop3_port = scratch.free_port(), scratch.free_port()
    g.reload({"smtp": {"port": g.smtp_port}, "pop3": {"port": g.pop3_port}})
    assert g.smtp().greeting[0] == 220 and g.pop3().greeting.startswith("+OK")
    assert not scratch.listens(old_smtp) and not scratch.listens(old_pop3)
    g.reload({"smtp": {"port": 0}})
    assert not scratch.listens(g.smtp_port) and g.pop3().greeting.startswith("+OK")


def test_port_in_use_is_a_failed_start(gateway):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        g = gateway({"smtp": {"port": s.getsockname()[1]}}, start=False)
        assert str(s.getsockname()[1]) in refuses_to_start(g)
        assert not scratch.listens(g.pop3_port)


@pytest.mark.parametrize("server", ["smtp", "pop3"])
def test_server_timeout(gateway, server):
    g = gateway({server: {"timeout": "2s"}})
    with clients.Line(g.smtp_port if server == "smtp" else g.pop3_port) as c:
        c.line()
        began = time.monotonic()
        time.sleep(1.2)
        c.send("NOOP\r\n")
        c.line()
        c.rest()
        assert 2.9 < time.monotonic() - began < 8  # two seconds from the last command on


def test_size_limit_hits_the_outside_and_never_local_mail(gateway):
    g = gateway({"smtp": {"max_message_kib": 4}, "relay": {"host": "127.0.0.1", "port": scratch.free_port()}})
    large = message(body=b"x" * 70 + b"\r\n" + b"y" * 6000 + b"\r\n")
    with g.smtp() as s:
        assert re.search(r"^SIZE *$", s.ehlo, re.M)
        # announced: the outside is refused, the colleague served
        s.ok(f"MAIL FROM:<anna@office.lan> SIZE={len(large)}")
        code, text = s.cmd("RCPT TO:<x@far.example>")
        assert code == 552 and text.startswith("5.3.4")
        s.ok("RCPT TO:<boris@office.lan>")
        assert s.data(large)[0] == 250
        # not announced: told at the end
        s.ok("MAIL FROM:<anna@office.lan>")
        s.ok("RCPT TO:<x@far.example>")
        s.ok("RCPT TO:<boris@office.lan>")
        assert s.data(large)[0] == 552
        # local alone: no limit
        s.mail("anna@office.lan", "boris@office.lan", large)
        # under the limit
        s.mail("anna@office.lan", "x@far.example", message())
        s.quit()
    assert len(g.wait_box("boris", 2)) == 2
    g.wait_queue(1)


# ---- IP filter ----

def greeting_from(g, source):
    try:
        with clients.Line(g.smtp_port, source=source) as c:
            smtp = c.line().decode()
        with clients.Line(g.pop3_port, source=source) as c:
            return smtp, c.line().decode()
    except (EOFError, ConnectionResetError) as e:
        return repr(e), ""


def served(g, source):
    smtp, pop3 = greeting_from(g, source)
    assert smtp.startswith("220") == pop3.startswith("+OK"), (smtp, pop3)
    if not smtp.startswith("220"):
        assert smtp.startswith("554 5.7.1"), smtp
    return smtp.startswith("220")


def test_filter_steps(gateway):
    """No allow matches: refused. Any deny matches: refused. Else served."""
    g = gateway({"ip_filter": {"allow": ["127.0.0.0/255.255.0.0", "127.7.0.1-127.7.0.9"],
                               "deny": ["127.0.3.0/24", "127.7.0.4"]}})
    wanted = {"127.0.0.1": True, "127.0.2.255": True, "127.0.3.1": False, "127.0.4.0": True, "127.1.0.1": False,
              "127.7.0.1": True, "127.7.0.4": False, "127.7.0.9": True, "127.7.0.10": False}
    assert {a: served(g, a) for a in wanted} == wanted
    g.reload({"ip_filter": {"enabled": "no"}})
    assert all(served(g, a) for a in wanted)
    g.reload({"ip_filter": {"enabled": "yes", "allow": ["127.1.0.1"], "deny": None}})
    assert [a for a in wanted if served(g, a)] == ["127.1.0.1"]


@pytest.mark.skipif(not netns.possible(), reason="needs a network namespace")
def test_filter_default_ranges():
    inside = ["127.0.0.1", "10.0.0.1", "10.255.255.254", "169.254.7.7", "192.168.0.9", "192.168.255.1", "172.16.0.1",
              "172.31.255.254", "fe80::1", "fc00::1", "fdff::1", "::1"]
    outside = ["9.255.255.255", "11.0.0.1", "128.0.0.1", "169.253.255.255", "172.15.255.255", "172.32.0.1",
               "192.167.255.255", "192.169.0.1", "8.8.8.8", "2001:db8::1", "fb00::1"]
    link = [a for a in inside if a.startswith("fe80")]  # needs a zone to connect; the unit tests have it
    inside = [a for a in inside if a not in link]
    said = netns.greetings([a for a in inside + outside if a not in ("127.0.0.1", "::1")],
                           {"smtp": {"bind": "0.0.0.0, ::"}, "pop3": {"bind": "0.0.0.0, ::"}})
    log = said.pop("log")
    assert {a: s[0][:3] for a, s in said.items()} == {a: "220" if a in inside else "554" for a in said}
    assert {a: s[1][:3] for a, s in said.items()} == {a: "+OK" if a in inside else "-ER" for a in said}
    # one line an address and minute, not one a try
    assert all(sum("filter" in line and f"={a}" in line.replace('"', "") for line in log.splitlines()) <= 2
               for a in outside)


# ---- users, postmaster, daemon, boss ----

def test_users_with_and_without_password(gateway):
    g = gateway({"user anna": {"password": "right one"}, "user postmaster": {}, "user chief": {},
                 "special": {"boss": "chief"}})
    g.pop3("boris", "anything at all").quit()
    g.pop3("anna", "right one").quit()
    for user, password in (("anna", "wrong"), ("anna", ""), ("postmaster", "x"), ("chief", "x"), ("nobody", "x"),
                           ("daemon", "x")):
        with pytest.raises(clients.POP3.Refused, match="AUTH"):
            g.pop3(user, password)


def test_log_in_by_name_address_and_alias(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    for name in ("anna", "ANNA", "anna@office.lan", "Anna@Office.LAN", "anna@firm.example"):
        g.pop3(name, "pw").quit()


def test_alias_replaces_the_local_address_outside_alone(gateway, relay):
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.notls_port, "security": "none", "auth": "off"}})
    g.send("anna@office.lan", ["x@far.example", "boris@office.lan"],
           message(to="x@far.example, boris@office.lan"))
    inside = g.wait_box("boris")[0]
    assert b"\r\nFrom: anna@office.lan\r\nTo: x@far.example, boris@office.lan\r\n" in b"\r\n" + inside
    g.sync()
    out = relay.wait("x@far.example")[0]
    assert out.sender == "anna@firm.example"
    assert out.message["From"] == "anna@firm.example" and out.message["To"] == "x@far.example, boris@firm.example"


@pytest.mark.parametrize("listed", [True, False])
def test_postmaster_and_daemon_cannot_be_removed(gateway, listed):
    g = gateway({"user postmaster": {"password": "pw"}, "user daemon": {}} if listed else {})
    with g.smtp() as s:
        for to in ("postmaster", "postmaster@office.lan", "postmaster@gate.test", "postmaster@[127.0.0.1]", "daemon",
                   "daemon@office.lan"):
            s.ok("MAIL FROM:<anna@office.lan>")
            assert s.cmd(f"RCPT TO:<{to}>")[0] == 250, to
            s.ok("RSET")
        s.mail("anna@office.lan", ["postmaster", "daemon"], message())
    g.wait_box("postmaster")
    assert not (g.home / "mailboxes/daemon").exists()
    assert {u["name"] for u in g.json("users")["users"]} >= {"postmaster"}


def test_postmaster_and_daemon_may_have_other_names(gateway, dovecot, mailbox):
    put(dovecot, mailbox, "whose")
    g = gateway({"special": {"postmaster": "admin", "daemon": "robot"}, "account a": account(dovecot, mailbox)})
    g.send("anna@office.lan", "robot@office.lan", message())
    g.wait_box("admin")
    assert g.subjects("admin") == ["whose"]


def test_boss_is_any_user_but_the_daemon(gateway):
    g = gateway(start=False)
    for boss, good in (("anna", True), ("postmaster", True), ("daemon", False), ("nobody", False), ("", True)):
        g.write({"special": {"boss": boss}})
        p = g.ctl("check")
        assert (p.returncode == 0) == good, (boss, p.stdout, p.stderr)
        assert good or "boss" in p.stdout + p.stderr


def test_boss_gets_a_copy_of_everything_sent(gateway):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw"},
                 "relay": {"host": "127.0.0.1", "port": scratch.free_port()}})
    g.send("anna@office.lan", ["boris@office.lan", "hidden@far.example"], message("with bcc"))
    g.send("anna@office.lan", ["chief@office.lan"], message("to the boss"))
    g.send("chief@office.lan", ["boris@office.lan"], message("from the boss"))
    copies = {gw.subject(m): m for m in g.wait_box("chief", 3)}
    assert sorted(copies) == ["from the boss", "to the boss", "with bcc"]
    head = copies["with bcc"].split(b"\r\n\r\n")[0]
    assert b"hidden@far.example" in head and b"From: anna@office.lan" in head
    time.sleep(0.3)
    assert len(g.box("chief")) == 3


# ---- relay and line ----

def test_relay_host_and_port(gateway, relay):
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.notls_port, "security": "none", "auth": "off"}})
    g.send("anna@office.lan", "x@far.example", message("out"))
    g.wait_queue(1)
    g.sync()
    assert relay.wait("x@far.example")[0].message["Subject"] == "out"
    g.wait_queue(0)


def test_without_relay_nothing_goes_outside(gateway):
    g = gateway()
    with g.smtp() as s:
        s.ok("MAIL FROM:<anna@office.lan>")
        assert s.cmd("RCPT TO:<x@far.example>")[0] == 550
        s.ok("RCPT TO:<boris@office.lan>")


def test_lan_connection_sends_soon(gateway, relay):
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.notls_port, "security": "none", "auth": "off"},
                 "sync": {"on_send": "auto"}, "connection": {"type": "lan"}})
    g.send("anna@office.lan", "x@far.example", message("soon"))
    relay.wait("x@far.example", seconds=20)


def test_raised_connection_waits_for_a_sync(gateway, relay, dovecot, mailbox):
    put(dovecot, mailbox, "in")
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.notls_port, "security": "none", "auth": "off"},
                 "sync": {"on_send": "auto"}, "account a": account(dovecot, mailbox, deliver="anna"),
                 "connection": {"type": "command", "up": '"echo up >>line"', "down": '"echo down >>line"'}})
    line = g.home / "line"
    g.send("anna@office.lan", "x@far.example", message("out"))
    g.wait_queue(1)
    time.sleep(6)
    assert not line.exists() and not relay.to("x@far.example")
    g.sync()
    assert line.read_text() == "up\ndown\n"
    relay.wait("x@far.example")
    assert g.subjects("anna") == ["in"]


def test_line_that_does_not_come_up_fails_the_sync(gateway, dovecot, mailbox):
    put(dovecot, mailbox, "in")
    g = gateway({"account a": account(dovecot, mailbox, deliver="anna"),
                 "connection": {"type": "command", "up": '"echo no carrier >&2; exit 3"', "down": '"echo down >>line"'}})
    p = g.ctl("sync", "--wait")
    assert p.returncode == 1
    g.wait_box("postmaster")
    assert not g.box("anna") and dovecot.count(mailbox) == 1
    assert (g.home / "line").read_text() == "down\n"


# ---- accounts ----

def many_accounts(n, **more):
    return {f"account a{i}": {"host": "127.0.0.1", "port": 1, "security": "none", "user": f"u{i}", "password": "x",
                              "keep": 0, **more} for i in range(n)}


def test_100_accounts_and_not_101(gateway):
    g = gateway(many_accounts(100), start=False)
    assert g.ctl("check").returncode == 0
    g.write({"account one more": {"host": "127.0.0.1", "port": 1, "user": "u", "password": "x", "enabled": "no"}})
    p = g.ctl("check")
    assert p.returncode == 1 and "100" in p.stdout + p.stderr
    assert "100" in refuses_to_start(g)


# ---- sorter ----

def test_rule_on_a_header_field_with_several_recipients(gateway, dovecot, mailbox):
    dovecot.put(mailbox,
                message("=?utf-8?B?0KHRh9GR0YIg4oSWIDU=?=", "far@far.example", "x@firm.example"),
                message("other", "far@far.example", "x@firm.example", extra=b"X-Kind: INVOICE 7\r\n"),
                message("nothing", "far@far.example", "x@firm.example"))
    g = gateway({"account a": account(dovecot, mailbox), "user vera": {},
                 "rule russian": {"field": "Subject", "contains": "счёт", "deliver": "anna, boris"},
                 "rule kind": {"field": "X-Kind", "contains": "invoice", "deliver": "boris, vera"}})
    g.sync()
    g.wait_box("boris", 2)
    assert len(g.box("anna")) == 1 and g.subjects("vera") == ["other"] and g.subjects("postmaster") == ["nothing"]
    assert dovecot.count(mailbox) == 0


def test_unsortable_mail_goes_to_postmaster_or_named_users(gateway, dovecot, mailbox):
    put(dovecot, mailbox, "first")
    g = gateway({"account a": account(dovecot, mailbox)})
    g.sync()
    first = g.wait_box("postmaster")[0]
    assert gw.subject(first) == "first"
    g.reload({"sorter": {"unmatched": "anna, boris"}})
    put(dovecot, mailbox, "second")
    g.sync()
    g.wait_box("boris")
    assert g.subjects("anna") == g.subjects("boris") == ["second"] and g.subjects("postmaster") == ["first"]


# ---- sync ----

def test_sync_by_hand(gateway, dovecot, mailbox):
    put(dovecot, mailbox, "in")
    g = gateway({"account a": account(dovecot, mailbox, deliver="anna")})
    time.sleep(1)
    assert dovecot.count(mailbox) == 1
    g.sync()
    assert g.subjects("anna") == ["in"]


@pytest.mark.parametrize("sender, good", [("anna@office.lan", True), ("anna", True), ("anna@firm.example", True),
                                          ("stranger@far.example", False), ("", False)])
def test_sync_by_a_letter_to_the_daemon(gateway, dovecot, mailbox, sender, good):
    put(dovecot, mailbox, "in")
    g = gateway({"account a": account(dovecot, mailbox, deliver="anna")})
    with g.smtp() as s:
        s.ok(f"MAIL FROM:<{sender}>")
        got = s.cmd("RCPT TO:<daemon@office.lan>")
        if not good:
            assert got[0] == 550 and got[1].startswith("5.7.1")
            return
        s.ok("RCPT TO:<boris@office.lan>")
        assert s.data(message("go"))[0] == 250
    g.wait_box("anna")
    assert g.subjects("anna") == ["in"] and g.subjects("boris") == ["go"]
    assert not (g.home / "mailboxes/daemon").exists()


def test_sync_every(gateway, dovecot, mailbox):
    put(dovecot, mailbox, "at start")
    g = gateway({"account a": account(dovecot, mailbox, deliver="anna"), "sync": {"every": "2s"}})
    g.wait_box("anna", 1, 10)
    put(dovecot, mailbox, "later")
    g.wait_box("anna", 2, 10)


def test_sync_at_a_time_of_day(gateway, dovecot, mailbox):
    put(dovecot, mailbox, "in")
    now = datetime.datetime.now()
    if now.second > 50:
        time.sleep(61 - now.second)
        now = datetime.datetime.now()
    soon = now + datetime.timedelta(minutes=1)
    g = gateway({"account a": account(dovecot, mailbox, deliver="anna"), "sync": {"at": soon.strftime("%H:%M")}})
    assert not g.box("anna")
    g.wait_box("anna", 1, 75)
    assert datetime.datetime.now().strftime("%H:%M") >= soon.strftime("%H:%M") or soon.hour == 0
