"""When syncs run: schedule, daemon user, by hand, soon after queueing; the line's commands around them."""
import datetime
import sqlite3
import time

from lib import scratch
from lib.gateway import message


def starts(g):
    return [x for x in g.log().splitlines() if " sync.start " in x]


def command_line(g, up="true", down="true", **more):
    """Each sync leaves `up` and `down` in the file `line`."""
    f = g.home / "line"
    g.write({"connection": {"type": "command", "up": f'"echo up >> {f} && {up}"', "down": f'"echo down >> {f} && {down}"',
                            **more}})


def line(g):
    f = g.home / "line"
    return f.read_text().split() if f.exists() else []


def call_daemon(g, sender="anna@office.lan"):
    with g.smtp() as s:
        got = s.mail(sender, "daemon@office.lan", message("go", sender, "daemon@office.lan"))
        s.quit()
    return got


def test_every_zero_is_never(gateway):
    g = gateway()
    time.sleep(1.5)
    assert starts(g) == [] and g.json("status")["sync"] == {"running": False, "reason": "", "next_at": 0}


def test_every_is_first_at_start_and_counts_from_the_end(gateway):
    g = gateway(start=False)
    command_line(g, up="sleep 1")
    g.write({"sync": {"every": "1s"}})
    begin = time.monotonic()
    g.start()
    scratch.wait_for(lambda: len(starts(g)) >= 3, 20, "three syncs")
    assert time.monotonic() - begin > 3.5, "1 s of line and 1 s of pause, twice"
    assert all("reason=schedule" in x for x in starts(g))
    assert line(g)[:4] == ["up", "down", "up", "down"]


def test_at_missed_while_down_is_made_up_once(gateway):
    at = (datetime.datetime.now() - datetime.timedelta(minutes=2)).strftime("%H:%M")
    g = gateway({"sync": {"at": at}})
    time.sleep(1)
    assert starts(g) == [], "a new gateway has missed nothing"
    g.sync()
    g.stop()
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        db.execute("UPDATE sync_run SET started_at = ?", (int(time.time()) - 3 * 86400,))
    db.close()
    g.start()
    scratch.wait_for(lambda: len(starts(g)) == 2, 10, "the missed one")
    assert "reason=schedule" in starts(g)[1]
    time.sleep(1)
    g.restart()
    time.sleep(1.5)
    assert len(starts(g)) == 2


def test_daemon_starts_one_and_is_eaten(gateway):
    g = gateway()
    call_daemon(g)
    scratch.wait_for(lambda: starts(g), 10, "a sync")
    assert "daemon anna" in starts(g)[0]
    assert all(g.box(u) == [] for u in ("anna", "boris", "postmaster"))


def test_daemon_while_one_runs_follows_it_once(gateway):
    g = gateway(start=False)
    command_line(g, up="sleep 2")
    g.start()
    g.ctl_ok("sync")
    scratch.wait_for(lambda: line(g) == ["up"], 5, "the line going up")
    for _ in range(3):
        call_daemon(g)
    scratch.wait_for(lambda: line(g) == ["up", "down"] * 2, 15, "two syncs")
    time.sleep(1.5)
    assert len(starts(g)) == 2


def test_min_interval_delays_and_loses_nothing(gateway):
    g = gateway({"sync": {"min_interval": "4s"}})
    call_daemon(g)
    scratch.wait_for(lambda: len(starts(g)) == 1, 5, "the first")
    begin = time.monotonic()
    call_daemon(g)
    time.sleep(1.5)
    assert len(starts(g)) == 1
    scratch.wait_for(lambda: len(starts(g)) == 2, 10, "the second")
    assert time.monotonic() - begin > 2.5


def test_waiting_wish_survives_a_kill(gateway):
    g = gateway({"sync": {"min_interval": "1h"}})
    call_daemon(g)
    scratch.wait_for(lambda: len(starts(g)) == 1, 5, "the first")
    call_daemon(g)
    g.restart(kill=True)
    scratch.wait_for(lambda: len(starts(g)) == 2, 10, "the wish of the last life")
    time.sleep(0.5)
    g.restart(kill=True)
    time.sleep(1.5)
    assert len(starts(g)) == 2, "served once"


def test_up_fails(gateway):
    g = gateway(start=False)
    command_line(g, up="(echo no carrier >&2; exit 5)")
    g.start()
    for _ in range(2):
        p = g.ctl("sync", "--wait")
        assert p.returncode == 1 and "no carrier" in p.stderr
    assert line(g) == ["up", "down"] * 2, "down runs whatever happened"
    assert b"no carrier" in g.wait_box("postmaster")[0]
    time.sleep(0.5)
    assert len(g.box("postmaster")) == 1, "told once"
    command_line(g)
    g.reload()
    g.sync()
    command_line(g, up="(echo no dial tone >&2; exit 5)")
    g.reload()
    assert g.ctl("sync", "--wait").returncode == 1
    assert len(g.wait_box("postmaster", 2)) == 2, "and once more after it worked"


def test_hanging_up_is_killed(gateway):
    g = gateway(start=False)
    command_line(g, up="sleep 60", timeout="1s")
    g.start()
    begin = time.monotonic()
    p = g.ctl("sync", "--wait")
    assert p.returncode == 1 and "timeout" in p.stderr and time.monotonic() - begin < 10
    assert line(g) == ["up", "down"]


def test_line_left_up_by_a_crash_is_lowered(gateway):
    g = gateway(start=False)
    command_line(g, up="sleep 3")
    g.start()
    g.ctl_ok("sync")
    scratch.wait_for(lambda: line(g) == ["up"], 5, "the line going up")
    g.restart(kill=True)
    scratch.wait_for(lambda: "down" in line(g), 10, "the line going down")


def test_stop_in_the_middle_lowers_the_line(gateway):
    g = gateway(start=False)
    command_line(g, up="sleep 2")
    g.start()
    g.ctl_ok("sync")
    scratch.wait_for(lambda: line(g) == ["up"], 5, "the line going up")
    g.stop()
    assert line(g) == ["up", "down"]


def relay_keys(relay):
    return {"host": "127.0.0.1", "port": relay.port, "security": "none", "auth": "off"}


def test_on_send_on_a_lan(gateway, relay):
    g = gateway({"relay": relay_keys(relay), "sync": {"on_send": "auto"}})
    g.send("anna@office.lan", "x@far.example", message())
    relay.wait("x@far.example")
    assert starts(g) == [], "sending alone is no sync"


def test_on_send_no_waits_for_a_sync(gateway, relay):
    g = gateway({"relay": relay_keys(relay), "sync": {"on_send": "no"}})
    g.send("anna@office.lan", "x@far.example", message())
    g.wait_queue(1)
    time.sleep(4)
    assert len(g.queue_files()) == 1
    g.sync()
    relay.wait("x@far.example")


def test_auto_never_raises_a_command_line(gateway, relay):
    g = gateway({"relay": relay_keys(relay), "sync": {"on_send": "auto"}}, start=False)
    command_line(g)
    g.start()
    g.send("anna@office.lan", "x@far.example", message())
    g.wait_queue(1)
    time.sleep(4)
    assert line(g) == [] and len(g.queue_files()) == 1
    g.sync()
    relay.wait("x@far.example")
    assert line(g) == ["up", "down"]


def account(dovecot, user, **more):
    return {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": user, "password": "secret", **more}


def test_named_accounts_alone_and_no_sending(gateway, relay, dovecot):
    one, two = dovecot.add_user("when1"), dovecot.add_user("when2")
    dovecot.put(one, message("one"))
    dovecot.put(two, message("two"))
    g = gateway({"relay": relay_keys(relay), "account one": account(dovecot, one), "account two": account(dovecot, two)})
    g.send("anna@office.lan", "x@far.example", message())
    g.wait_queue(1)
    g.sync("one")
    assert dovecot.count(one) == 0 and dovecot.count(two) == 1 and len(g.queue_files()) == 1
    p = g.ctl("sync", "three", "--wait")
    assert p.returncode == 1 and "three" in p.stderr


def test_own_interval(gateway, dovecot):
    user = dovecot.add_user("when3")
    g = gateway({"account one": account(dovecot, user, every="1s")})
    for n in range(1, 3):
        dovecot.put(user, message(f"no {n}"))
        g.wait_box("boris", n)


def test_own_interval_never_raises_a_line(gateway, dovecot):
    user = dovecot.add_user("when4")
    g = gateway({"account one": account(dovecot, user, every="1s")}, start=False)
    command_line(g)
    g.start()
    dovecot.put(user, message())
    time.sleep(3)
    assert line(g) == [] and dovecot.count(user) == 1
