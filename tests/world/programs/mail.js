// nodemailer as a mail program: send HOST PORT TLS CA USER PASSWORD FROM TO,TO SUBJECT ATTACHMENT (see mail.pl)
const fs = require('fs');
const nodemailer = require('nodemailer');
const [, , , host, port, tls, ca, user, password, from, to, subject, attachment] = process.argv;
const transport = nodemailer.createTransport({
  host, port: Number(port), name: 'node.test', pool: true, maxConnections: 1,
  secure: tls === 'tls', requireTLS: tls === 'starttls', ignoreTLS: tls === 'none',
  auth: user === '-' ? undefined : { user, pass: password },
  tls: { ca: fs.readFileSync(ca) },
});
transport.sendMail({
  envelope: { from, to: to.split(',') }, from, to, subject, text: 'Письмо\n.dot\n..two\n.\nend\n',
  attachments: [{ filename: 'a.bin', path: attachment }],
}).then((info) => {
  if (info.rejected.length || info.accepted.length !== to.split(',').length) throw new Error(JSON.stringify(info));
  transport.close();
}).catch((e) => { console.error(e); process.exit(1); });
