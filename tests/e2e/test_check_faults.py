"""`ofmctl check`: every kind of fault and warning that the manual names, with file, line, section, key and the mend; all of
them in one pass; and the daemon refuses the same file in the same words."""
import re
import subprocess

import pytest

from lib import gateway as gw, scratch

LINE = re.compile(r"^(?P<file>.+?):(?P<line>\d+): (?:\[(?P<section>[^]]*)\](?: (?P<key>[a-z_0-9]+))?: )?(?P<text>.+)$")

# What stands in the file (`!` marks the line that is at fault), section, key, what is said, and the mend in it.
FAULTS = {
    "unknown section": (b"![acount x]\nhost = y\n", "acount x", None, "unknown section", "is [account] meant?"),
    "unknown key": (b"[server]\n!hostnme = x\n", "server", "hostnme", "unknown key", "is hostname meant?"),
    "malformed value": (b"[pop3]\n!port = pop\n", "pop3", "port", "is wrong", "write a port from 0 to 65535"),
    "trailing junk": (b"[pop3]\n!port = 25x\n", "pop3", "port", '"25x" is wrong', "write a port"),
    "out of range": (b"[server]\n!log_size_kib = 1000\n", "server", "log_size_kib", "is wrong", "from 0 to 999"),
    "repeated section": (b"[sync]\n![SYNC]\n", "SYNC", None, "second time", "first in line"),
    "repeated key": (b"[sync]\nevery = 5m\n!Every = 6m\n", "sync", "every", "second time", "first in line"),
    "comment behind a header": (b"![tls] ; keys\n", "tls", None, "hides the section", "give it a line of its own"),
    "no UTF-8": (b"[server]\n!log = \xcb\xee\xe3\n", "server", "log", "no UTF-8", "iconv"),
    "NUL": (b"[server]\n!log = a\0b\n", "server", "log", "NUL", "Write the line anew"),
    "over-long line": (b"[server]\n!log = " + b"x" * 1100 + b"\n", "server", "log", "1106 bytes", "KEY2"),
    "backslash at the end": (b"[server]\n!log = a\\\n", "server", "log", "ends in \\", "remove the \\"),
    "unclosed quote": (b'[server]\n!log = "a\n', "server", "log", "never closed", 'add the closing "'),
    "text behind a quote": (b'[server]\n!log = "a" b\n', "server", "log", "behind the closing quote", "only a comment"),
    "glued ;": (b"[user u]\n!password = a;b\n", "user u", "password", "would be cut at the ;", "between quotes"),
    "glued #": (b"[user u]\n!password = a#b\n", "user u", "password", "would be cut at the #", "between quotes"),
    "opening #": (b"[user u]\n!password = #Qw1\n", "user u", "password", "begins with #", "password_file"),
    "opening ;": (b"[user u]\n!password = ;Qw1\n", "user u", "password", "begins with ;", "between quotes"),
    "user who does not exist": (b"[rule r]\nfield = To\ncontains = x\n!deliver = nobody\n", "rule r", "deliver",
                                "no user or group nobody", "add [user nobody]"),
    "account that is this gateway": (b"[account me]\n!host = localhost\nport = %d\nsecurity = none\nuser = u\npassword = p\n"
                                     b"keep = 0\n", "account me", "host", "this gateway itself", "name the provider's server"),
    "relay that is this gateway": (b"[relay]\n!host = 127.0.0.1\nport = %d\nsecurity = none\n", "relay", "host",
                                   "this gateway itself", "name the upstream server"),
    "folder that is missing": (b"[server]\n!mailboxes = nowhere\n", "server", "mailboxes", "does not exist", "mkdir"),
    "pattern": (b"[rule r]\nfield = To\n!matches = (\ndeliver = postmaster\n", "rule r", "matches", "no PCRE2 pattern", "correct it"),
    "too many accounts": (b"".join(b"%s[account a%d]\nhost = pop.example\nuser = u%d\npassword = p\nkeep = 0\nenabled = no\n"
                                   % (b"!" if i == 100 else b"", i, i) for i in range(101)),
                          "account a100", None, "101 accounts and 100 are the most, disabled ones included", "remove some"),
}
WARNINGS = {
    "empty password": (b"![user u]\n", "user u", "password", "the password is empty", "ofmctl passwd u"),
    "no alias": (b"[relay]\nhost = smtp.far.example\n![user u]\npassword = p\n", "user u", "alias", "no alias", "write alias = ADDRESS"),
    "keep not written": (b"![account a]\nhost = pop.far.example\nuser = u\npassword = p\n", "account a", "keep", "keep is not written",
                         "keep = 0"),
    "domain of an alias": (b"[server]\n!domain = firm.example\n[user u]\npassword = p\nalias = u@firm.example\n", "server", "domain",
                           "u@firm.example is in this domain", "choose another"),
    "domain of an account": (b"[server]\n!domain = firm.example\n[account a]\nhost = pop.far.example\nuser = i@firm.example\n"
                             b"password = p\nkeep = 0\n", "server", "domain", "i@firm.example is in this domain", "choose another"),
    "plaintext to afar": (b"[account a]\nhost = pop.far.example\nport = 110\n!security = none\nuser = u\npassword = p\nkeep = 0\n",
                          "account a", "security", "readable for everybody", "write security = starttls"),
    "a line without command": (b"[connection]\n!type = command\n", "connection", "type", "no command raises the line", "write up"),
    "tls_verify": (b"[relay]\nhost = smtp.far.example\n!tls_verify = no\n", "relay", "tls_verify", "without verification", "write yes"),
}
EVERY = {**FAULTS, **WARNINGS}


def marked(text):
    """The text without its mark, and the marked line's number."""
    at = text.index(b"!")
    return text[:at] + text[at + 1:], text.count(b"\n", 0, at) + 1


def filled(text, port):
    return text % port if b"port = %d" in text else text


def check(home, text):
    """Returns (status, findings, raw output) of `ofmctl check FILE`, where all lines have the form that is promised."""
    ini = home / "etc/ofmsrv.ini"
    ini.write_bytes(text)
    p = subprocess.run([gw.OFMCTL, "-d", str(home), "check", str(ini)], capture_output=True, text=True, timeout=60)
    found = []
    for line in p.stdout.splitlines():
        m = LINE.match(line)
        assert m and m["file"] == str(ini), line
        found.append((int(m["line"]), m["section"], m["key"], m["text"]))
    return p.returncode, found, p.stdout


def sits(found, line, section, key, *words):
    return [f for f in found if f[:3] == (line, section, key) and all(w in f[3] for w in words)]


@pytest.fixture(scope="module")
def home():
    h = scratch.folder("check")
    for f in ("etc", "mailboxes", "outqueue"):
        (h / f).mkdir()
    yield h
    scratch.remove(h)


@pytest.mark.parametrize("name", EVERY)
def test_each_alone(home, name):
    text, section, key, *words = EVERY[name]
    text, line = marked(filled(text, 25 if "relay" in name else 110))
    status, found, raw = check(home, text)
    assert len(sits(found, line, section, key, *words)) == 1, raw
    assert status == (1 if name in FAULTS else 0), raw


def test_all_in_one_pass(home):
    """Sections of one name would repeat each other: those here are told apart by their labels or stand once."""
    several = ["unknown section", "malformed value", "repeated section", "no UTF-8", "glued ;", "user who does not exist",
               "relay that is this gateway", "comment behind a header"]
    whole, wanted = b"\xef\xbb\xbf; a byte order mark is skipped\n", []
    for name in several:
        text, section, key, *words = FAULTS[name]
        text, line = marked(filled(text, 25 if "relay" in name else 110))
        wanted.append((name, line + whole.count(b"\n"), section, key, *words))
        whole += text
    status, found, raw = check(home, whole)
    assert status == 1
    for name, *where in wanted:
        assert len(sits(found, *where)) == 1, (name, raw)
    assert [f[0] for f in found] == sorted(f[0] for f in found)


def test_the_daemon_says_the_same_and_does_not_start(home):
    text, line = marked(FAULTS["unknown key"][0])
    _, _, raw = check(home, text + b"[user u]\npassword = a;b\n")
    p = subprocess.run([gw.OFMSRV, "-d", str(home)], capture_output=True, text=True, timeout=60)
    assert p.returncode == 1
    faults = [l.split(": ", 1)[1] for l in raw.splitlines() if "hostnme" in l or "would be cut" in l]
    assert len(faults) == 2 and all(f in p.stderr for f in faults), (raw, p.stderr)
    assert not (home / "state").exists()


def test_a_sound_file_says_so(home):
    ini = home / "etc/ofmsrv.ini"
    ini.write_bytes(b"\xef\xbb\xbf[user postmaster]\npassword = p\n")
    p = subprocess.run([gw.OFMCTL, "-d", str(home), "check", str(ini)], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and "no faults, no warnings" in p.stdout, p.stdout


@pytest.mark.parametrize("where, home_of_it", [("etc", True), (".", False)])
def test_paths_of_a_file_named_from_elsewhere(home, tmp_path, where, home_of_it):
    ini = home / where / "named.ini"
    ini.write_text("[server]\ndomain = a.lan\n")
    p = subprocess.run([gw.OFMCTL, "check", str(ini)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert p.returncode == (0 if home_of_it else 1), p.stdout
    assert ("does not exist" in p.stdout) == (not home_of_it) and (f"mkdir {tmp_path}/mailboxes" in p.stdout) == (not home_of_it)
