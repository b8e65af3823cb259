"""The ini file of the current folder counts only where nobody else can change it: it names commands that are run."""
import os
import subprocess

import pytest

from lib import gateway as gw, scratch

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="root has to be protected from somebody else")
SOMEBODY = 12345

INI = """[account a]
host = 127.0.0.1
user = u
security = none
port = 1
password_command = "touch {home}/ran && echo x"
[rule mine]
field = Subject
contains = x
deliver = postmaster
"""


@pytest.fixture
def home():
    path = scratch.folder("whose")
    for name in ("etc", "mailboxes", "outqueue"):
        (path / name).mkdir()
    (path / "etc/ofmsrv.ini").write_text(INI.format(home=path))
    yield path
    scratch.remove(path)


def ctl(home, *args, **kw):
    return subprocess.run([gw.OFMCTL, *args], cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **kw)


def used(home, *args):
    return "mine" in ctl(home, *args, "rule").stdout


def folder(home):
    os.chown(home, SOMEBODY, SOMEBODY)


def etc(home):
    os.chown(home / "etc", SOMEBODY, SOMEBODY)


def ini(home):
    os.chown(home / "etc/ofmsrv.ini", SOMEBODY, SOMEBODY)


def open_file(home):
    (home / "etc/ofmsrv.ini").chmod(0o666)


def open_etc(home):
    (home / "etc").chmod(0o777)


def open_folder(home):
    home.chmod(0o777)


def group(home):
    os.chown(home / "etc", 0, SOMEBODY)
    (home / "etc").chmod(0o775)


def link(home):
    os.rename(home / "etc/ofmsrv.ini", home / "etc/theirs")
    os.chown(home / "etc/theirs", SOMEBODY, SOMEBODY)
    (home / "etc/ofmsrv.ini").symlink_to("theirs")


def test_ours_is_used(home):
    assert used(home) and not ctl(home, "rule").stderr


@pytest.mark.parametrize("whose", [folder, etc, ini, open_file, open_etc, open_folder, group, link])
def test_somebody_elses_is_passed_over(home, whose):
    whose(home)
    for args in (["test", "account", "a"], ["rule"], ["check"], ["health"]):
        p = ctl(home, *args)
        assert "passed over" in p.stderr and "-d ." in p.stderr, (args, p)
    assert not used(home) and not (home / "ran").exists()
    p = subprocess.run([gw.OFMSRV], cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60) \
        if not os.path.exists("/etc/ofmsrv/ofmsrv.ini") else None
    assert p is None or (p.returncode == 1 and "passed over" in p.stderr and "/etc/ofmsrv/ofmsrv.ini" in p.stderr)
    assert used(home, "-d", ".") and used(home, "-c", "etc/ofmsrv.ini")


def test_a_folder_above_it(home):
    deeper = home / "a/b"
    deeper.mkdir(parents=True)
    for name in ("etc", "mailboxes", "outqueue"):
        os.rename(home / name, deeper / name)
    assert used(deeper)
    os.chown(home / "a", SOMEBODY, SOMEBODY)
    assert not used(deeper) and "passed over" in ctl(deeper, "rule").stderr


def test_ones_own_is_used_by_oneself(home):
    for path in (home, *home.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    copy = home / "ofmctl"
    copy.write_bytes(open(gw.OFMCTL, "rb").read())
    copy.chmod(0o755)
    p = subprocess.run([copy, "rule"], cwd=home, capture_output=True, text=True, user=SOMEBODY, group=SOMEBODY, extra_groups=[])
    assert "mine" in p.stdout and not p.stderr
