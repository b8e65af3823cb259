"""Clients from any address: a network namespace of its own, whose loopback device owns them all."""
import json
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = """
import json, subprocess
from lib import clients, gateway, scratch
want = json.loads({want!r})
for a in want["addresses"]:
    family = "-6" if ":" in a else "-4"
    subprocess.run(["ip", family, "addr", "add", a + ("/128" if ":" in a else "/32"), "dev", "lo"]
                   + (["nodad"] if ":" in a else []), check=True)
g = gateway.Gateway(want["sections"])
out = {{}}
try:
    for a in want["addresses"]:
        out[a] = []
        for port in (g.smtp_port, g.pop3_port):
            try:
                with clients.Line(port, host=a, source=a, timeout=10) as c:
                    out[a].append(c.line().decode())
            except (OSError, EOFError) as e:
                out[a].append(repr(e))
        if want["commands"]:
            with clients.SMTP(g.smtp_port, host=a, source=a, timeout=10) as c:
                out[a] = [c.cmd(line) for line in want["commands"]]
    out["log"] = g.log()
finally:
    g.close()
print(json.dumps(out))
"""


def possible():
    return subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0


def run(code, resolv_conf=None, timeout=150):
    """What a Python program prints on its last line, as JSON: in a network of its own, with `lib` to import."""
    with tempfile.NamedTemporaryFile("w", prefix="ofm.resolv.") as f:
        f.write(resolv_conf or "")
        f.flush()
        prepare = "ip link set lo up && " + (f"mount --bind {f.name} /etc/resolv.conf && " if resolv_conf else "")
        code = f"import sys\nsys.path.insert(0, {str(pathlib.Path(__file__).resolve().parents[1])!r})\n" + code
        p = subprocess.run(["unshare", "-n", "-m", "sh", "-c", prepare + "exec \"$0\" -c \"$1\"", sys.executable, code],
                           capture_output=True, text=True, timeout=timeout)
    assert p.returncode == 0, p.stdout + p.stderr
    return json.loads(p.stdout.splitlines()[-1])


def greetings(addresses, sections, commands=()):
    """What SMTP and POP3 say first to a client from each address: {address: [line, line], "log": the log}. With SMTP
    commands: the replies to those, each a pair of code and text."""
    return run(PROGRAM.format(want=json.dumps({"addresses": addresses, "sections": sections, "commands": commands})))
