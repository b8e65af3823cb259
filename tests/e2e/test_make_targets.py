"""What the Makefile offers beside building and testing: installation, the gateway in the checkout, cleaning, help."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from lib import gateway, scratch

MAKEFILE = scratch.ROOT / "Makefile"
# Not for people: parts of other targets.
PARTS = {"all", "help", "unit-build", "replay-build", "fuzz-build", "bench-build", "landcheck", "ready"}
PRIVILEGED = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


def make(*words, cwd=scratch.ROOT, **kw):
    """The targets of this tree's Makefile, with what is built already."""
    command = ["make", "-s", "-f", str(MAKEFILE), "-o", "all", f"BUILD={gateway.BUILD}", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **kw)


@pytest.fixture
def folder():
    path = scratch.folder("make")
    yield path
    scratch.remove(path)


@pytest.fixture
def checkout(folder):
    """What `make run` needs of a checkout, with ports of its own."""
    for name in ("etc", "mailboxes", "outqueue"):
        (folder / name).mkdir()
    for file in (MAKEFILE, gateway.OFMSRV, gateway.OFMCTL):  # copies: others may not enter where the tree lies
        shutil.copy(file, folder)
    return folder


def configure(checkout, smtp, pop3):
    (checkout / "etc/ofmsrv.ini").write_text(gateway.ini_text({
        "server": {"log_size_kib": 100}, "smtp": {"bind": "127.0.0.1", "port": smtp},
        "pop3": {"bind": "127.0.0.1", "port": pop3}, "user anna": {"password": "a good one"}}))


# ---- install ----

def installed(dest, *more):
    p = make("install", f"DESTDIR={dest}", "PREFIX=/usr", *more)
    assert p.returncode == 0, p.stdout + p.stderr
    return dest


def test_install_puts_everything_below_destdir(folder):
    dest = installed(folder / "dest")
    want = {"usr/sbin/ofmsrv": 0o755, "usr/bin/ofmctl": 0o755, "usr/share/doc/ofmsrv/MANUAL.md": 0o644,
            "etc/ofmsrv": 0o750, "etc/ofmsrv/ofmsrv.ini": 0o640, "var/lib/ofmsrv": 0o750,
            "var/lib/ofmsrv/mailboxes": 0o700, "var/lib/ofmsrv/outqueue": 0o700}
    assert {name: (dest / name).stat().st_mode & 0o777 for name in want} == want


def test_install_follows_its_variables(folder):
    dest = installed(folder / "dest", "PREFIX=/opt/mail", "SYSCONFDIR=/opt/etc", "STATEDIR=/srv")
    assert (dest / "opt/mail/sbin/ofmsrv").exists()
    assert (dest / "opt/etc/ofmsrv/ofmsrv.ini").exists()
    assert (dest / "srv/ofmsrv/mailboxes").is_dir()


def test_a_second_install_keeps_the_ini_file(folder):
    dest = installed(folder / "dest")
    ini = dest / "etc/ofmsrv/ofmsrv.ini"
    ini.write_text("[user anna]\n")
    installed(dest)
    assert ini.read_text() == "[user anna]\n"


def test_what_was_installed_finds_its_configuration_without_a_fault(folder):
    dest = installed(folder / "dest")
    p = subprocess.run([dest / "usr/bin/ofmctl", "-c", dest / "etc/ofmsrv/ofmsrv.ini", "-d", dest / "var/lib/ofmsrv",
                        "check"], capture_output=True, text=True, timeout=30)
    assert p.returncode == 0, p.stdout + p.stderr


# ---- run ----

def start(checkout, **kw):
    return subprocess.Popen(["make", "-s", "-o", "all", "run"], cwd=checkout, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            start_new_session=True, **kw)


def test_run_serves_the_checkout_until_ctrl_c(checkout):
    port = scratch.free_port()
    configure(checkout, port, 0)
    p = start(checkout)
    try:
        scratch.wait_for(lambda: scratch.listens(port) or p.poll() is not None, 60, "the SMTP port")
        # From the same folder ofmctl finds it without an option.
        status = subprocess.run(["./ofmctl", "status"], cwd=checkout, capture_output=True, text=True, timeout=30)
    finally:
        os.killpg(p.pid, signal.SIGINT)
        output = p.communicate(timeout=60)[0]
    assert status.returncode == 0, status.stderr + output
    assert f"127.0.0.1:{port}" in status.stdout or str(port) in status.stdout
    log = (checkout / "ofmsrv.log").read_text()
    assert log.rstrip().split("\n")[-1].endswith("stopped"), log


@pytest.mark.skipif(PRIVILEGED <= 1, reason="on this machine anybody may listen on any port")
def test_run_without_root_says_what_a_low_port_needs(checkout):
    configure(checkout, 1, 0)
    root = os.getuid() == 0
    if root:
        for path in (checkout, *checkout.iterdir()):
            os.chown(path, 65534, 65534)
    p = start(checkout, **({"user": 65534, "group": 65534, "extra_groups": []} if root else {}))
    output = p.communicate(timeout=60)[0]
    assert p.returncode != 0
    lines = [x for x in output.split("\n") if x.startswith("ofmsrv: ")]
    assert len(lines) == 1 and "port 1:" in lines[0], output
    assert "start it as root" in lines[0] and "setcap cap_net_bind_service=+ep" in lines[0]


def test_a_taken_port_names_the_port(checkout):
    port = scratch.free_port()
    other = gateway.Gateway({"smtp": {"port": port}, "pop3": {"port": 0}}, start=False)
    other.smtp_port = port
    other.start()
    try:
        configure(checkout, port, 0)
        output = start(checkout).communicate(timeout=60)[0]
    finally:
        other.close()
    assert f"port {port}: Address already in use" in output


# ---- clean, help ----

def test_clean_removes_what_was_built_and_nothing_else(folder):
    built = ["build/src/x.o", "build-asan/ofmsrv", "build-tsan/ofmsrv", "ofmsrv", "ofmctl"]
    kept = ["etc/ofmsrv.ini", "mailboxes/anna/new/1", "outqueue/1.eml", "state/db", "ofmsrv.log", "src/x.c"]
    for name in built + kept:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    p = subprocess.run(["make", "-s", "-f", str(MAKEFILE), "clean"], cwd=folder, capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    left = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    assert left == set(kept)


def test_help_names_every_target_there_is():
    p = make("help")
    assert p.returncode == 0
    words = set(re.findall(r"[a-z][a-z-]*", p.stdout))
    targets = {t for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE.read_text(), re.M) for t in line.split()}
    assert targets - PARTS <= words
