"""Real mail programs against our servers: plain, STLS/STARTTLS and implicit TLS, with a certificate that they verify."""
import os
import pty
import select
import subprocess
import time

import pytest

from lib import scratch
from lib.gateway import body, message, subject

PASSWORD = "s3cret word"
MESSAGES = [message("first", body=b"one\r\n.dot\r\n"), message("second", body=b"two\r\n")]


@pytest.fixture
def served(gateway, ca):
    """A gateway with TLS on every road and two messages for anna."""
    cert, key = ca.issue("localhost")
    g = gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": f'"{PASSWORD}"'}}, start=False)
    g.ini["pop3"]["tls_port"], g.ini["smtp"]["tls_port"] = g.pop3s_port, g.smtps_port
    g.write()
    g.start()
    for m in MESSAGES:
        g.send("boris@office.lan", "anna@office.lan", m)
    g.wait_box("anna", 2)
    return g


def run(*args, stdin="", env=None, ok=True):
    p = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, text=True, timeout=60,
                       env={**os.environ, **(env or {})})
    assert not ok or p.returncode == 0, f"{args}: {p.returncode}\n{p.stdout}\n{p.stderr}"
    return p.stdout


def config(g, name, text, mode=0o600):
    path = g.home / name
    path.write_text(text)
    path.chmod(mode)
    return path


def bodies_in(text):
    return "one" in text and ".dot" in text and "two" in text


# ---- reading ----

@pytest.mark.parametrize("kind", ["plain", "stls", "tls"])
def test_curl_reads(served, ca, kind):
    scheme, port = ("pop3s", served.pop3s_port) if kind == "tls" else ("pop3", served.pop3_port)
    args = ["curl", "-sS", "--cacert", ca.cert, "-u", f"anna:{PASSWORD}"] + (["--ssl-reqd"] if kind == "stls" else [])
    url = f"{scheme}://localhost:{port}/"
    assert run(*args, url).split()[0::2] == ["1", "2"]
    assert bodies_in(run(*args, url + "1") + run(*args, url + "2"))
    run(*args, "-X", "DELE 1", "-I", url)
    assert len(served.box("anna")) == 1


@pytest.mark.parametrize("kind", ["plain", "stls", "tls"])
def test_fetchmail_reads(served, ca, kind):
    out = served.home / "fetched"
    tls = {"plain": "sslproto ''", "stls": f"sslproto 'TLS1.2+' sslcertck sslcertfile '{ca.cert}'",
           "tls": f"ssl sslproto 'TLS1.2+' sslcertck sslcertfile '{ca.cert}'"}[kind]
    rc = config(served, "fetchmailrc", f"""poll localhost service {served.pop3s_port if kind == 'tls' else served.pop3_port}
 protocol POP3 auth password user 'anna' password '{PASSWORD}' {tls} mda 'cat >> {out}; echo >> {out}'
""")
    run("fetchmail", "-f", rc, "--idfile", served.home / "ids", "--pidfile", served.home / "fetchmail.pid", "--nosyslog")
    assert bodies_in(out.read_text())
    assert served.box("anna") == []


@pytest.mark.parametrize("kind", ["plain", "stls", "tls"])
def test_mpop_reads(served, ca, kind):
    out = served.home / "mpop.mbox"
    tls = {"plain": "tls off", "stls": f"tls on\ntls_starttls on\ntls_trust_file {ca.cert}",
           "tls": f"tls on\ntls_starttls off\ntls_trust_file {ca.cert}"}[kind]
    rc = config(served, "mpoprc", f"""account default
host localhost
port {served.pop3s_port if kind == 'tls' else served.pop3_port}
user anna
password "{PASSWORD}"
{'auth user' if kind == 'plain' else 'auth plain'}
{tls}
uidls_file {served.home}/uidls
delivery mbox {out}
""")
    run("mpop", "-C", rc)
    assert bodies_in(out.read_text())
    assert served.box("anna") == []


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_getmail6_reads(served, ca, kind):
    root = os.getuid() == 0  # as root it delivers only in some user's name
    for sub in ("new", "cur", "tmp"):
        (served.home / "got" / sub).mkdir(parents=True)
    if root:
        served.home.chmod(0o755)
        run("chown", "-R", "nobody", served.home / "got")
    retriever = "SimplePOP3SSLRetriever" if kind == "tls" else "SimplePOP3Retriever"
    config(served, "getmailrc", f"""[retriever]
type = {retriever}
server = localhost
port = {served.pop3s_port if kind == 'tls' else served.pop3_port}
username = anna
password = {PASSWORD}
{f'ca_certs = {ca.cert}' if kind == 'tls' else ''}
[destination]
type = Maildir
path = {served.home}/got/
{'user = nobody' if root else ''}
[options]
delete = true
read_all = true
""")
    # getmail6 forks before it installs its handler for the child's end and may miss it: it is not waited for.
    p = subprocess.Popen(["getmail", "--getmaildir", str(served.home), "--rcfile", "getmailrc"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        scratch.wait_for(lambda: served.box("anna") == [] or p.poll() is not None, 40, "getmail empties the mailbox")
        time.sleep(0.2)
    finally:
        p.kill()
        said = p.communicate()[0].decode()
    assert served.box("anna") == [], said
    assert bodies_in("".join(f.read_text() for f in (served.home / "got/new").iterdir())), said


def in_terminal(args, done, seconds=40):
    """Runs a program that wants a terminal until done() or its end."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(args[0], [str(a) for a in args])
    said = b""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not done():
        if select.select([fd], [], [], 0.1)[0]:
            try:
                said += os.read(fd, 65536)
            except OSError:
                break
    for wait in (0, 1, 5):
        time.sleep(wait)
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        os.kill(pid, 15 if wait < 5 else 9)
    else:
        os.waitpid(pid, 0)
    os.close(fd)
    return said


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_mutt_reads(served, ca, kind):
    scheme, port = ("pops", served.pop3s_port) if kind == "tls" else ("pop", served.pop3_port)
    out = served.home / "mutt.mbox"
    rc = config(served, "muttrc", f"""set pop_user=anna
set pop_pass="{PASSWORD}"
set pop_delete=yes
set pop_checkinterval=0
set ssl_starttls=no
set certificate_file={ca.cert}
set mbox_type=mbox
set confirmcreate=no confirmappend=no delete=yes quit=yes move=no wait_key=no
set folder={served.home} record= header_cache= message_cachedir=
set spoolfile={scheme}://localhost:{port}/
push "<tag-pattern>.<enter><tag-prefix><save-message>{out}<enter><sync-mailbox><quit>"
""")
    said = in_terminal(["mutt", "-n", "-F", rc], lambda: out.exists() and served.box("anna") == [])
    assert out.exists() and bodies_in(out.read_text()), said[-3000:]
    assert served.box("anna") == []


# ---- sending ----

def arrived(g, count=1):
    got = g.wait_box("boris", count)
    assert [subject(m) for m in got] == ["from a program"] * count
    assert all(body(m).startswith(b"line\r\n.dot\r\n") for m in got), got
    return got


LETTER = "From: anna@office.lan\r\nTo: boris@office.lan\r\nSubject: from a program\r\n\r\nline\r\n.dot\r\n"


@pytest.mark.parametrize("kind", ["plain", "starttls", "tls"])
def test_curl_sends(served, ca, kind):
    scheme, port = ("smtps", served.smtps_port) if kind == "tls" else ("smtp", served.smtp_port)
    letter = config(served, "letter", LETTER)
    run("curl", "-sS", "--cacert", ca.cert, *(["--ssl-reqd"] if kind == "starttls" else []), "-u", f"anna:{PASSWORD}",
        "--mail-from", "anna@office.lan", "--mail-rcpt", "boris@office.lan", "-T", letter,
        f"{scheme}://localhost:{port}/client.test")
    arrived(served)


@pytest.mark.parametrize("auth", ["off", "plain", "login"])
@pytest.mark.parametrize("kind", ["plain", "starttls", "tls"])
def test_msmtp_sends(served, ca, kind, auth):
    if kind == "plain" and auth != "off":
        pytest.skip("msmtp gives no password away in the clear unless it is forced to")
    tls = {"plain": "tls off", "starttls": f"tls on\ntls_starttls on\ntls_trust_file {ca.cert}",
           "tls": f"tls on\ntls_starttls off\ntls_trust_file {ca.cert}"}[kind]
    rc = config(served, "msmtprc", f"""account default
host localhost
port {served.smtps_port if kind == 'tls' else served.smtp_port}
from anna@office.lan
auth {auth}
user anna
password "{PASSWORD}"
{tls}
""")
    run("msmtp", "-C", rc, "boris@office.lan", stdin=LETTER.replace("\r\n", "\n"))
    arrived(served)


@pytest.mark.parametrize("auth", [None, "PLAIN", "LOGIN"])
@pytest.mark.parametrize("kind", ["plain", "starttls", "tls"])
def test_swaks_sends(served, kind, auth):
    tls = {"plain": [], "starttls": ["-tls"], "tls": ["--tls-on-connect"]}[kind]
    login = ["--auth", auth, "--auth-user", "anna", "--auth-password", PASSWORD] if auth else []
    run("swaks", "--server", "localhost", "--port", served.smtps_port if kind == "tls" else served.smtp_port, *tls, *login,
        "--from", "anna@office.lan", "--to", "boris@office.lan", "--h-Subject", "from a program", "--body",
        "line\\n.dot\\n")
    arrived(served)


def test_swaks_pipelines(served):
    run("swaks", "--server", "localhost", "--port", served.smtp_port, "--pipeline", "--from", "anna@office.lan", "--to",
        "boris@office.lan,anna@office.lan", "--h-Subject", "from a program", "--body", "line\\n.dot\\n")
    arrived(served)


@pytest.mark.parametrize("kind", ["plain", "starttls", "tls"])
def test_mutt_sends(served, ca, kind):
    scheme, port = ("smtps", served.smtps_port) if kind == "tls" else ("smtp", served.smtp_port)
    login = f"set smtp_authenticators=\"plain:login\"\nset smtp_pass=\"{PASSWORD}\"" if kind != "plain" else ""
    user = "anna@" if kind != "plain" else ""
    rc = config(served, "muttrc", f"""set smtp_url={scheme}://{user}localhost:{port}/
{login}
set ssl_starttls={'yes' if kind == 'starttls' else 'no'}
set ssl_force_tls={'yes' if kind == 'starttls' else 'no'}
set certificate_file={ca.cert}
set from=anna@office.lan realname=Anna use_from=yes record= hostname=client.test
""")
    run("mutt", "-n", "-F", rc, "-s", "from a program", "boris@office.lan", stdin="line\n.dot\n", env={"TERM": "dumb"})
    arrived(served)


def test_wrong_passwords_are_refused_to_every_program(served, ca):
    for args in (["curl", "-sS", "-u", "anna:no", f"pop3://localhost:{served.pop3_port}/"],
                 ["swaks", "--server", "localhost", "--port", str(served.smtp_port), "--auth", "LOGIN", "--auth-user", "anna",
                  "--auth-password", "no", "--from", "anna@office.lan", "--to", "boris@office.lan"]):
        assert subprocess.run(args, capture_output=True, timeout=60).returncode != 0
    assert served.box("boris") == []
