"""Commands that write into the ini file: rule add, account add, enable, disable. Nothing else of the file may change."""
import os
import pty
import subprocess

from lib import gateway as gw
from lib.gateway import message

PRECIOUS = """\
; the firm's own words
[server]
hostname = gate.test
domain = office.lan   ; a comment
[pop3]
bind = 127.0.0.1
port = {pop3}
[smtp]
bind = 127.0.0.1
port = {smtp}
[sync]
every = 0
[user anna]\talias =x
[user boris]
alias = boris@firm.example
"""


def written(gateway, **kw):
    """A gateway whose ini file is full of a person's habits."""
    g = gateway(start=False, **kw)
    text = PRECIOUS.format(pop3=g.pop3_port, smtp=g.smtp_port).replace("[user anna]\talias =x", "[user anna]\nALIAS\t=  anna@firm.example")
    g.ini_path.write_text(text)
    g.ini_path.chmod(0o640)
    g.start()
    return g, text


def with_input(g, text, *args):
    return subprocess.run([gw.OFMCTL, "-d", str(g.home), *args], input=text, capture_output=True, text=True, timeout=60)


def test_rule_add_and_list(gateway, dovecot, mailbox):
    g, text = written(gateway)
    p = g.ctl("rule", "add", "Счета", "--field", "Subject, X-Kind", "--contains", 'счёт; "№"', "--deliver", "anna,boris", "--stop")
    assert p.returncode == 0 and "in force" in p.stdout, p.stderr
    after = g.ini_path.read_text()
    assert after.startswith(text) and after[len(text):] == (
        "\n[rule Счета]\nfield = Subject, X-Kind\ncontains = 'счёт; \"№\"'\ndeliver = anna,boris\nstop = yes\n")
    assert g.ini_path.stat().st_mode & 0o777 == 0o640
    r = g.json("rule", "list")["rules"][0]
    assert (r["name"], r["contains"], r["deliver"], r["stop"]) == ("Счета", 'счёт; "№"', "anna, boris", True)
    assert "Счета" in g.ctl_ok("rule")
    g.ctl_ok("rule", "add", "all", "--field", "Subject", "--contains", "x", "--deliver", "anna", "--not", "--copy", "--stop")
    assert "not, copy, stop" in g.ctl_ok("rule")
    # It is in force: collected mail goes by it.
    dovecot.put(mailbox, message('Счёт; "№" 5', to="boris@firm.example"))
    p = with_input(g, "secret\n", "account", "add", "shop", "--host", "127.0.0.1", "--port", str(dovecot.port),
                   "--security", "none", "--user", mailbox)
    assert p.returncode == 0, p.stderr
    g.sync("shop")
    assert len(g.wait_box("anna")) == 1 and len(g.box("boris")) == 1


def test_rule_add_refused(gateway):
    g, text = written(gateway)
    g.ctl_ok("rule", "add", "one", "--field", "Subject", "--contains", "x", "--deliver", "anna")
    before = g.ini_path.read_bytes()
    for args, why in ((["add", "one", "--field", "To", "--contains", "x", "--deliver", "anna"], "already"),
                      (["add", "two", "--field", "To", "--contains", "x", "--deliver", "nobody"], "no user or group nobody"),
                      (["add", "two", "--field", "To", "--matches", "(", "--deliver", "anna"], "pattern"),
                      (["add", "a:b", "--field", "To", "--contains", "x", "--deliver", "anna"], "a:b"),
                      (["add", "two", "--field", "To", "--deliver", "anna"], "usage"),
                      (["add", "two", "--field", "To", "--contains", "x\ny", "--deliver", "anna"], "several lines"),
                      (["ad", "two"], "did you mean add?"), (["add", "--fild", "x"], "did you mean --field?")):
        p = g.ctl("rule", *args)
        assert p.returncode == 1 and why in p.stderr, (args, p.stderr)
        assert g.ini_path.read_bytes() == before
    assert not list(g.ini_path.parent.glob(".ofmsrv.*"))


def test_rule_test(gateway):
    g, _ = written(gateway)
    g.ctl_ok("rule", "add", "first", "--field", "Subject", "--contains", "x", "--deliver", "boris", "--stop")
    g.ctl_ok("rule", "add", "inv", "--field", "Subject", "--matches", r"^inv-\d+", "--deliver", "anna")
    yes, no = g.home / "yes.eml", g.home / "no.eml"
    yes.write_bytes(message("INV-12 x"))
    no.write_bytes(message("other"))
    rows = {r["file"]: r["matches"] for r in g.json("rule", "test", "inv", yes, no)["messages"]}
    assert rows == {str(yes): True, str(no): False}, "another rule's stop does not count"
    before = g.ini_path.read_bytes()
    rows = g.json("rule", "test", "--field", "Subject", "--contains", "OTHER", yes, no)["messages"]
    assert [r["matches"] for r in rows] == [False, True]
    assert g.ini_path.read_bytes() == before
    assert g.ctl("rule", "test", "nosuch", yes).returncode == 1


def test_account_add_enable_disable(gateway):
    g, text = written(gateway)
    p = with_input(g, "p;w #1\n", "account", "add", "info", "--host", "pop.provider.example", "--user", "info@firm.example",
                   "--keep", "7d")
    assert p.returncode == 0, p.stderr
    assert g.ini_path.read_text() == text + ("\n[account info]\nhost = pop.provider.example\nuser = info@firm.example\n"
                                             'password = "p;w #1"\nkeep = 7d\n')
    assert "p;w" not in p.stdout + p.stderr + g.log()
    assert g.json("account")["accounts"][0]["enabled"] is True
    g.ctl_ok("account", "disable", "info")
    assert g.json("status")["accounts"][0]["enabled"] is False
    g.ctl_ok("account", "enable", "info")
    after = g.ini_path.read_text()
    assert after.count("enabled = yes") == 1 and after.replace("enabled = yes\n", "").startswith(text)
    assert "Try it: ofmctl test account \"info\"" in p.stdout and "deleted at the provider" not in p.stdout
    p = with_input(g, "x\n", "account", "add", "second", "--host", "pop.provider.example", "--user", "second@firm.example")
    assert "deleted at the provider once it is safe here" in p.stdout, "nobody said how long it is kept there"
    before = g.ini_path.read_text()
    p = with_input(g, "both;'\"\n", "account", "add", "third", "--host", "pop.provider.example", "--user", "third")
    assert p.returncode == 1 and "write password_file" in p.stderr and g.ini_path.read_text() == before
    p = g.ctl("account", "disable", "nosuch")
    assert p.returncode == 1 and "nosuch" in p.stderr
    p = g.ctl("account", "disabel", "info")
    assert p.returncode == 1 and "did you mean disable?" in p.stderr


def test_works_without_a_daemon_and_not_on_a_faulty_file(gateway):
    g, text = written(gateway)
    g.stop()
    assert "not running" in g.ctl_ok("rule", "add", "one", "--field", "Subject", "--contains", "x", "--deliver", "anna")
    g.ini_path.write_text(text + "nonsense = 1\n")
    p = g.ctl("rule", "add", "two", "--field", "Subject", "--contains", "x", "--deliver", "anna")
    assert p.returncode == 1 and "nonsense" in p.stderr and g.ini_path.read_text() == text + "nonsense = 1\n"


def test_progress_bar_on_a_terminal_alone(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("one"))
    g, _ = written(gateway)
    with_input(g, "secret\n", "account", "add", "shop", "--host", "127.0.0.1", "--port", str(dovecot.port), "--security", "none",
               "--user", mailbox)
    g.signal(19)  # SIGSTOP: whatever is asked takes long
    main, side = pty.openpty()
    p = subprocess.Popen([gw.OFMCTL, "-d", str(g.home), "status"], stdout=subprocess.PIPE, stderr=side)
    seen = b""
    while b"waiting for ofmsrv" not in seen:
        seen += os.read(main, 1000)
    g.signal(18)
    out = p.communicate(timeout=60)[0]
    assert p.returncode == 0 and b"up since" in out and b"waiting" not in out
    os.close(main)
    os.close(side)
    assert g.ctl("status").stderr == ""
