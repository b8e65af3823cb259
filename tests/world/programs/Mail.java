// JavaMail as a mail program (see mail.pl). The property javax.net.ssl.trustStore names what verifies the server.
import java.io.File;
import java.io.FileOutputStream;
import java.util.Properties;
import javax.mail.Flags;
import javax.mail.Folder;
import javax.mail.Message;
import javax.mail.Session;
import javax.mail.Store;
import javax.mail.Transport;
import javax.mail.UIDFolder;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeBodyPart;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;

public class Mail {
	public static void main(String[] a) throws Exception {
		String mode = a[0], host = a[1], tls = a[3], user = a[5], password = a[6];
		int port = Integer.parseInt(a[2]);
		String protocol = (mode.equals("send") ? "smtp" : "pop3") + (tls.equals("tls") ? "s" : "");
		Properties p = new Properties();
		String key = "mail." + protocol + ".";
		p.put(key + "starttls.enable", String.valueOf(tls.equals("starttls")));
		p.put(key + "starttls.required", String.valueOf(tls.equals("starttls")));
		p.put(key + "ssl.checkserveridentity", "true");
		p.put(key + "auth", String.valueOf(!user.equals("-")));
		p.put(key + "localhost", "java.test");
		p.put(key + "timeout", "30000");
		Session session = Session.getInstance(p);
		if (mode.equals("send"))
			send(session, protocol, host, port, user, password, a[7], a[8], a[9], a[10]);
		else
			read(session, protocol, host, port, user, password, a[7]);
	}

	static void send(Session session, String protocol, String host, int port, String user, String password, String from, String to,
			String subject, String attachment) throws Exception {
		MimeBodyPart text = new MimeBodyPart(), file = new MimeBodyPart();
		text.setText("Письмо\n.dot\n..two\n.\nend\n", "utf-8");
		file.attachFile(new File(attachment));
		MimeMessage m = new MimeMessage(session);
		m.setFrom(new InternetAddress(from));
		m.setRecipients(Message.RecipientType.TO, InternetAddress.parse(to));
		m.setSubject(subject, "utf-8");
		m.setContent(new MimeMultipart(text, file));
		m.saveChanges();
		try (Transport t = session.getTransport(protocol)) {
			t.connect(host, port, user.equals("-") ? null : user, user.equals("-") ? null : password);
			t.sendMessage(m, m.getAllRecipients());
		}
	}

	static void read(Session session, String protocol, String host, int port, String user, String password, String folder)
			throws Exception {
		try (Store store = session.getStore(protocol)) {
			store.connect(host, port, user, password);
			Folder inbox = store.getFolder("INBOX");
			inbox.open(Folder.READ_WRITE);
			for (Message m : inbox.getMessages()) {
				if (m.getSize() < 0)
					throw new Exception("no size");
				try (FileOutputStream out = new FileOutputStream(folder + "/" + m.getMessageNumber())) {
					m.writeTo(out);
				}
				m.setFlag(Flags.Flag.DELETED, true);
			}
			inbox.close(true);
		}
	}
}
