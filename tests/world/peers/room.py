"""A root of its own for a server from Debian's packages: made by tools/world.sh, entered by name spaces, gone with the test.

What the server writes stays in memory; the folder `share` is /world inside. Its network is this machine's, so it is given
addresses of loopback and free ports. Everything that runs inside is one name space of processes, and ends by one kill."""
import os
import pathlib
import socket
import subprocess
import threading

from lib import scratch

WORLD = pathlib.Path(os.environ.get("OFM_WORLD", scratch.ROOT / "build/world"))
ENTER = pathlib.Path(__file__).with_name("room.sh")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Room:
    def __init__(self, name):
        assert os.getuid() == 0, "only root can make a root of its own"
        assert (WORLD / f"{name}.done").exists(), f"there is no root for {name}: make check-world makes it"
        self.home = scratch.folder(name)
        self.share = self.home / "share"
        self.share.mkdir()
        self.share.chmod(0o755)
        self._words = []
        self._listen()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", str(ENTER), str(WORLD), name, str(self.home)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.home / "stderr", "ab"), start_new_session=True)
        scratch.wait_for(self._is_ready, 20, lambda: f"the root of {name}: " + scratch.tail(self.home / "stderr"))
        pid = self._process.pid
        self._inside = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]

    def _is_ready(self):
        assert self._process.poll() is None, scratch.tail(self.home / "stderr")
        return (self.share / "ready").exists()

    def _listen(self):
        """What the server tells syslog."""
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._syslog.bind(str(self.share / "syslog"))
        (self.share / "syslog").chmod(0o666)

        def collect():
            while data := self._syslog.recv(65536):
                self._words.append(data.decode(errors="replace"))
                del self._words[:-400]
        threading.Thread(target=collect, daemon=True).start()

    def run(self, *command, stdin=b"", check=True, timeout=60, env=None):
        """Runs a command inside; what it printed, both outputs."""
        variables = [f"{k}={v}" for k, v in {"PATH": PATH, "LC_ALL": "C", "HOME": "/root", **(env or {})}.items()]
        p = subprocess.run(["nsenter", "--target", self._inside, "--mount", "--pid", "--root", "--wd", "env", "-i", *variables,
                            *map(str, command)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        assert not check or p.returncode == 0, f"{command}: {p.returncode}: {p.stdout.decode(errors='replace')}\n{self.log()}"
        return p.stdout.decode(errors="replace")

    def daemon(self, *command, env=None):
        """Starts a command inside that stays; it ends with the room."""
        variables = [f"{k}={v}" for k, v in {"PATH": PATH, "LC_ALL": "C", "HOME": "/root", **(env or {})}.items()]
        return subprocess.Popen(["nsenter", "--target", self._inside, "--mount", "--pid", "--root", "--wd", "env", "-i", *variables,
                                 *map(str, command)], stdin=subprocess.DEVNULL, stdout=open(self.home / "stdout", "ab"),
                                stderr=open(self.home / "stderr", "ab"), start_new_session=True)

    def write(self, path, text, mode=0o644, owner="root:root"):
        """A file inside."""
        inside = pathlib.PurePosixPath(path)
        self.run("sh", "-c", 'mkdir -p "$1" && cat >"$2" && chmod "$3" "$2" && chown "$4" "$2"', "sh", inside.parent, inside,
                 f"{mode:o}", owner, stdin=text if isinstance(text, bytes) else text.encode())

    def log(self):
        return "\n".join(self._words[-60:]) + scratch.tail(self.home / "stderr") + scratch.tail(self.home / "stdout")

    def close(self):
        if self._process.poll() is None:
            self._process.kill()  # and with it, by --kill-child, the first process of the name space: so all
            self._process.wait()
        self._syslog.close()
        scratch.remove(self.home)
