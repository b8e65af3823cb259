"""Mail programs in a root of their own: programs/mail.pl (Perl's modules), mail.js (nodemailer), Mail.java (JavaMail); and Python's."""
import itertools
import pathlib
import poplib
import shutil
import smtplib
import ssl
from email.message import EmailMessage

from . import room

HERE = pathlib.Path(__file__).resolve().parents[1] / "programs"
JARS = "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar"
_serial = itertools.count(1)


class Programs:
    """send(name, …) and read(name, …): the program's words are the error."""

    def __init__(self, ca):
        self.room = room.Room("clients")
        share = self.room.share
        for p in HERE.iterdir():
            shutil.copy(p, share)
        if (room.WORLD / "npm/node_modules").exists():
            shutil.copytree(room.WORLD / "npm/node_modules", share / "node_modules")
        shutil.copy(ca, share / "ca.pem")
        (share / "a.bin").write_bytes(bytes(range(256)) * 500)
        self.ca, self.attachment = ca, share / "a.bin"
        self.room.run("sh", "-c", "keytool -importcert -noprompt -alias ca -file /world/ca.pem -keystore /world/trust -storepass secret "
                      f"&& javac -encoding UTF-8 -cp {JARS} -d /world /world/Mail.java", env={"LC_ALL": "C.UTF-8"})

    def versions(self):
        node = self.room.run("sh", "-c", "cd /world; node -p 'require(\"nodemailer/package.json\").version'",
                             env={"NODE_PATH": "/usr/share/nodejs"})
        perl = self.room.run("perl", "-MNet::SMTP", "-e", "print $Net::SMTP::VERSION")
        return f"nodemailer {node.strip()}, Net::SMTP {perl}"

    def _run(self, name, *args):
        command = {"perl": ["perl", "/world/mail.pl"], "nodemailer": ["node", "--dns-result-order=ipv4first", "/world/mail.js"],
                   "javamail": ["java", "-Dfile.encoding=UTF-8", "-Djavax.net.ssl.trustStore=/world/trust",
                                "-Djavax.net.ssl.trustStorePassword=secret", "-cp", f"/world:{JARS}", "Mail"]}[name]
        self.room.run(*command, *args, env={"LC_ALL": "C.UTF-8", "NODE_PATH": "/usr/share/nodejs"})

    def send(self, name, port, tls, login, sender, to, subject):
        user, password = login or ("-", "-")
        if name == "python":
            return self._python_sends(port, tls, login, sender, to, subject)
        self._run(name, "send", "localhost", port, tls, "/world/ca.pem", user, password, sender, ",".join(to), subject, "/world/a.bin")

    def read(self, name, port, tls, login):
        if name == "python":
            return self._python_reads(port, tls, login)
        folder = f"box{next(_serial)}"
        (self.room.share / folder).mkdir()
        self._run(name, "read", "localhost", port, tls, "/world/ca.pem", *login, f"/world/{folder}")
        return [p.read_bytes() for p in sorted((self.room.share / folder).iterdir(), key=lambda p: int(p.name))]

    def _python_sends(self, port, tls, login, sender, to, subject):
        m = EmailMessage()
        m["From"], m["To"], m["Subject"] = sender, ", ".join(to), subject
        m.set_content("Письмо\n.dot\n..two\n.\nend\n", cte="8bit")
        m.add_attachment(self.attachment.read_bytes(), maintype="application", subtype="octet-stream", filename="a.bin")
        context = ssl.create_default_context(cafile=self.ca)
        with smtplib.SMTP_SSL("localhost", port, context=context) if tls == "tls" else smtplib.SMTP("localhost", port) as c:
            if tls == "starttls":
                c.starttls(context=context)
            if login:
                c.login(*login)
            assert c.send_message(m, sender, to) == {}

    def _python_reads(self, port, tls, login):
        context = ssl.create_default_context(cafile=self.ca)
        c = poplib.POP3_SSL("localhost", port, context=context) if tls == "tls" else poplib.POP3("localhost", port)
        if tls == "starttls":
            c.stls(context=context)
        c.user(login[0])
        c.pass_(login[1])
        out = []
        for n in range(1, c.stat()[0] + 1):
            out.append(b"\r\n".join(c.retr(n)[1]) + b"\r\n")
            c.dele(n)
        c.quit()
        return out

    def close(self):
        self.room.close()
