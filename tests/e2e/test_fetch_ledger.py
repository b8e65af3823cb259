"""What is known of a mailbox decides: numbered anew, replaced, without UIDL, without TOP, a few at a time."""
import re
import sqlite3
import time

import pytest

from lib import scratch
from lib.gateway import message

ALL, NO_TOP = ("UIDL", "USER", "TOP", "PIPELINING"), ("UIDL", "USER", "PIPELINING")


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": "forever",
            "deliver": "anna"}
    keys.update(kw)
    return keys


def held(g):
    return g.json("status")["accounts"][0]["held"]


def names(n, prefix="m"):
    return [f"{prefix}{i:02}" for i in range(n)]


def mail(n, prefix="m"):
    return [message(s) for s in names(n, prefix)]


def numbered_anew(gateway, provider, caps, messages=25, **kw):
    p = provider(mail(messages), caps=caps)
    g = gateway({"account one": account(p, **kw)})
    g.sync()
    g.wait_box("anna", messages)
    p.shown = lambda uidl: "other." + uidl
    return p, g


def test_numbered_anew_is_taken_over_silently(gateway, provider):
    p, g = numbered_anew(gateway, provider, ALL)
    g.sync()
    p.put(message("new"))
    g.sync()
    g.wait_box("anna", 26)
    assert g.subjects("anna") == names(25) + ["new"] and len(p.said("RETR")) == 26 and p.said("DELE") == []
    assert not held(g) and g.box("postmaster") == []


def test_replaced_by_other_mail_is_new_mail(gateway, provider):
    p = provider(mail(25))
    g = gateway({"account one": account(p)})
    g.sync()
    p.mail = {f"n{n}": m for n, m in enumerate(mail(25, "other"))}
    g.sync()
    g.wait_box("anna", 50)
    assert g.subjects("anna") == names(25) + names(25, "other") and not held(g)


def test_few_records_pull_no_brake(gateway, provider):
    p, g = numbered_anew(gateway, provider, NO_TOP, messages=10)
    g.sync()
    g.wait_box("anna", 20)
    assert not held(g)


def test_without_top_the_account_is_held(gateway, provider):
    p, g = numbered_anew(gateway, provider, NO_TOP)
    for kill in (None, True):
        assert g.ctl("sync", "--wait").returncode == 1
        assert held(g)
        assert len(g.box("postmaster")) == 1, "told before the sync is over"
        if kill:
            g.restart(kill=True)
    assert len(p.said("RETR")) == 25 and p.said("DELE") == []
    assert b"ofmctl account resume" in g.wait_box("postmaster", 1)[0]
    time.sleep(0.5)
    assert len(g.box("postmaster")) == 1, "told once, before the kill"


def test_hold_ends_with_known(gateway, provider):
    p, g = numbered_anew(gateway, provider, NO_TOP)
    g.ctl("sync", "--wait")
    g.ctl_ok("account", "resume", "one", "--known")
    g.sync()
    p.put(message("new"))
    g.sync()
    g.wait_box("anna", 26)
    assert g.subjects("anna") == names(25) + ["new"] and not held(g) and len(p.mail) == 26


def test_hold_ends_with_all(gateway, provider):
    p, g = numbered_anew(gateway, provider, NO_TOP)
    g.ctl("sync", "--wait")
    g.ctl_ok("account", "resume", "one", "--all")
    g.sync()
    g.wait_box("anna", 50)
    g.sync()
    time.sleep(0.3)
    assert g.subjects("anna") == sorted(names(25) * 2) and not held(g)


def test_known_mail_of_a_held_account_is_deleted_where_nothing_is_kept(gateway, provider):
    """keep = 0 after a hold: what the administrator calls known was collected, so it may go."""
    p, g = numbered_anew(gateway, provider, NO_TOP)
    g.ctl("sync", "--wait")
    g.reload({"account one": {"keep": 0}})
    assert g.ctl("sync", "--wait").returncode == 1 and len(p.mail) == 25
    g.ctl_ok("account", "resume", "one", "--known")
    g.sync()
    assert p.mail == {} and len(g.box("anna")) == 25


def test_resume_is_refused_where_nothing_is_held(gateway, provider):
    p = provider()
    g = gateway({"account one": account(p)})
    for args in (("one", "--known"), ("two", "--all"), ("one",)):
        r = g.ctl("account", "resume", *args)
        assert r.returncode == 1 and r.stderr


@pytest.mark.parametrize("keep", [0, "forever"])
@pytest.mark.parametrize("caps", [("USER", "TOP", "PIPELINING"), ("USER", "PIPELINING")], ids=["TOP", "no TOP"])
def test_a_server_without_uidl(gateway, provider, keep, caps):
    twin = message("twin")
    p = provider([*mail(5), twin, twin], caps=caps, reply=lambda verb, arg, n: "-ERR what" if verb == "UIDL" or (
        verb == "TOP" and "TOP" not in caps) else None)
    g = gateway({"account one": account(p, keep=keep)})
    for _ in range(2):
        g.sync()
    p.put(message("new"))
    g.restart(kill=True)
    for _ in range(2):
        g.sync()
    g.wait_box("anna", 8)
    time.sleep(0.3)
    assert g.subjects("anna") == names(5) + ["new", "twin", "twin"]
    assert len(p.mail) == (0 if keep == 0 else 8)


@pytest.mark.parametrize("most", [50, 201, 250])
def test_a_few_at_a_time_until_all_are_here(gateway, provider, most):
    n = most * 3 + 1
    p = provider(mail(n))
    p.list_most = most
    g = gateway({"account one": account(p, keep=0)})
    g.sync()
    g.wait_box("anna", n)
    assert len(set(g.subjects("anna"))) == n and p.mail == {}


def test_mail_that_arrives_meanwhile_comes_with_the_next_sync(gateway, provider):
    late = [message("late")]
    p = provider(mail(2))
    p.reply = lambda verb, arg, n: p.put(late.pop()) if verb == "RETR" and late else None
    g = gateway({"account one": account(p, keep=0)})
    g.sync()
    assert g.subjects("anna") == names(2) and p.connections == 1
    g.sync()
    g.wait_box("anna", 3)
    assert "late" in g.subjects("anna") and p.connections == 2


def test_a_mailbox_known_to_be_listed_whole_is_not_looked_at_twice(gateway, provider):
    p = provider(mail(50))
    g = gateway({"account one": account(p, keep=0)})
    g.sync()
    assert p.connections == 2
    p.put(*mail(50, "more"))
    g.sync()
    g.wait_box("anna", 100)
    assert p.connections == 3
    p.put(*mail(49, "few"))
    g.sync()
    assert p.connections == 4


def test_kept_for_a_while_and_then_deleted(gateway, provider):
    p = provider(mail(3))
    g = gateway({"account one": account(p, keep="14d")})
    g.sync()
    g.sync()
    assert len(p.mail) == 3
    g.stop()
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        assert db.execute("UPDATE ledger SET stored_at = stored_at - 15 * 86400 WHERE uidl != 'u1'").rowcount == 2
    db.close()
    g.start()
    g.sync()
    assert list(p.mail) == ["u1"] and g.subjects("anna") == names(3)


def seed(g, rows):
    """Closed records of earlier days."""
    g.stop()
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        db.executemany("INSERT INTO ledger(host, user, uidl, size, digest, stored_at, closed, skipped, missed) "
                       "VALUES('127.0.0.1', 'u', ?, 100, zeroblob(32), ?, 1, 0, ?)", rows)
    db.close()
    g.start()


def ledger(g):
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        rows = db.execute("SELECT uidl, missed FROM ledger WHERE user = 'u' AND closed").fetchall()
    db.close()
    return dict(rows)


def test_a_long_ledger_costs_a_session_nothing(gateway, provider):
    """What lies behind is neither read nor written; what comes back of it is known all the same."""
    p = provider(mail(3))
    g = gateway({"account one": account(p, keep=0)})
    back = dict(p.mail)
    g.sync()
    g.wait_box("anna", 3)
    assert not p.mail
    seed(g, [(f"old{i:05}", int(time.time()) - 86400, 0) for i in range(5000)])
    p.mail.update(back)
    p.put(message("new"))
    g.sync()
    g.wait_box("anna", 4)
    assert not p.mail and g.subjects("anna") == names(3) + ["new"], "deleted again, and not stored twice"
    read = [int(n) for n in re.findall(r"fetch\.listed .*?records=(\d+)", g.log())]
    assert len(read) >= 2 and max(read) <= 4, read
    after = ledger(g)
    assert len(after) == 5004 and not any(after.values())


def test_old_records_go_after_three_listings_without_them(gateway, provider):
    p = provider(mail(1))
    g = gateway({"account one": account(p)})
    long_ago = int(time.time()) - 40 * 86400
    g.sync()
    seed(g, [(f"gone{i}", long_ago, 0) for i in range(10)] + [("lately", int(time.time()) - 86400, 0)])
    for missed in (1, 2):
        g.sync("one")
        assert ledger(g) == {**{f"gone{i}": missed for i in range(10)}, "lately": 0}
    g.sync("one")
    assert ledger(g) == {"lately": 0}


def test_a_deletion_that_is_refused_is_tried_again(gateway, provider):
    p = provider(mail(2), reply=lambda verb, arg, n: "-ERR not this one" if verb == "DELE" and n == 1 else None)
    g = gateway({"account one": account(p, keep=0)})
    g.sync()
    g.sync()
    g.wait_box("anna", 2)
    assert p.mail == {} and g.subjects("anna") == names(2)


def test_a_quit_that_is_refused_or_lost_deletes_and_repeats_nothing(gateway, provider):
    from lib.pop3liar import DROP
    p = provider(mail(2), reply=lambda verb, arg, n: {1: "-ERR [SYS/TEMP] later", 2: DROP}.get(n) if verb == "QUIT" else None)
    g = gateway({"account one": account(p, keep=0)})
    for _ in range(2):
        assert g.ctl("sync", "--wait").returncode == 1 and len(p.mail) == 2
    g.sync()
    time.sleep(0.3)
    assert p.mail == {} and g.subjects("anna") == names(2) and len(p.said("RETR")) == 2


def test_we_hang_up_where_the_server_does_not(gateway, provider):
    """After deletions too: a connection left behind would stay until the server's own limit."""
    def stays(session):
        p.mail.clear()
        session.send(b"+OK bye\r\n")
        session.hang()
    p = provider(mail(2), reply=lambda verb, arg, connection: stays if verb == "QUIT" else None)
    g = gateway({"account one": account(p, keep="0")})
    g.sync()
    g.wait_box("anna", 2)
    assert len(p.said("DELE")) >= 2
    scratch.wait_for(lambda: p.at_once == 0, 20, "the end of our connection")


def test_two_ports_of_one_host_are_two_mailboxes(gateway, provider):
    """Tunnels to two providers, which number alike."""
    one, other = provider(mail(3, "a"), caps=ALL), provider(mail(3, "b"), caps=ALL)
    g = gateway({"account one": account(one), "account other": account(other)})
    g.sync()
    assert g.subjects("anna") == names(3, "a") + names(3, "b")
    third = provider(mail(3, "a"), caps=ALL)
    g.reload({"account one": {"port": third.port}})
    g.sync()
    assert len(g.box("anna")) == 6, "the first one's records outlive a change of its port"
