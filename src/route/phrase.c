#include "route/phrase.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/slice.h"

#include <string.h>

enum { GAPS = 3, DEPTH = 4, TEXT_MAX = 64 * 1024 };

/* A * stands for anything, in the same order in both; what it stands for may be a phrase itself. The first that fits
 * counts. */
static const struct {
	const char *english, *russian;
} phrases[] = {
    /* connections */
    {"the host name was not found (*)", "имя сервера не найдено (*)"},
    {"the proxy's name was not found (*)", "имя прокси не найдено (*)"},
    {"cannot connect (*)", "нет соединения (*)"},
    {"no answer in time (*)", "нет ответа в срок (*)"},
    {"the connection was cut off (*)", "соединение оборвалось (*)"},
    {"the connection was cut off in the TLS handshake (*)", "соединение оборвалось при начале TLS (*)"},
    {"file is not a database", "это не база данных"},
    {"database disk image is malformed", "база данных испорчена"},
    {"it is no file", "это не файл"},
    {"it was removed while the program ran", "он был удалён при работающей программе"},
    {"it was overwritten while the program ran", "он был перезаписан при работающей программе"},
    {"it was replaced while the program ran", "он был подменён при работающей программе"},
    {"the connection was lost", "соединение потеряно"},
    {"the connection failed (*)", "соединение не удалось (*)"},
    {"the server closed the connection without a word (*)", "сервер закрыл соединение без ответа (*)"},
    {"the server does not offer the log-in that `auth` asks for (*)",
     "сервер не предлагает входа, которого требует `auth` (*)"},
    {"the server closed the connection", "сервер закрыл соединение"},
    {"the server fell silent", "сервер замолчал"},
    {"no connection and log-in within * seconds", "нет соединения и входа за * с"},
    {"the proxy refused the connection (*)", "прокси отказал в соединении (*)"},
    {"the server's certificate is not trusted (*)", "сертификату сервера нет доверия (*)"},
    {"cannot read ca_file (*)", "не читается ca_file (*)"},
    {"the TLS handshake failed (*)", "не удалось начать TLS (*)"},
    {"TLS is required, and the server does not offer it (*)", "нужен TLS, а сервер его не предлагает (*)"},
    {"the server sent text between STARTTLS and TLS (*)", "сервер прислал текст между STARTTLS и TLS (*)"},
    {"log-in refused: *", "вход отклонён: *"},
    {"not tried since its log-in was refused; `ofmctl reload` or `ofmctl sync \"*\"` tries it (*)",
     "не опрашивается с тех пор, как отказано во входе; снова опросят `ofmctl reload` и `ofmctl sync \"*\"` (*)"},
    {"log-in refused (*)", "вход отклонён (*)"},
    {"log-in failed: *", "вход не удался: *"},
    {"log-in failed (*)", "вход не удался (*)"},
    {"not the answer of such a server: *", "так отвечает сервер другого рода: *"},
    {"not the answer of such a server (*)", "так отвечает сервер другого рода (*)"},
    {"the server refuses this connection: *", "сервер отказывает в соединении: *"},
    {"the server refuses this connection (*)", "сервер отказывает в соединении (*)"},
    {"the server's answer does not end: *", "ответ сервера не кончается: *"},
    {"the server's answer does not end (*)", "ответ сервера не кончается (*)"},
    {"the host name holds characters that no host name has", "в имени сервера недопустимые знаки"},
    {"the port is 0", "порт равен 0"},
    {"the user name holds control or non-ASCII characters", "в имени пользователя знаки управления или не ASCII"},
    {"the password holds control or non-ASCII characters", "в пароле знаки управления или не ASCII"},
    {"the token holds control or non-ASCII characters", "в токене знаки управления или не ASCII"},
    {"a connection setting holds control or non-ASCII characters", "в настройке соединения недопустимые знаки"},
    /* collecting */
    {"user or password holds control or non-ASCII characters, which POP3 cannot carry",
     "в user или password знаки управления или не ASCII, POP3 их не передаёт"},
    {"password_command printed nothing", "password_command ничего не напечатала"},
    {"password_command printed an empty first line", "первая строка вывода password_command пуста"},
    {"the account has no password", "у ящика нет пароля"},
    {"password_command * (status *)", "password_command * (код *)"},
    {"could not be run", "не запустилась"},
    {"took too long", "работала слишком долго"},
    {"failed", "не удалась"},
    {"held until `ofmctl account resume`", "придержан до `ofmctl account resume`"},
    {"nearly all known messages have been replaced by unknown ones",
     "почти все известные письма сменились неизвестными"},
    {"the server gives known messages new names in each session",
     "сервер в каждом сеансе даёт известным письмам новые имена"},
    {"the server sends too slowly", "сервер передаёт слишком медленно"},
    {"the server did not answer the log-in in time", "сервер не ответил на вход в срок"},
    {"the server did not confirm the deletions: *", "сервер не подтвердил удаление: *"},
    {"the server refuses to list the mailbox: *", "сервер не даёт список писем: *"},
    {"the server refuses to name its messages: *", "сервер не называет письма (UIDL): *"},
    {"the server names messages by UIDL, and LIST shows none of them",
     "сервер называет письма (UIDL), а в LIST нет ни одного из них"},
    {"the server gives no UIDL for messages that may have been collected: they are left alone",
     "сервер не даёт UIDL писем, которые, возможно, уже собраны: их не трогают"},
    {"the token was refused: *", "токен отклонён: *"},
    {"the server refuses to hand out message *: *", "сервер не отдаёт письмо *: *"},
    {"message * is far larger than the server said; it is left alone until the next reload",
     "письмо * намного больше, чем сказал сервер; до следующего reload его не трогают"},
    {"a header that does not end", "заголовок письма не кончается"},
    {"the server sends more than the header of a large message",
     "сервер посылает больше, чем заголовок большого письма"},
    {"message * (* KiB) does not fit on this machine's disk", "письмо * (* КиБ) не помещается на диске шлюза"},
    {"no room on this machine's disk", "на диске шлюза нет места"},
    {"this machine's disk fails: mail cannot be written", "диск шлюза отказывает: письма не записываются"},
    {"no room for a report to postmaster", "нет места для отчёта"},
    {"the database may have lost a message: it is fetched again", "база могла потерять письмо: оно будет взято снова"},
    {"the database failed", "сбой базы данных"},
    {"the server lists a message whose number is none", "в списке сервера неверный номер письма"},
    {"the server lists more than * messages", "в списке сервера больше * писем"},
    {"the server lists message * with a size that is none", "в списке сервера неверный размер письма *"},
    {"the server lists message * with an over-long UIDL", "в списке сервера слишком длинный UIDL письма *"},
    {"the server lists message * with control characters in its UIDL", "в списке сервера негодный UIDL письма *"},
    {"the server lists message * twice", "в списке сервера письмо * стоит дважды"},
    {"the server asks for more where nothing more is due", "сервер требует лишнего"},
    {"the server sends empty lines instead of a reply", "вместо ответа сервер шлёт пустые строки"},
    {"the server speaks without being asked", "сервер говорит без спроса"},
    {"the server's reply is neither +OK nor -ERR", "ответ сервера — не +OK и не -ERR"},
    {"the server's listing does not end", "список сервера не кончается"},
    {"the server sends an over-long line", "сервер прислал слишком длинную строку"},
    /* sending */
    {"no relay is configured", "не настроен сервер для отправки: [relay] host"},
    {"password_command failed or printed nothing", "password_command не удалась или ничего не напечатала"},
    {"the relay takes and answers nothing any more", "сервер больше не принимает и не отвечает"},
    {"the relay offers CHUNKING and does not know BDAT", "сервер предлагает CHUNKING, но не знает BDAT"},
    {"the relay answered before the message was sent", "сервер ответил раньше, чем получил письмо"},
    {"RSET was refused", "сервер отверг RSET"},
    {"the relay sent a reply to no command", "сервер ответил без команды"},
    {"the relay's reply does not fit the command", "ответ сервера не подходит к команде"},
    {"the relay sent something that is no SMTP reply", "сервер прислал не ответ SMTP"},
    {"the message's file could not be read to its end", "файл письма не прочитан до конца"},
    {"its file cannot be read on this gateway", "файл письма на шлюзе не читается"},
    /* the line */
    {"up failed: *", "команда up не удалась: *"},
    {"down failed: *", "команда down не удалась: *"},
    {"the command could not be started*", "команда не запустилась*"},
    {"killed after *s, its timeout*", "остановлена через * с, по timeout*"},
    {"exit status *: *", "код возврата *: *"},
    {"exit status *", "код возврата *"},
    /* the disk */
    {"writing mail: *", "запись почты: *"},
    {"flushing mail to the disk: *", "сохранение почты на диск: *"},
    {"database: *", "база данных: *"},
    {"mailboxes: *", "mailboxes: *"},
    {"outqueue: *", "outqueue: *"},
    {"state: *", "state: *"},
    {"the disk is read-only", "диск доступен только для чтения"},
    {"the disk has no room for more files (inodes)", "на диске нет места для новых файлов (inode)"},
    {"the disk is full", "диск полон"},
    {"No space left on device", "на диске нет места"},
    {"Disk quota exceeded", "исчерпана квота диска"},
    {"Read-only file system", "диск доступен только для чтения"},
    {"Input/output error", "ошибка ввода-вывода"},
    {"waits: the folder outqueue is not the one it was", "ждёт: папка outqueue не та, что была"},
    {"its .ofmsrv-id is missing, or that of another gateway", "в ней нет .ofmsrv-id, или он от другого шлюза"},
    {"Permission denied", "нет прав доступа"},
    {"Operation not permitted", "действие не разрешено"},
    {"No such file or directory", "нет такого файла или папки"},
    {"Not a directory", "это не папка"},
    {"Too many levels of symbolic links", "это символическая ссылка"},
    {"File name too long", "слишком длинное имя файла"},
    /* in lists */
    {"message *: * KiB", "письмо *: * КиБ"},
};

/* Where text fits the pattern: what each * stands for. Each takes as little as it can, the last all that is left. */
static bool fits(const char *pattern, struct slice text, struct slice gaps[static GAPS])
{
	size_t n = 0;

	for (;;) {
		struct slice want = slice_make(pattern, strcspn(pattern, "*"));
		if (text.n < want.n || memcmp(text.p, want.p, want.n) != 0)
			return false;
		text = slice_sub(text, want.n, text.n);
		pattern += want.n;
		if (*pattern == '\0')
			return text.n == 0;
		size_t next = strcspn(++pattern, "*"), at = 0;
		if (pattern[next] == '\0') { /* the last literal stands at the end */
			if (text.n < next)
				return false;
			at = text.n - next;
		} else {
			while (at + next <= text.n && memcmp(text.p + at, pattern, next) != 0)
				at++;
			if (at + next > text.n)
				return false;
		}
		gaps[n++] = slice_sub(text, 0, at);
		text = slice_sub(text, at, text.n);
	}
}

static void translate(struct buf *out, struct slice text, unsigned depth);

static void fill(struct buf *out, const char *pattern, const struct slice gaps[static GAPS], unsigned depth)
{
	for (size_t n = 0; *pattern != '\0'; pattern++)
		if (*pattern == '*')
			translate(out, gaps[n++], depth + 1);
		else
			buf_add_char(out, *pattern);
}

static void translate(struct buf *out, struct slice text, unsigned depth)
{
	struct slice gaps[GAPS];

	for (size_t i = 0; depth < DEPTH && i < sizeof phrases / sizeof phrases[0]; i++)
		if (fits(phrases[i].english, text, gaps)) {
			fill(out, phrases[i].russian, gaps, depth);
			return;
		}
	buf_add_slice(out, text);
}

char *phrase_in(const char *english, bool russian)
{
	struct buf out;
	char *s;

	if (!russian)
		return xstrdup(english);
	buf_init(&out, TEXT_MAX);
	translate(&out, slice_of(english), 0);
	s = xstrdup(buf_str(&out));
	buf_free(&out);
	return s;
}

bool phrase_known(const char *english)
{
	struct slice gaps[GAPS];

	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (fits(phrases[i].english, slice_of(english), gaps))
			return true;
	return false;
}
