"""ofmctl metrics for Prometheus, ofmctl health for Nagios, and what etc/ has for both."""
import json
import socket
import threading
import os
import re
import shutil
import subprocess
import time

import pytest

from lib import gateway as gw, liar, scratch
from lib.gateway import message

SAMPLE = re.compile(r'^([a-z_:][a-z0-9_:]*)(?:\{([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"\})? (-?\d+)$')


def parsed(text):
    """{(name, label value): number}; every line must be as the format wants it."""
    found, types, helps = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line[7:].split()
            assert name not in types and kind in ("counter", "gauge") and (kind == "counter") == name.endswith("_total")
            types[name] = kind
        elif line.startswith("# HELP "):
            helps.add(line.split()[2])
        else:
            m = SAMPLE.match(line)
            assert m and m[1] in types and m[1] in helps, line
            assert (m[1], m[3]) not in found
            found[m[1], m[3]] = int(m[4])
    assert text.endswith("\n")
    return found


def traffic(gateway, more=None):
    relay = liar.Liar(lambda verb, arg, c: "450 later" if verb == "RCPT" and "slow" in arg else None)
    g = gateway(gw.merged({"relay": {"host": "127.0.0.1", "port": relay.port, "security": "none"}}, more))
    g.send("anna@office.lan", ["boris", "ok@far.example", "slow@far.example"], message(body=b"x" * 2000 + b"\r\n"))
    g.wait_queue(1)
    g.ctl("sync", "--wait")
    relay.close()
    return g


def test_metrics(gateway):
    g = traffic(gateway, {'account a\\b': {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none", "user": "u",
                                           "password": "x"}})
    m = parsed(g.ctl_ok("metrics"))
    assert m["ofmsrv_up", None] == 1 and m["ofmsrv_disk_has_room", None] == 1
    assert m["ofmsrv_messages_total", "accepted"] == 1 and m["ofmsrv_message_bytes_total", "accepted"] > 2000
    assert m["ofmsrv_recipients_total", "sent"] == 1 and m["ofmsrv_recipients_total", "deferred"] == 1
    assert m["ofmsrv_queue_messages", None] == 1 and 0 <= m["ofmsrv_queue_oldest_age_seconds", None] < 120
    assert m["ofmsrv_account_up", r"a\\b"] == 0 and m["ofmsrv_account_last_collection_timestamp_seconds", r"a\\b"] > 0
    assert m["ofmsrv_connections", "control"] == 1
    assert abs(m["ofmsrv_start_time_seconds", None] - time.time()) < 120


def test_output_is_atomic_and_says_down(gateway):
    g = traffic(gateway)
    out = g.home / "ofmsrv.prom"
    g.ctl_ok("metrics", "--output", out)
    first = out.stat().st_ino
    assert parsed(out.read_text())["ofmsrv_up", None] == 1 and out.stat().st_mode & 0o777 == 0o644
    g.stop()
    p = g.ctl("metrics", f"--output={out}")
    assert p.returncode == 1 and "no ofmsrv answers" in p.stderr
    assert parsed(out.read_text()) == {("ofmsrv_up", None): 0} and out.stat().st_ino != first
    assert [f.name for f in g.home.glob("ofmsrv.prom*")] == ["ofmsrv.prom"]
    assert g.ctl("metrics", "--output", g.home / "no/such").returncode == 1


def test_json(gateway):
    g = traffic(gateway)
    m = g.json("metrics")
    assert m["totals"]["accepted"]["count"] == 1 and m["queue"]["length"] == 1 and "ok" not in m
    p = g.ctl("metrics", "--json", "--output", g.home / "m.prom")
    assert p.returncode == 1 and "--json goes to the standard output" in p.stderr and not (g.home / "m.prom").exists()
    h = g.json("health")
    assert (h["health"], h["queue"], h["accounts"], h["accounts_failing"]) == ("ok", 1, 0, 0) and h["text"]
    g.stop()
    p = g.ctl("health", "--json")
    assert p.returncode == 2 and json.loads(p.stdout)["health"] == "critical"
    p = g.ctl("metrics", "--json")
    assert p.returncode == 1 and p.stdout == "" and "no ofmsrv answers" in p.stderr


def test_promtool(gateway):
    promtool = shutil.which("promtool") or scratch.ROOT / "build/tools/promtool"
    if not os.access(promtool, os.X_OK):
        pytest.skip("promtool is not here, and tools/promtool.sh could not fetch it")
    g = traffic(gateway)
    p = subprocess.run([promtool, "check", "metrics"], input=g.ctl_ok("metrics"), capture_output=True, text=True)
    assert p.returncode == 0 and not p.stdout + p.stderr
    p = subprocess.run([promtool, "check", "rules", scratch.ROOT / "etc/prometheus-alerts.yml"], capture_output=True,
                       text=True)
    assert p.returncode == 0, p.stdout + p.stderr


def test_dashboard_and_alerts_name_what_there_is(gateway):
    g = traffic(gateway)
    names = {name for name, _ in parsed(g.ctl_ok("metrics"))}
    names |= {"ofmsrv_account_up", "ofmsrv_account_held", "ofmsrv_account_collected_messages_total"}  # there is no account
    dashboard = json.loads((scratch.ROOT / "etc/grafana-dashboard.json").read_text())
    text = json.dumps([t["expr"] for p in dashboard["panels"] for t in p["targets"]])
    text += "".join(line for line in (scratch.ROOT / "etc/prometheus-alerts.yml").read_text().splitlines() if "expr:" in line)
    used = set(re.findall(r"\bofmsrv_[a-z_]+", text))
    assert len(used) > 10 and used <= names, used - names


# ---- health ----

def health(g, *args):
    p = g.ctl("health", *args)
    assert p.stdout.count("\n") == 1 and p.stdout.startswith("OFMSRV ") and len(p.stdout) < 1000, p.stdout
    return p.returncode, p.stdout


def test_health_ok_and_down(gateway):
    g = gateway()
    status, line = health(g)
    assert status == 0 and line.startswith("OFMSRV OK - 0 accounts, 0 in the queue | queue=0;;;0 ")
    g.stop()
    status, line = health(g)
    assert status == 2 and "CRITICAL - ofmsrv does not answer" in line


def test_health_queue_age(gateway):
    g = traffic(gateway)
    assert health(g)[0] == 0
    time.sleep(2.1)
    assert health(g, "--warning", "1s")[0] == 1
    status, line = health(g, "--warning=1s", "--critical=2s")
    assert status == 2 and "1 message waits, the oldest for" in line
    p = g.ctl("health", "--warning", "soon")
    assert p.returncode == 3 and "usage: ofmctl" in p.stderr
    assert g.ctl("health", "--wrong").returncode == 3


def test_health_accounts(gateway, dovecot, mailbox):
    good = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox, "password": "secret"}
    bad = dict(good, port=scratch.free_port())
    g = gateway({"account good": good, "account bad": bad})
    g.ctl("sync", "--wait")
    status, line = health(g)
    assert status == 1 and "bad: " in line and "good" not in line and "accounts_failing=1;1;;0;2" in line
    g.drop("account good")
    g.ctl_ok("reload")
    g.ctl("sync", "--wait")
    status, line = health(g)
    assert status == 2 and "no account can be collected" in line, "the only one"
    g.reload({"account good": bad, "account bad": bad})
    g.ctl("sync", "--wait")
    status, line = health(g)
    assert status == 2 and "no account can be collected" in line


def test_a_reply_with_a_vertical_bar_or_a_newline(gateway):
    """The provider's words stand before the plugin's figures, and are told apart from them."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)

        def greet():
            while True:
                try:
                    c, _ = listening.accept()
                except OSError:
                    return
                c.sendall(b"-ERR [SYS/TEMP] a | b=1;2;3 | c\x1b[31m\r\n")
                c.close()
        threading.Thread(target=greet, daemon=True).start()
        accounts = {f"account a|{i}": {"host": "127.0.0.1", "port": listening.getsockname()[1], "security": "none", "user": "u",
                                       "password": "p"} for i in range(30)}
        g = gateway(accounts)
        g.ctl("sync", "--wait")
        status, line = health(g)
        assert status == 2 and line.count("|") == 1 and "\x1b" not in line and "\n" not in line.rstrip("\n")
        text, figures = line.split("|")
        assert "a / b=1;2;3 / c" in text and len(text) < 3000 and " more" in text and figures.strip().startswith("queue=")
        assert "|" not in json.loads(g.ctl("health", "--json").stdout)["text"]
