"""Replies that are odd and yet plain enough: nothing is collected twice, nobody is told of an error that is none."""
import base64
import json
import time

import pytest

from lib import scratch
from lib.gateway import message


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna"}
    keys.update(kw)
    return {k: v for k, v in keys.items() if v is not None}


def error(g):
    return g.json("status")["accounts"][0]["last_error"]


def once(p, verb, reply):
    """The verb's first use in a session from now on is answered so."""
    left = [reply]
    p.reply = lambda v, arg, n: left.pop() if v == verb and left else None


@pytest.mark.parametrize("caps", [("TOP", "UIDL", "USER", "PIPELINING"), ("TOP", "USER"), ()])
def test_uidl_refused_once_where_messages_are_kept(gateway, provider, caps):
    p = provider([message(f"m{n}") for n in range(30)], caps=caps)
    g = gateway({"account one": account(p, keep="forever")})
    g.sync()
    assert len(g.box("anna")) == 30
    p.reply = lambda verb, arg, n: "-ERR internal error 17" if verb == "UIDL" else None
    for _ in range(2):
        assert g.ctl("sync", "--wait").returncode == 1
    assert "internal error 17" in error(g)
    p.reply = lambda verb, arg, n: None
    p.put(message("new"))
    g.sync()
    assert len(g.box("anna")) == 31 and len(p.mail) == 31


def test_uidl_refused_at_the_first_collection(gateway, provider):
    """The server says that it knows UIDL: what stays there would come again under its UIDL later."""
    p = provider([message(f"m{n}") for n in range(5)])
    p.reply = lambda verb, arg, n: "-ERR no" if verb == "UIDL" else None
    g = gateway({"account one": account(p, keep="14d")})
    assert g.ctl("sync", "--wait").returncode == 1
    p.reply = lambda verb, arg, n: None
    g.sync()
    assert len(g.box("anna")) == 5


@pytest.mark.parametrize("keep", ["0", "forever"])
def test_a_server_without_uidl_is_collected(gateway, provider, keep):
    p = provider([message(f"m{n}") for n in range(5)], caps=("TOP", "USER"),
                 reply=lambda verb, arg, n: "-ERR unknown command" if verb == "UIDL" else None)
    g = gateway({"account one": account(p, keep=keep)})
    g.sync()
    g.sync()
    assert len(g.box("anna")) == 5 and len(p.mail) == (0 if keep == "0" else 5)


def test_uidl_without_names_where_messages_are_kept(gateway, provider):
    p = provider([message(f"m{n}", body=b"x" * n + b"\r\n") for n in range(6)])
    g = gateway({"account one": account(p, keep="forever")})
    g.sync()
    for odd in (b"+OK\r\n.\r\n", b"+OK\r\n1 u0\r\n2 \r\n3\r\n4 u3\r\n.\r\n"):
        p.reply = lambda verb, arg, n: odd if verb == "UIDL" else None
        g.ctl("sync", "--wait")
        assert len(g.box("anna")) == 6, odd
    p.reply = lambda verb, arg, n: None
    g.sync()
    assert len(g.box("anna")) == 6


@pytest.mark.parametrize("keep", ["0", "forever"])
def test_a_blank_uidl(gateway, provider, keep):
    p = provider([message(f"m{n}") for n in range(3)])
    p.shown = lambda uidl: "" if uidl == "u1" else uidl
    g = gateway({"account one": account(p, keep=keep)})
    g.sync()
    g.sync()
    assert g.subjects("anna") == ["m0", "m1", "m2"] and len(p.mail) == (0 if keep == "0" else 3)
    assert error(g) == ""


@pytest.mark.parametrize("keep", ["0", "forever"])
@pytest.mark.parametrize("shown_later", [True, False])
def test_mail_that_arrives_between_uidl_and_list(gateway, provider, keep, shown_later):
    p = provider([message("early")])
    came = []

    def reply(verb, arg, n):
        def late(s):
            rows = "".join(f"{i} {u}\r\n" for i, u, _ in s.rows() if shown_later or u == "u0")
            s.send(b"+OK\r\n" + rows.encode() + b".\r\n")
            if not came:
                came.append(n)
                p.put(message("late"))
                s.numbers = list(p.mail)
        return late if verb == "UIDL" else None

    p.reply = reply
    g = gateway({"account one": account(p, keep=keep)})
    g.sync()
    g.sync()
    assert g.subjects("anna") == ["early", "late"] and error(g) == ""
    assert len(p.mail) == (0 if keep == "0" else 2)


def test_uidl_names_what_list_never_shows(gateway, provider):
    """That nothing is collected there is no success."""
    p = provider([message("in")], reply=lambda v, arg, n: "+OK\r\n." if v == "LIST" else None)
    g = gateway({"account one": account(p)})
    assert g.ctl("sync", "--wait").returncode == 1
    assert "LIST shows none of them" in g.json("status")["accounts"][0]["last_error"]
    p.reply = lambda *a: None
    g.sync()
    assert g.subjects("anna") == ["in"] and p.mail == {} and g.box("postmaster") == []


@pytest.mark.parametrize("end", ["\n", "\r\r\n", " \r\n", "\t\r\n"], ids=["LF", "CR CR LF", "space", "TAB"])
def test_listings_whose_lines_end_otherwise(gateway, provider, end):
    p = provider([message("one"), message("two")])

    def reply(v, arg, n):
        def odd(s):
            rows = ["TOP", "UIDL"] if v == "CAPA" else [f"{i} {u if v == 'UIDL' else size}" for i, u, size in s.rows()]
            s.send(end.join(["+OK", *rows, ".", ""]).encode())
        return odd if v in ("CAPA", "UIDL", "LIST") and p.said("PASS") else None
    p.reply = reply
    g = gateway({"account one": account(p, timeout="3s")})
    g.sync()
    assert g.subjects("anna") == ["one", "two"] and p.mail == {}


def test_empty_lines_and_tabs(gateway, provider):
    p = provider([message(f"m{n}") for n in range(3)])

    def reply(verb, arg, n):
        def odd(s):
            rows = "\r\n\r\n".join(f"{i}\t{u if verb == 'UIDL' else size}" for i, u, size in s.rows())
            s.send(f"\r\n\r\n+OK\r\n\r\n{rows}\r\n\r\n.\r\n\r\n".encode())
        return {"UIDL": odd, "LIST": odd, "DELE": None}.get(verb)

    p.reply = reply
    g = gateway({"account one": account(p)})
    g.sync()
    assert g.subjects("anna") == ["m0", "m1", "m2"] and p.mail == {}


def test_empty_lines_without_an_end(gateway, provider):
    p = provider([message("in")], reply=lambda verb, arg, n: b"\r\n" * 100000 if verb == "USER" else None)
    g = gateway({"account one": account(p)})
    assert g.ctl("sync", "--wait").returncode == 1 and "empty lines" in error(g)


# ---- what a refusal means ----

@pytest.mark.parametrize("text", ["Your account has been blocked", "POP3 is disabled for this mailbox", "ERR.LOGIN.REQCODE",
                                  "NEOBHODIM parol prilozheniya / Application password is REQUIRED"])
def test_what_only_a_person_can_change_is_told_at_once(gateway, provider, text):
    p = provider([message("in")], reply=lambda verb, arg, n: "-ERR " + text if verb == "PASS" else None)
    g = gateway({"account one": account(p), "sync": {"every": "1s"}})
    told = g.wait_box("postmaster", 1)
    assert text.encode() in told[0] and b"Check user and password" in told[0]
    time.sleep(2)
    assert p.connections == 1


def test_a_login_put_off_ten_times_brings_the_advice(gateway, provider):
    text = "Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server."
    p = provider([message("in")], reply=lambda verb, arg, n: "-ERR " + text if verb == "PASS" else None)
    g = gateway({"account one": account(p), "sync": {"every": "1s"}})
    first, second = g.wait_box("postmaster", 2, seconds=40)[:2]
    assert b"3 times in a row" in first and text.encode() in first.replace(b"=\r\n", b"")
    assert b"10 log-ins in a row" in second and b"Check user and password" in second and text.encode() in second
    scratch.wait_for(lambda: p.connections >= 12, 20, "it goes on being tried")
    assert len(g.box("postmaster")) == 2
    p.reply = lambda verb, arg, n: None
    g.wait_box("anna", 1)
    assert b"works again" in g.wait_box("postmaster", 3)[2]


# ---- nothing to log in with ----

@pytest.mark.parametrize("command,words", [("true", "printed nothing"), ("echo", "printed nothing"),
                                           ("echo; echo secret", "printed an empty first line"),
                                           ("exit 3", "failed (status 3)"), ("printf '  '", "printed nothing")])
@pytest.mark.parametrize("auth", [None, "xoauth2"])
def test_no_password_no_login(gateway, provider, command, words, auth):
    p = provider([message("in")])
    g = gateway({"account one": account(p, password=None, password_command=f'"{command}"', auth=auth)})
    assert g.ctl("sync", "--wait").returncode == 1
    assert words in error(g), error(g)
    assert p.connections == 0, "nobody was asked"
    told = g.wait_box("postmaster", 1)[0]
    assert b"No password" in told and words.encode() in told and b"3 times" not in told
    assert g.ctl("sync", "--wait").returncode == 1 and len(g.box("postmaster")) == 1, "told once"
    g.reload({"account one": {"password_command": "echo secret", "auth": "auto"}})
    g.sync()
    assert g.subjects("anna") == ["in"]
    assert b"works again" in g.wait_box("postmaster", 2)[1]


def test_a_stale_token_is_told_as_a_token(gateway, provider):
    p = provider([message("in")], mechanisms=["XOAUTH2"], caps=("UIDL", "TOP"), password="fresh")
    g = gateway({"account one": account(p, auth="xoauth2", password=None, password_command="echo stale")})
    for _ in range(2):
        assert g.ctl("sync", "--wait").returncode == 1
    told = g.wait_box("postmaster", 1)[0]
    assert b"token" in told and b"app password" not in told and b'{"status":"401"}' in told
    assert base64.b64encode(b'{"status":"401"}') not in told and "token was refused" in error(g), json.dumps(error(g))
