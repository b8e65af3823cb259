"""A certificate authority of the tests' own, by openssl."""
import subprocess

from . import scratch


class CA:
    def __init__(self):
        self.home = scratch.folder("ca")
        self.cert = self.home / "ca.pem"
        self.key = self.home / "ca.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                  "-subj", "/CN=Test authority", "-keyout", self.key, "-out", self.cert,
                  "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,cRLSign")

    def _run(self, *args):
        p = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
        assert p.returncode == 0, p.stderr

    def issue(self, name, days=30, ips=("127.0.0.1",), also=(), self_signed=False):
        """A certificate for a host name; returns (certificate chain, key), both world-readable. days < 0: expired."""
        stem = self.home / f"{name}.{days}{'.self' if self_signed else ''}"
        cert, key, csr, ext = (stem.with_name(stem.name + e) for e in (".pem", ".key", ".csr", ".ext"))
        san = ",".join([*(f"DNS:{n}" for n in (name, *also)), *(f"IP:{i}" for i in ips)])
        ext.write_text(f"subjectAltName={san}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                  "-keyout", key, "-out", csr)
        signer = ["-signkey", key] if self_signed else ["-CA", self.cert, "-CAkey", self.key, "-CAcreateserial"]
        self._run("x509", "-req", "-in", csr, *signer, "-days", days, "-extfile", ext, "-out", cert)
        key.chmod(0o644)
        return cert, key

    def close(self):
        scratch.remove(self.home)
