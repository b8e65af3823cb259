"""A real ext4 on a loop device, whose power is cut by the kernel's own shutdown call."""
import fcntl
import os
import shutil
import struct
import subprocess

from lib import scratch

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
KEEP_LOG, LOSE_LOG = 1, 2  # the journal's pending part reaches the disk, file data does not; neither does
MIB = 64


class Unable(Exception):
    """This machine does not let us mount."""


class Ext4:
    def __init__(self):
        self.place = scratch.folder("ext4")
        self.image, self.path = self.place / "image", self.place / "disk"
        self.path.mkdir()
        if os.getuid() != 0 or shutil.which("mkfs.ext4") is None:
            self.close()
            raise Unable("needs root and mkfs.ext4")
        with open(self.image, "wb") as f:
            f.truncate(MIB << 20)
        try:
            self._run("mkfs.ext4", "-q", "-F", self.image)
            self.mount()
        except Unable:
            self.close()
            raise

    def _run(self, *command):
        p = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if p.returncode != 0:
            raise Unable(f"{command[0]}: {p.stderr.strip()}")
        return p.stdout

    def mount(self):
        self._run("mount", "-o", "loop", self.image, self.path)
        self.path.chmod(0o755)

    def cut(self, how):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", how))
        finally:
            os.close(fd)

    def reboot(self):
        """Unmounts, lets the journal be replayed and the file system be looked over, mounts again."""
        def unmounted():
            return subprocess.run(["umount", self.path], capture_output=True).returncode == 0

        def released():
            return not self._run("losetup", "-j", self.image)
        scratch.wait_for(unmounted, 20, "the end of all that used the disk")
        # A test beside this one may have a mount namespace, and with it, for as long, the dead file system of ours.
        scratch.wait_for(released, 60, "the end of all namespaces that knew the disk")
        subprocess.run(["fsck.ext4", "-p", "-f", self.image], capture_output=True)
        self.mount()

    def close(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True)
        scratch.remove(self.place)
