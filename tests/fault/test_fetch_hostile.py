"""Providers that lie, break off or break the rules: nothing is lost, repeated or deleted, and the account says why."""
import re
import ssl
import threading
import time

import pytest

from lib import pop3liar, scratch
from lib.gateway import body, message

REFUSED = [("USER", "-ERR no such mailbox"), ("PASS", "-ERR no"), ("PASS", "-ERR [AUTH] no")]


def account(p, **kw):
    keys = {"host": "localhost", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna"}
    keys.update(kw)
    return {k: v for k, v in keys.items() if v is not None}


def fails(g, *words):
    """A sync by hand that fails; one of the words stands in what the account says."""
    p = g.ctl("sync", "--wait", timeout=120)
    assert p.returncode == 1, p.stdout + p.stderr
    said = error(g)
    assert not words or any(w in said for w in words), said
    return said


def error(g, name="one"):
    return next(a for a in g.json("status")["accounts"] if a["name"] == name)["last_error"]


def credentials(p):
    return [c for _, c, _ in p.commands if c.split(" ")[0].upper() in ("USER", "PASS", "APOP", "AUTH")]


# ---- TLS ----

def inject(session):
    session.send(b"+OK begin\r\n+OK this was not said under TLS\r\n")
    session.buffer = b""
    session.handshake()


@pytest.mark.parametrize("how,tls,reply", [
    ("not offered", None, None),
    ("refused", "stls", lambda verb, arg, n: "-ERR not now" if verb == "STLS" else None),
    ("text behind it", "stls", lambda verb, arg, n: inject if verb == "STLS" else None),
    ("offered and not understood", None, lambda verb, arg, n: "+OK\r\nSTLS\r\nUSER\r\n." if verb == "CAPA" else None),
])
def test_no_credential_without_tls(gateway, provider, ca, how, tls, reply):
    p = provider([message()], tls=tls, cert=ca.issue("localhost"), reply=reply)
    g = gateway({"account one": account(p, security="starttls", ca_file=ca.cert)})
    fails(g, "TLS")
    assert credentials(p) == [] and g.box("anna") == []


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("fault", ["wrong name", "expired", "self-signed"])
def test_certificate(gateway, provider, ca, security, fault):
    cert = {"wrong name": lambda: ca.issue("other.test"), "expired": lambda: ca.issue("localhost", days=-1),
            "self-signed": lambda: ca.issue("localhost", self_signed=True)}[fault]()
    p = provider([message("in")], tls="tls" if security == "tls" else "stls", cert=cert)
    g = gateway({"account one": account(p, security=security, ca_file=ca.cert)})
    assert "certificate" in fails(g, "certificate")
    assert credentials(p) == [] and g.box("anna") == []
    g.reload({"account one": {"tls_verify": "no"}})
    g.sync()
    g.wait_box("anna", 1)


def test_a_ca_file_that_cannot_be_read(gateway, provider, ca):
    p = provider([message("in")], tls="tls", cert=ca.issue("localhost"))
    bad = scratch.folder("pem")
    try:
        (bad / "ca.pem").write_text("no certificate\n")
        g = gateway({"account one": account(p, security="tls", ca_file=bad / "ca.pem")})
        assert "ca.pem" in fails(g, "ca_file")
        (bad / "ca.pem").write_text(ca.cert.read_text())
        g.sync()
        g.wait_box("anna", 1)
    finally:
        scratch.remove(bad)


def test_two_accounts_on_one_host_are_two_connections(gateway, provider, ca):
    p = provider([message("in")], tls="stls", cert=ca.issue("localhost"), password={"a": "one", "b": "two", "c": "three"})
    g = gateway({"account a": account(p, user="a", password="one", keep="forever"),
                 "account b": account(p, user="b", password="two", keep="forever", security="starttls", ca_file=ca.cert),
                 "account c": account(p, user="c", password="three", keep="forever", security="starttls", tls_verify="no")})
    g.sync()
    logins = {user: (number, given) for number, user, _, given in p.logins}
    assert {u: given for u, (_, given) in logins.items()} == {"a": "one", "b": "two", "c": "three"}
    assert len({number for number, _ in logins.values()}) == 3
    under_tls = {c.split(" ")[1]: secure for _, c, secure in p.commands if c.startswith("USER")}
    assert under_tls == {"a": False, "b": True, "c": True}


# ---- a second look goes on with the TLS session of the first ----

MANY = [message(f"in {n}") for n in range(50)]  # a round number, so the listing may have been cut short


def looks(p, user="u"):
    """Of each log-in of that user's, whether its TLS session was an earlier one."""
    return [p.resumed[number] for number, who, _, _ in p.logins if who == user]


@pytest.mark.parametrize("security,version", [("tls", "TLSv1_2"), ("tls", "TLSv1_3"), ("starttls", "TLSv1_2")])
def test_a_second_look_resumes_and_nobody_else_does(gateway, provider, ca, security, version):
    """Neither the other account at the same server, which collects behind it, nor the next collection."""
    p = provider(MANY, tls="tls" if security == "tls" else "stls", cert=ca.issue("localhost"), tickets=2)
    p.context.maximum_version = ssl.TLSVersion[version]
    p.polite = True  # a session of TLS 1.2 that was cut off is none to go on with
    keys = {"security": security, "ca_file": ca.cert, "keep": "forever"}
    g = gateway({"account one": account(p, user="a", **keys), "account two": account(p, user="b", **keys),
                 "sync": {"parallel": 1}})
    g.sync()
    assert looks(p, "a") == [False, True] and looks(p, "b") == [False, True]
    p.put(*MANY)
    g.sync("one")
    assert looks(p, "a") == [False, True, False, True]
    assert len(g.box("anna")) == 150


@pytest.mark.parametrize("cert", [{"name": "other.test", "ips": ()}, {"name": "localhost", "self_signed": True}])
def test_a_second_look_verifies_where_nothing_is_resumed(gateway, provider, ca, cert):
    p = provider(MANY, tls="tls", cert=ca.issue("localhost"), tickets=2,
                 reply=lambda verb, arg, n: p.show(ca.issue(**cert)) if verb == "QUIT" else None)
    g = gateway({"account one": account(p, security="tls", ca_file=ca.cert)})
    fails(g, "certificate")
    assert p.resumed[1] is False and len(p.logins) == 1 and len(g.box("anna")) == 50


@pytest.mark.parametrize("change", [{"tls_verify": None}, {"keep": "1d"}, {}])
def test_settings_that_change_under_way_resume_nothing(gateway, provider, ca, change):
    """The session that goes on meanwhile was not verified; what follows it is."""
    held, go = threading.Event(), threading.Event()

    def reply(verb, arg, n):
        if verb == "RETR" and n == 1:
            held.set()
            assert go.wait(30)
    p = provider(MANY, tls="tls", cert=ca.issue("localhost", self_signed=True), tickets=2, reply=reply)
    g = gateway({"account one": account(p, security="tls", ca_file=ca.cert, tls_verify="no")})
    waiting = threading.Thread(target=g.ctl, args=("sync", "--wait"))
    waiting.start()
    assert held.wait(20)
    g.reload({"account one": change})
    go.set()
    waiting.join(60)
    if "tls_verify" in change:
        scratch.wait_for(lambda: "certificate" in error(g), 20, "a refusal of the certificate")
        assert len(p.logins) == 1
    else:
        scratch.wait_for(lambda: len(p.logins) >= 2, 20, "a second look")
        assert looks(p)[:2] == [False, False]


@pytest.mark.parametrize("auth", ["auto", "plain", "apop"])
def test_timestamp_in_a_cleartext_greeting(gateway, provider, auth):
    """APOP shows any listener a digest that can be searched offline: only where it is configured."""
    p = provider([message("in")], greeting="+OK ready <1896.697170952@provider.test>", mechanisms=["PLAIN"])
    g = gateway({"account one": account(p, auth=auth)})
    g.sync()
    g.wait_box("anna", 1)
    assert (p.said("APOP") != []) == (auth == "apop")


# ---- cut off ----

@pytest.mark.parametrize("verb", ["UIDL", "LIST", "RETR", "TOP"])
@pytest.mark.parametrize("close", ["with TLS close", "without", "plain"])
def test_cut_off_at_any_byte(gateway, provider, ca, verb, close):
    """Whatever is missing, it was not received: no delivery, no DELE; the full reply afterwards is one message."""
    m = b"Subject: cut\r\n\r\n.dot\r\nx\r\n"
    p = provider([m], tls=None if close == "plain" else "tls", cert=ca.issue("localhost"),
                 caps=("UIDL", "USER", "PIPELINING") + (("TOP",) if verb == "TOP" else ()))
    p.polite = close == "with TLS close"
    first = "new" if verb == "TOP" else None  # then headers are looked at before anything is decided
    g = gateway({"account one": account(p, security="none" if close == "plain" else "tls", ca_file=ca.cert, first=first)})
    p.cut_from = verb
    length = {"UIDL": len("+OK\r\n1 u0\r\n.\r\n"), "LIST": len(f"+OK\r\n1 {len(m)}\r\n.\r\n"),
              "RETR": len("+OK follows\r\n.\r\n") + len(m) + 1, "TOP": len("+OK follows\r\nSubject: cut\r\n\r\n.\r\n")}[verb]
    for n in range(length) if close == "plain" else (*range(0, length, 4), *range(length - 5, length)):
        p.cut_at = n
        assert g.ctl("sync", "--wait").returncode == 1, n
    assert p.said("DELE") == [] and g.box("anna") == [] and list(p.mail) == ["u0"]
    p.cut_at = p.cut_from = None
    g.sync()
    if verb == "TOP":
        assert p.said("DELE") == [] and g.box("anna") == []
    else:
        assert [x.partition(b"\r\n")[2] for x in g.wait_box("anna", 1)] == [m] and p.mail == {}


# ---- listings and sizes that lie ----

def with_listing(verb, reply):
    return lambda v, arg, n: reply if v == verb else None


@pytest.mark.parametrize("verb,reply", [
    ("UIDL", b"+OK\r\n1 " + b"u" * 1000000 + b"\r\n.\r\n"),
    ("UIDL", b"+OK\r\n1 " + b"u" * 300 + b"\r\n.\r\n"),
    ("UIDL", b"+OK\r\n1 a\x00b\r\n.\r\n"),
    ("UIDL", b"+OK\r\n-1 u0\r\n.\r\n"),
    ("UIDL", b"+OK\r\n4294967296 u0\r\n.\r\n"),
    ("UIDL", b"+OK\r\n0 u0\r\n.\r\n"),
    ("UIDL", b"+OK\r\n1 u0\r\n1 u1\r\n.\r\n"),
    ("LIST", b"+OK\r\n1 9223372036854775808\r\n.\r\n"),
    ("LIST", b"+OK\r\n1 -1\r\n.\r\n"),
    ("LIST", b"+OK\r\n4294967297 10\r\n.\r\n"),
    ("LIST", b"+OK\r\n1 10\r\n1 10\r\n.\r\n"),
    ("LIST", b"+OK\r\n" + b"1 10\r\n" * 300000 + b".\r\n"),
    ("LIST", b"-ERR no\r\n"),
], ids=lambda x: x if isinstance(x, str) else repr(x[:24]))
def test_a_listing_that_lies(gateway, provider, verb, reply):
    p = provider([message("in")], reply=with_listing(verb, reply))
    g = gateway({"account one": account(p)})
    assert fails(g)
    assert p.said("DELE") == [] and list(p.mail) == ["u0"]
    p.reply = lambda v, arg, n: None
    g.sync()
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["in"] and p.mail == {}


@pytest.mark.parametrize("listing", [
    [(1, "../../etc/passwd", 999)], [(1, "/", 999)], [(1, "a(b)c\\ %s%n", 999)], [(1, "u0", 0)], [(1, "u0", 1 << 20)]])
def test_an_odd_uidl_or_size_is_taken_literally(gateway, provider, listing):
    p = provider([message("in")])
    p.listing = listing
    g = gateway({"account one": account(p, keep="forever")})
    before = sorted(x.name for x in g.home.rglob("*"))
    g.sync()
    g.sync()
    assert len(g.wait_box("anna", 1)) == 1
    more = {x.name for x in g.home.rglob("*")} - set(before)
    assert len([x for x in more if "passwd" in x]) == 0


def test_a_size_beyond_the_disk_holds_back_no_other(gateway, provider):
    p = provider([message("huge"), message("good")])
    p.listing = [(1, "u0", 1 << 39), (2, "u1", 200)]
    g = gateway({"account one": account(p)})
    fails(g, "disk")
    assert [x for x in p.said("RETR") if x == "RETR 1"] == []
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["good"] and "u0" in p.mail


def test_a_body_without_an_end_is_cut(gateway, provider):
    sent = []

    def flood(session):
        session.send(b"+OK 100 octets\r\nSubject: endless\r\n\r\n")
        while len(sent) < 5000:
            session.send(b"x" * 998 + b"\r\n" * 1 + b"y" * 99000)
            sent.append(1)
    p = provider([message("endless"), message("good")], reply=lambda verb, arg, n: flood if (verb, arg) == ("RETR", "1") else None)
    g = gateway({"account one": account(p, max_message_kib=1)})
    fails(g, "larger")
    assert len(sent) < 300 and p.said("DELE") == [] and g.box("anna") == []
    g.ctl("sync", "--wait")
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["good"] and list(p.mail) == ["u0"], "the other one is collected, this one left alone"


def endless(session):
    session.send(b"+OK\r\nSubject: endless\r\n")
    for _ in range(5000):
        session.send(b"X: " + b"y" * 99000 + b"\r\n")


@pytest.mark.parametrize("said", ["-ERR no", pop3liar.DROP, endless], ids=["refused", "dropped", "endless"])
def test_the_header_of_a_large_message_that_cannot_be_had(gateway, provider, said):
    """It is wanted for the report alone: at most one session breaks over it, and no mail is held back."""
    big = message("big", body=b"x" * 30000 + b"\r\n")
    p = provider([big, message("good"), big], reply=lambda verb, arg, n: said if verb == "TOP" and arg[:2] == "1 " else None)
    g = gateway({"account one": account(p, max_message_kib=20)})
    if said == "-ERR no":
        g.sync()
    else:
        assert fails(g) and p.said("RETR") == []
        p.reply = lambda verb, arg, n: said if verb == "TOP" else None
        g.sync()
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["good"] and list(p.mail) == ["u0", "u2"]
    [report] = g.wait_box("postmaster", 1)
    assert b"message 1: 29 KiB\r\n" in report and report.count(b": 29 KiB") == 2
    asked = len(p.said("TOP"))
    assert asked == (2 if said == "-ERR no" else 1)
    p.put(big)
    g.sync()
    g.sync()
    g.wait_box("postmaster", 2)
    assert len(p.said("TOP")) == asked + (said == "-ERR no") and len(p.mail) == 3
    p.reply = lambda verb, arg, n: None
    g.reload({"account one": {"max_message_kib": 21}})
    p.put(big)
    g.sync()
    assert b': "big"\r\n' in g.wait_box("postmaster", 3)[-1], "a reload is a new chance"


def test_the_header_of_a_large_message_in_a_report_is_one_clean_line(gateway, provider):
    nasty = b"From: \x1b[31m\x00\xff=?utf-8?Q?=E2=80=AE=0D=0A.=0D=0A?= <a@b>\r\nSubject: " + b"\xd0\x96\"" * 100000 + b"\r\n\r\n"
    p = provider([nasty + b"x" * 30000 + b"\r\n"] + [message("big", body=b"x" * 30000 + b"\r\n")] * 60)
    g = gateway({"account one": account(p, max_message_kib=20)})
    g.sync()
    [report] = g.wait_box("postmaster", 1)
    lines = [x for x in report.split(b"\r\n") if b"KiB, " in x]
    assert len(lines) == len(p.said("TOP")) == 50
    first = next(x for x in lines if b"message 1:" in x)
    assert len(first) < 600 and b"\\x1b[31m" in first and "Ж".encode() in first
    assert not re.search(rb"[\x00-\x1f\x7f]", first) and "\u202e" not in first.decode()
    g.sync()
    assert len(p.said("TOP")) == 50 and len(p.mail) == 61


@pytest.mark.parametrize("keep", [0, "forever"])
def test_the_same_uidl_twice(gateway, provider, keep):
    p = provider([message("a"), message("b")])
    p.shown = lambda uidl: "same"
    g = gateway({"account one": account(p, keep=keep)})
    for _ in range(3):
        g.sync()
    g.wait_box("anna", 2)
    time.sleep(0.3)
    assert g.subjects("anna") == ["a", "b"]
    assert len(p.mail) == (0 if keep == 0 else 2)


def test_a_uidl_used_again_for_other_mail(gateway, provider):
    p = provider([message("a")])
    g = gateway({"account one": account(p)})
    g.sync()
    p.mail = {"u0": message("another")}
    g.sync()
    g.wait_box("anna", 2)
    assert g.subjects("anna") == ["a", "another"] and p.mail == {}


def test_a_deleted_message_that_comes_back_is_deleted_unread(gateway, provider):
    m = message("a")
    p = provider([m])
    g = gateway({"account one": account(p)})
    g.sync()
    p.mail = {"u0": m}
    g.sync()
    time.sleep(0.3)
    assert g.subjects("anna") == ["a"] and p.mail == {} and len(p.said("RETR")) == 1


@pytest.mark.parametrize("messages", [3, 25])
@pytest.mark.parametrize("caps", [("UIDL", "USER", "TOP"), ("UIDL", "USER")])
def test_one_empty_listing_then_the_full_one(gateway, provider, messages, caps):
    p = provider([message(f"m{n:02}") for n in range(messages)], caps=caps)
    g = gateway({"account one": account(p, keep="forever")})
    g.sync()
    p.listing = []
    g.sync()
    p.listing = None
    g.sync()
    p.put(message("new"))
    g.sync()
    g.wait_box("anna", messages + 1)
    assert g.subjects("anna") == [f"m{n:02}" for n in range(messages)] + ["new"] and len(p.mail) == messages + 1


def test_an_account_section_renamed(gateway, provider):
    p = provider([message("a")])
    g = gateway({"account one": account(p, keep="forever")})
    g.sync()
    g.drop("account one")
    g.reload({"account two": account(p, keep="forever", host="LOCALHOST")})
    p.put(message("b"))
    g.sync()
    g.wait_box("anna", 2)
    assert g.subjects("anna") == ["a", "b"]


# ---- words ----

@pytest.mark.parametrize("verb,reply", REFUSED)
def test_err_in_mid_login(gateway, provider, verb, reply):
    p = provider([message("in")], reply=lambda v, arg, n: reply if v == verb else None)
    g = gateway({"account one": account(p)})
    fails(g, "refused")
    assert p.said("RETR") == [] and p.said("DELE") == []
    p.reply = lambda v, arg, n: None
    g.sync("one")  # by name: a refused log-in is not tried again by itself
    g.wait_box("anna", 1)


@pytest.mark.parametrize("printed", [r"a\rQUIT", r"a\000b", r"\320\277", r"a\033b", r"a\177"])
def test_password_that_would_be_a_command(gateway, provider, printed):
    p = provider([message("in")])
    g = gateway({"account one": account(p, password=None, password_command=f"\"printf '{printed}'\"")})
    fails(g, "characters")
    assert p.connections == 0


def test_user_name_beyond_ascii(gateway, provider):
    p = provider([message("in")])
    g = gateway({"account one": account(p, user="анна")})
    fails(g, "characters")
    assert p.connections == 0


NASTY = b"\xff\xfe \x1b[2J\x1b]0;x\x07 \xe2\x80\xae\xd0\xbf \x00 \r faked=yes "


@pytest.mark.parametrize("verb", ["", "CAPA", "USER", "PASS", "LIST", "RETR", "DELE", "QUIT"])
@pytest.mark.parametrize("size", [0, 6000, 65536])
def test_nasty_replies_are_one_clean_line(gateway, provider, verb, size):
    p = provider([message("in")], reply=lambda v, arg, n: b"-ERR " + NASTY + b"x" * size + b"\r\n" if v == verb else None)
    g = gateway({"account one": account(p)})
    done = g.ctl("sync", "--wait")
    scratch.wait_for(lambda: "fetch.end" in g.log(), 10, "the end of the session")
    raw = (g.home / "ofmsrv.log").read_bytes()
    for bad in (b"\x1b", b"\x07", b"\x00", b"\r", b"\xff", "\u202e".encode()):
        assert bad not in raw
    lines = [x for x in raw.split(b"\n") if x]
    assert max(map(len, lines)) < 4096 and not any(x.startswith(b" faked") for x in lines)
    assert all(re.match(rb"\d{4}-\d\d-\d\dT", x) for x in lines)
    shown = done.stdout + done.stderr + g.ctl_ok("status")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", shown)
    assert "DELE" not in verb or list(p.mail) == ["u0"]


@pytest.mark.parametrize("greeting", [b"* OK IMAP4 ready\r\n", b"220 smtp ready\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\r\n",
                                      b"\x16\x03\x01\x02\x00\r\n"])
def test_another_protocol_behind_the_port(gateway, provider, greeting):
    p = provider(reply=lambda verb, arg, n: greeting if verb == "" else None)
    g = gateway({"account one": account(p)})
    fails(g)
    assert credentials(p) == []


# ---- names ----

HUNG_DNS = """
import json, socket, time
from lib import gateway, pop3liar, scratch
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 53))
p = pop3liar.Provider([gateway.message("first")])
keys = {"port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0, "deliver": "anna"}
hung = {f"account hung{n}": {**keys, "host": f"pop{n}.hung.test"} for n in range(8)}
g = gateway.Gateway({**hung, "account good": {**keys, "host": "127.0.0.1"}, "sync": {"parallel": 3}})
out = {}
g.ctl_ok("sync")
g.wait_box("anna", 1, seconds=30)
p.put(gateway.message("second"))
g.ctl_ok("sync")
g.wait_box("anna", 2, seconds=30)
out["running"] = sorted(a["name"] for a in g.json("status")["accounts"] if a["running"])
began = time.monotonic()
g.close()
out["stop"] = time.monotonic() - began
print(json.dumps(out))
"""


def test_a_resolver_that_never_answers(request):
    from lib import netns
    if not netns.possible():
        pytest.skip("no right to make a network namespace")
    out = netns.run(HUNG_DNS, resolv_conf="nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    assert out["running"] == [f"hung{n}" for n in range(8)], "they still wait for their names"
    assert out["stop"] < 20, out
