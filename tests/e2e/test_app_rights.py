"""What the running program may do: root given up, new privileges ruled out, its folders and nothing else."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

from lib import gateway as gw
from lib import netns

HERE = pathlib.Path(__file__).resolve().parent


def status(pid):
    return dict(line.rstrip("\n").split(":\t", 1) for line in open(f"/proc/{pid}/status") if ":\t" in line)


def test_no_new_privileges_no_capabilities_no_core(gateway):
    g = gateway()
    s = status(g.process.pid)
    assert s["NoNewPrivs"] == "1"
    # who stays root keeps what another's folders need, and the right to bind low ports at a reload
    assert int(s["CapPrm"], 16) & ~0x40b == 0 and int(s["CapEff"], 16) & ~0xb == 0
    assert re.search(r"Max core file size +0 +0 ", open(f"/proc/{g.process.pid}/limits").read())
    assert len(re.findall(r" process\.(un)?confined ", g.log())) == 1
    for task in os.listdir(f"/proc/{g.process.pid}/task"):
        assert status(f"{g.process.pid}/task/{task}")["CapEff"] == s["CapEff"]


def confined(g):
    if "process.unconfined" in g.log():
        pytest.skip("this kernel cannot confine")


def test_certificates_by_reload_from_a_new_folder(gateway, ca):
    """Read by permissions wherever they lie, but not in a home: there only a restart helps, and the reload says so."""
    cert, key = ca.issue("gate.test")
    g = gateway()
    with g.smtp() as s:
        assert "STARTTLS" not in s.ehlo
    g.reload({"tls": {"certificate": cert, "key": key}})
    with g.smtp() as s:
        s.starttls()
    confined(g)
    if os.getuid() != 0:
        pytest.skip("root's home is root's")
    home = tempfile.mkdtemp(dir="/root", prefix="ofm.")
    try:
        for f in (cert, key):
            shutil.copy(f, home)
        moved = {"tls": {"certificate": f"{home}/{pathlib.Path(cert).name}", "key": f"{home}/{pathlib.Path(key).name}"}}
        g.write(moved)
        p = g.ctl("reload")
        assert p.returncode == 1 and "needs a restart" in p.stdout + p.stderr and home in p.stdout + p.stderr
        with g.smtp() as s:
            s.starttls()
        g.restart()
        with g.smtp() as s:
            s.starttls()
        g.reload()  # named at the start: so it can be read again
        pathlib.Path(home, "secret").write_text("hidden\n")
        g.reload({"user anna": {"password": None, "password_file": f"{home}/secret"}})
        with g.pop3("anna", "hidden") as p:
            assert p.stat() == (0, 0)
    finally:
        shutil.rmtree(home)


def test_password_file_in_a_home_by_reload(gateway):
    if os.getuid() != 0:
        pytest.skip("root's home is root's")
    g = gateway()
    confined(g)
    home = tempfile.mkdtemp(dir="/root", prefix="ofm.")
    try:
        pathlib.Path(home, "secret").write_text("hidden\n")
        g.write({"user anna": {"password_file": f"{home}/secret"}})
        p = g.ctl("reload")
        assert p.returncode == 1 and "needs a restart" in p.stdout + p.stderr, p
        g.restart()
        with g.pop3("anna", "hidden") as p:
            assert p.stat() == (0, 0)
    finally:
        shutil.rmtree(home)


def test_log_in_another_folder_by_reload(gateway, tmp_path):
    g = gateway()
    confined(g)
    g.write({"server": {"log": f"{tmp_path}/other.log"}})
    p = g.ctl("reload")
    assert p.returncode == 1 and "needs a restart" in p.stdout + p.stderr and not list(tmp_path.iterdir())
    g.reload({"server": {"log": "renamed.log"}})
    assert "reload.done" in (g.home / "renamed.log").read_text()
    g.write({"server": {"log": f"{tmp_path}/other.log"}})
    g.restart()
    assert (tmp_path / "other.log").exists()


# ---- from root to a user ----

PROGRAM = """
import json, os, pathlib, pwd, subprocess, sys
sys.path.insert(0, {here!r})
from lib import clients, gateway, scratch
nobody = pwd.getpwnam("nobody")
g = gateway.Gateway({{"server": {{"run_as": "nobody"}}, "smtp": {{"port": 25}}, "pop3": {{"port": 110}},
                     "user boris": {{"password": "x"}}}}, start=False)
g.smtp_port, g.pop3_port = 25, 110
for p in [g.home, *g.home.rglob("*")]:
    os.chown(p, nobody.pw_uid, nobody.pw_gid)
out = {{}}
try:
    g.start()
    g.send("anna@office.lan", ["boris"], gateway.message("low"))
    g.wait_box("boris")
    with g.pop3("boris", "x") as p:
        out["stat"] = p.stat()[0]
    def look():
        return dict(l.rstrip("\\n").split(":\\t", 1) for l in open(f"/proc/{{g.process.pid}}/status") if ":\\t" in l)
    out["before"] = look()
    g.write({{"smtp": {{"port": 24}}, "pop3": {{"port": 109}}}})
    out["reload"] = g.ctl("reload").returncode
    g.smtp_port, g.pop3_port = 24, 109
    g.send("anna@office.lan", ["boris"], gateway.message("lower"))
    g.wait_box("boris", 2)
    with g.pop3("boris", "x") as p:
        out["stat2"] = p.stat()[0]
    out["old"] = [scratch.listens(p) for p in (25, 110)]
    out["after"] = look()
    out["environ"] = os.stat(f"/proc/{{g.process.pid}}/environ").st_uid
    out["owners"] = sorted({{os.lstat(p).st_uid for d in ("mailboxes", "outqueue", "state", "ofmsrv.log")
                            for p in [g.home / d, *(g.home / d).rglob("*")]}})
    out["modes"] = sorted({{oct(p.lstat().st_mode & 0o077) for p in (g.home / "mailboxes/boris").rglob("*")}})
    out["log"] = g.log()
finally:
    g.close()
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def low():
    if os.getuid() != 0 or not netns.possible():
        pytest.skip("needs root and network namespaces")
    code = PROGRAM.format(here=str(HERE))
    p = subprocess.run(["unshare", "-n", "sh", "-c", "ip link set lo up && exec \"$0\" -c \"$1\"", sys.executable, code],
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stdout + p.stderr
    return json.loads(p.stdout.splitlines()[-1])


def test_root_becomes_the_user(low):
    s = low["before"]
    uid = s["Uid"].split("\t")
    assert len(set(uid)) == 1 and uid[0] != "0"
    assert int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0x400 and s["NoNewPrivs"] == "1"
    assert "0" not in s["Gid"].split("\t") and "0" not in s["Groups"].split()
    if gw.BUILD == "build":
        assert low["environ"] == 0, "not dumpable: its memory is root's to look at"


def test_low_ports_from_root(low):
    assert low["stat"] == 1


def test_low_ports_by_reload_after_root_is_gone(low):
    assert low["reload"] == 0 and low["stat2"] == 2 and low["old"] == [False, False]
    assert int(low["after"]["CapEff"], 16) == 0, "the right is raised only while binding"


def test_files_belong_to_the_user(low):
    assert low["owners"] == [int(low["before"]["Uid"].split("\t")[0])] and low["modes"] == ["0o0"]


def test_status_says_what_confines_the_process(gateway):
    g = gateway()
    c = g.json("status")["confinement"]
    s = status(g.process.pid)
    assert c["no_new_privs"] is (s["NoNewPrivs"] == "1") and c["uid"] == int(s["Uid"].split()[1])
    told = re.search(r" process\.confined .*landlock=(\d+)", g.log())
    assert c["landlock"] == (int(told.group(1)) if told else 0)
    [line] = [x for x in g.ctl_ok("status").splitlines() if x.startswith("Confined ")]
    assert f"({c['uid']})" in line and "no new privileges" in line
    assert f"Landlock {c['landlock']}:" in line if told else "no Landlock" in line
