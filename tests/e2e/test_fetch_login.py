"""Logging in: what a refusal means, what postmaster hears of it, and each way of proving who one is."""
import time

import pytest

from lib import scratch
from lib.gateway import message
from lib.tunnel import Tunnel


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna"}
    keys.update(kw)
    return {k: v for k, v in keys.items() if v is not None}


def at_pass(text):
    return lambda verb, arg, n: text if verb == "PASS" else None


def error(g):
    return g.json("status")["accounts"][0]["last_error"]


@pytest.mark.parametrize("text", ["-ERR [IN-USE] locked", "-ERR [LOGIN-DELAY] too soon", "-ERR [SYS/TEMP] later",
                                  "-ERR mailbox is locked by another session"])
def test_later_is_no_wrong_password(gateway, provider, text):
    """It goes on being tried; postmaster hears of the third time in a row, once, and of the end."""
    p = provider([message("in")], reply=at_pass(text))
    g = gateway({"account one": account(p), "sync": {"every": "1s"}})
    scratch.wait_for(lambda: p.connections >= 6, 20, "six tries")
    told = g.wait_box("postmaster", 1)
    assert b"3 times in a row" in told[0] and len(told) == 1
    p.reply = lambda verb, arg, n: None
    g.wait_box("anna", 1)
    assert b"works again" in g.wait_box("postmaster", 2)[1]


def test_auth_stops_trying_until_a_reload(gateway, provider):
    p = provider([message("in")], reply=at_pass("-ERR [AUTH] no"))
    g = gateway({"account one": account(p), "sync": {"every": "1s"}})
    assert b"refuses the log-in" in g.wait_box("postmaster", 1)[0]
    time.sleep(3)
    assert p.connections == 1
    told = g.ctl("sync", "--wait")
    assert told.returncode == 1 and p.connections == 1 and "ofmctl reload" in told.stderr, "nor by hand"
    assert g.ctl("sync", "one", "--wait").returncode == 1 and p.connections == 2, "unless the account is named"
    g.reload()
    scratch.wait_for(lambda: p.connections == 3, 10, "a new chance after the reload")
    time.sleep(2.5)
    assert p.connections == 3 and len(g.box("postmaster")) == 1, "told once"
    p.reply = lambda verb, arg, n: None
    g.sync("one")
    assert b"works again" in g.wait_box("postmaster", 2)[1]


def test_a_refusal_without_a_reason_counts_as_wrong_the_second_time(gateway, provider):
    p = provider([message("in")], reply=at_pass("-ERR no"))
    g = gateway({"account one": account(p), "sync": {"every": "1s"}})
    g.wait_box("postmaster", 1)
    time.sleep(2.5)
    assert p.connections == 2


def test_told_once_survives_a_restart(gateway, provider):
    p = provider([message("in")], reply=at_pass("-ERR [AUTH] no"))
    g = gateway({"account one": account(p)})
    g.ctl("sync", "--wait")
    g.wait_box("postmaster", 1)
    g.restart(kill=True)
    g.ctl("sync", "--wait")
    time.sleep(0.5)
    assert len(g.box("postmaster")) == 1
    p.reply = lambda verb, arg, n: None
    g.sync("one")
    g.wait_box("postmaster", 2)


def test_login_delay_is_kept_even_by_hand(gateway, provider):
    p = provider([message("in")], caps=("UIDL", "USER", "TOP", "LOGIN-DELAY 4"))
    g = gateway({"account one": account(p), "sync": {"every": "1s"}})
    g.wait_box("anna", 1)
    assert p.connections == 1
    r = g.ctl("sync", "one", "--wait")
    assert r.returncode == 1 and "LOGIN-DELAY" in r.stdout + r.stderr and p.connections == 1
    begin = time.monotonic()
    scratch.wait_for(lambda: p.connections == 2, 10, "the next by the schedule")
    assert time.monotonic() - begin > 1


def test_busy_greeting_is_later(gateway, provider):
    p = provider([message("in")], greeting="-ERR [SYS/TEMP] too busy")
    g = gateway({"account one": account(p)})
    told = g.ctl("sync", "--wait")
    assert told.returncode == 1 and g.box("postmaster") == []
    assert "the server refuses this connection: -ERR" in told.stderr
    p.greeting = "+OK ready"
    g.sync()
    g.wait_box("anna", 1)


# ---- mechanisms ----

TOKEN = "ya29." + "A1b-_~" * 1200  # beyond 4,096 bytes


@pytest.mark.parametrize("token", ["short", TOKEN])
def test_xoauth2_in_two_steps(gateway, provider, token):
    """The form that Microsoft wants: the token follows the server's "+"."""
    p = provider([message("in")], mechanisms=["PLAIN", "XOAUTH2"], caps=("UIDL", "TOP"), password=token)
    f = scratch.folder("token")
    try:
        (f / "token").write_text(token + "\n")
        g = gateway({"account one": account(p, auth="xoauth2", user="me@firm.example", password=None,
                                            password_command=f"cat {f}/token")})
        g.sync()
        g.wait_box("anna", 1)
        assert [(user, how) for _, user, how, _ in p.logins][:1] == [("me@firm.example", "XOAUTH2 in two steps")]
        assert p.said("AUTH")[0] == "AUTH XOAUTH2" and token not in g.log()
    finally:
        scratch.remove(f)


def test_xoauth2_with_an_old_token(gateway, provider):
    """The reason comes as a challenge that has to be answered; each log-in asks the command anew."""
    p = provider([message("in")], mechanisms=["XOAUTH2"], caps=("UIDL", "TOP"), password="fresh")
    f = scratch.folder("token")
    try:
        (f / "token").write_text("old\n")
        g = gateway({"account one": account(p, auth="xoauth2", password=None, password_command=f"cat {f}/token")})
        assert g.ctl("sync", "--wait").returncode == 1
        assert "refused" in error(g) and p.said("PASS") == []
        (f / "token").write_text("fresh\n")
        g.sync()
        g.wait_box("anna", 1)
    finally:
        scratch.remove(f)


@pytest.mark.parametrize("auth,how", [("cram-md5", "CRAM-MD5"), ("plain", "PLAIN"), ("auto", "PLAIN")])
def test_sasl(gateway, provider, auth, how):
    p = provider([message("in")], mechanisms=["PLAIN", "CRAM-MD5"], caps=("UIDL", "TOP"))
    g = gateway({"account one": account(p, auth=auth)})
    g.sync()
    g.wait_box("anna", 1)
    assert p.logins[0][2] == how and p.said("PASS") == []


@pytest.mark.parametrize("auth", ["apop", "cram-md5", "xoauth2"])
def test_nothing_weaker_than_what_is_configured(gateway, provider, auth):
    p = provider([message("in")], mechanisms=["PLAIN"])
    g = gateway({"account one": account(p, auth=auth)})
    assert g.ctl("sync", "--wait").returncode == 1
    assert p.logins == [] and p.said("PASS") == []


@pytest.mark.parametrize("command,word", [("false", "failed"), ("echo oops >&2; exit 7", "status 7"), ("true", "in")])
def test_password_command_that_fails(gateway, provider, command, word):
    p = provider([message("in")])
    g = gateway({"account one": account(p, password=None, password_command=f'"{command}"')})
    assert g.ctl("sync", "--wait").returncode == 1
    assert word in error(g)
    assert p.said("PASS") in ([], ["PASS "])


# ---- proxies ----

@pytest.mark.parametrize("scheme", ["socks5h", "http"])
@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
def test_proxy(gateway, provider, ca, scheme, security):
    """The proxy gets the name, not an address of ours; the certificate is checked for that name."""
    p = provider([message("in")], tls={"none": None, "tls": "tls", "starttls": "stls"}[security],
                 cert=ca.issue("pop.far.test"))
    t = Tunnel({f"pop.far.test:{p.port}": p.port})
    g = gateway({"connection": {"proxy": f"{scheme}://127.0.0.1:{t.port}"},
                 "account one": account(p, host="pop.far.test", security=security, ca_file=ca.cert)})
    g.sync()
    g.wait_box("anna", 1)
    assert set(t.asked) == {(scheme.rstrip("h"), f"pop.far.test:{p.port}")} and p.mail == {}
    t.close()


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_a_proxy_that_refuses(gateway, provider, scheme):
    p = provider([message("in")])
    t = Tunnel({})
    g = gateway({"connection": {"proxy": f"{scheme}://127.0.0.1:{t.port}"}, "account one": account(p, host="pop.far.test")})
    assert g.ctl("sync", "--wait").returncode == 1
    assert p.connections == 0 and "prox" in error(g).lower(), error(g)
    t.close()
