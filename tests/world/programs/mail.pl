# Perl's own modules as a mail program. Modes: send HOST PORT TLS CA USER PASSWORD FROM TO,TO SUBJECT ATTACHMENT
#                                              read HOST PORT TLS CA USER PASSWORD FOLDER
# TLS: none, starttls, tls; USER "-": no log-in. Reading deletes what was read.
use strict;
use warnings;
use MIME::Base64;
use Net::POP3;
use Net::SMTP;

my ($mode, $host, $port, $tls, $ca, $user, $password, @more) = @ARGV;
my %secure = (SSL_ca_file => $ca, SSL_verify_mode => 1);
my $class = $mode eq 'send' ? 'Net::SMTP' : 'Net::POP3';
my $c = $class->new($host, Port => $port, Timeout => 30, ($mode eq 'send' ? (Hello => 'perl.test') : ()),
	($tls eq 'tls' ? (SSL => 1, %secure) : ())) or die "no connection: $@\n";
sub must { my ($ok, $what) = @_; die "$what: " . $c->code . ' ' . $c->message . "\n" unless $ok; }

must($c->starttls(%secure), 'STARTTLS') if $tls eq 'starttls';
if ($mode eq 'send') {
	my ($from, $to, $subject, $attachment) = @more;
	must($c->auth($user, $password), 'AUTH') if $user ne '-';
	open(my $f, '<:raw', $attachment) or die "$attachment: $!\n";
	my $octets = do { local $/; <$f> };
	must($c->mail($from), 'MAIL');
	must($c->to($_), "RCPT $_") for split /,/, $to;
	must($c->data, 'DATA');
	# The subject in UTF-8 without encoding, as many scripts write it.
	must($c->datasend("From: $from\nTo: $to\nSubject: $subject\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
		. "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nПисьмо\n.dot\n..two\n.\nend\n"
		. "--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=a.bin\n"
		. "Content-Transfer-Encoding: base64\n\n" . encode_base64($octets) . "--b--\n"), 'the text');
	must($c->dataend, 'the end');
} else {
	my ($folder) = @more;
	defined $c->login($user, $password) or must(0, 'log-in');
	my $list = $c->list;
	my $uidl = $c->uidl;
	must(keys %$list == keys %$uidl, 'LIST and UIDL');
	for my $n (sort { $a <=> $b } keys %$list) {
		my $lines = $c->get($n) or must(0, "RETR $n");
		open(my $f, '>:raw', "$folder/$n") or die "$folder/$n: $!\n";
		print $f @$lines;
		close($f) or die "$folder/$n: $!\n";
		must($c->delete($n), "DELE $n");
	}
}
must($c->quit, 'QUIT');
