#include "route/letter.h"

#include <string.h>

struct letter {
	struct letter_text english, russian;
};

static const struct letter letters[LETTER_KINDS] = {
    [LETTER_MAILBOX] = {{"A mailbox cannot be written",
                         "Mail for {user} is safe, but cannot be put into the mailbox: {why}.\n\n"
                         "Folder: {folder}\n\n"
                         "{mend}"
                         "Check who owns that folder, and whether its disk has room. It is tried again every\n"
                         "minute; nothing has to be sent anew.\n"},
                        {"В ящик нельзя записать почту",
                         "Почта для {user} в сохранности, но её нельзя положить в ящик: {why}.\n\n"
                         "Папка: {folder}\n\n"
                         "{mend}"
                         "Проверьте, чья это папка и есть ли место на её диске. Попытка повторяется каждую\n"
                         "минуту; заново посылать ничего не нужно.\n"}},
    [LETTER_WELL_AGAIN] = {{"Mail could not be stored for a while",
                            "Mail could not be accepted or stored.\n\n"
                            "From:    {from}\nUntil:   {until}\nTrouble: {why}\n\n"
                            "Whatever had been accepted before is safe. Senders were asked to try again, and\n"
                            "collecting has waited. If it was the disk, make room before it comes back.\n"},
                           {"Почту некоторое время нельзя было сохранять",
                            "Почту нельзя было принимать и сохранять.\n\n"
                            "С:       {from}\nДо:      {until}\nПричина: {why}\n\n"
                            "Всё, что было принято раньше, в сохранности. Отправителей просили повторить позже, а\n"
                            "сбор почты ждал. Если дело в диске, освободите место, пока это не повторилось.\n"}},
    [LETTER_REBUILT] = {{"The gateway has rebuilt its database",
                         "The gateway's database was lost, damaged, or older than its folders. Mail in the mailboxes\n"
                         "is untouched.\n\n"
                         "Outgoing messages that wait, found by their files and now held: {queued}\n"
                         "Outgoing files without a readable envelope, left as they are:   {unreadable}\n"
                         "Collected messages that will not be collected again:            {known}\n\n"
                         "See `ofmctl queue`, then `ofmctl queue release all` or `ofmctl queue drop ID`: some of\n"
                         "their recipients may have had them already.\n"},
                        {"Шлюз восстановил свою базу данных",
                         "База данных шлюза была потеряна, повреждена или старее его папок. Почта в ящиках не\n"
                         "тронута.\n\n"
                         "Ожидающих исходящих писем, найденных по файлам и придержанных: {queued}\n"
                         "Исходящих файлов без читаемого конверта, оставленных как есть:  {unreadable}\n"
                         "Собранных писем, которые не будут собраны снова:               {known}\n\n"
                         "Смотрите `ofmctl queue`, затем `ofmctl queue release all` или `ofmctl queue drop ID`:\n"
                         "некоторые получатели могли их уже получить.\n"}},
    [LETTER_LOGIN_REFUSED] =
        {{"Log-in refused by a provider",
          "Account \"{account}\": {user} on {host}\n\n"
          "The provider refuses the log-in:\n\n  {why}\n\n"
          "{mend}"
          "\nIt is tried again in an hour, after `ofmctl reload`, and by `ofmctl sync \"{account}\"`.\n"},
         {"Провайдер отказал во входе",
          "Ящик «{account}»: {user} на {host}\n\n"
          "Провайдер отклоняет вход:\n\n  {why}\n\n"
          "{mend}"
          "\nСледующая попытка через час, после `ofmctl reload` или по `ofmctl sync \"{account}\"`.\n"}},
    [LETTER_LOGIN_LATER] =
        {{"A provider keeps putting off the log-in",
          "Account \"{account}\": {user} on {host}\n\n"
          "The provider answered {times} log-ins in a row with:\n\n  {why}\n\n"
          "That sounds as if it would pass, and has not passed. It may hide another reason:\n\n"
          "{mend}"
          "\nIt is tried again with every sync. You will be told when it works again.\n"},
         {"Провайдер всё откладывает вход",
          "Ящик «{account}»: {user} на {host}\n\n"
          "На попытки входа (подряд: {times}) провайдер отвечает:\n\n  {why}\n\n"
          "Похоже на временную помеху, но она не проходит. За ней может стоять другая причина:\n\n"
          "{mend}"
          "\nПопытки продолжаются в каждом сеансе связи. Когда сбор заработает, придёт сообщение.\n"}},
    [LETTER_NO_PASSWORD] = {{"No password for an account",
                             "Account \"{account}\": {user} on {host}\n\n"
                             "There is no password to log in with:\n\n  {why}\n\n"
                             "The provider was not asked. Check `password`, `password_file` or `password_command`\n"
                             "of this account in the ini file; run the command by hand as the user of ofmsrv.\n\n"
                             "It is tried again with every sync. You will be told when it works again.\n"},
                            {"Нет пароля для ящика",
                             "Ящик «{account}»: {user} на {host}\n\n"
                             "Нет пароля для входа:\n\n  {why}\n\n"
                             "К провайдеру не обращались. Проверьте `password`, `password_file` или\n"
                             "`password_command` этого ящика в файле ini; запустите команду вручную от имени\n"
                             "пользователя ofmsrv.\n\n"
                             "Попытки продолжаются в каждом сеансе связи. Когда сбор заработает, придёт сообщение.\n"}},
    [LETTER_NOT_COLLECTED] = {{"Mail cannot be collected",
                               "Account \"{account}\": {user} on {host}\n\n"
                               "Collecting failed {times} times in a row:\n\n  {why}\n\n"
                               "`ofmctl test account \"{account}\"` tries it step by step and says what helps.\n\n"
                               "It is tried again with every sync. You will be told when it works again, and not\n"
                               "before.\n"},
                              {"Почту не удаётся собрать",
                               "Ящик «{account}»: {user} на {host}\n\n"
                               "Неудачных попыток подряд: {times}.\n\n  {why}\n\n"
                               "`ofmctl test account \"{account}\"` проверит всё по шагам и подскажет, что делать.\n\n"
                               "Попытки продолжаются в каждом сеансе связи. Следующее сообщение придёт, когда сбор\n"
                               "снова заработает.\n"}},
    [LETTER_COLLECTED] = {{"Mail is collected again", "Account \"{account}\": {user} on {host}\n\n"
                                                      "Collecting works again. You need not do anything.\n"},
                          {"Почта снова собирается", "Ящик «{account}»: {user} на {host}\n\n"
                                                     "Сбор снова работает. Делать ничего не нужно.\n"}},
    [LETTER_HELD] = {{"An account is held",
                      "Account \"{account}\": {user} on {host}\n\n"
                      "Nearly all messages that were known there are gone, and unknown ones stand in their place.\n"
                      "Either the server has numbered its messages anew, or they are others; from here that cannot\n"
                      "be told. Nothing is fetched and nothing deleted until you decide:\n\n"
                      "  ofmctl account resume \"{account}\" --known   what lies there was collected before\n"
                      "  ofmctl account resume \"{account}\" --all     it is new: collect it\n\n"
                      "If this happens again and again, the server gives the same messages other names in each\n"
                      "session. Then nothing can be kept there: set keep = 0. If it is 0 already, the server\n"
                      "does not delete what it says is deleted: ask the provider.\n"},
                     {"Ящик придержан",
                      "Ящик «{account}»: {user} на {host}\n\n"
                      "Почти все известные там письма исчезли, и на их месте неизвестные. Либо сервер перенумеровал\n"
                      "письма, либо это другие письма; отсюда этого не видно. Ничего не берётся и не удаляется,\n"
                      "пока Вы не решите:\n\n"
                      "  ofmctl account resume \"{account}\" --known   эти письма уже собраны\n"
                      "  ofmctl account resume \"{account}\" --all     они новые: собрать\n\n"
                      "Если это повторяется, сервер в каждом сеансе даёт тем же письмам другие имена. Тогда хранить\n"
                      "письма на нём нельзя: задайте keep = 0. Если уже 0, сервер не удаляет писем, хотя подтверждает\n"
                      "их удаление: обратитесь к провайдеру.\n"}},
    [LETTER_TOO_LARGE] = {{"Mail too large to collect",
                           "Account \"{account}\": {user} on {host}\n\n"
                           "Messages over max_message_kib ({limit} KiB) stay there, and are not mentioned again:\n\n"
                           "{list}\n"
                           "Read them there, or raise max_message_kib: then they are collected at the next sync.\n"},
                          {"Письма слишком велики для сбора",
                           "Ящик «{account}»: {user} на {host}\n\n"
                           "Письма больше max_message_kib ({limit} КиБ) остаются там, больше о них не сообщается:\n\n"
                           "{list}\n"
                           "Прочтите их там или увеличьте max_message_kib: тогда они придут со следующим сеансом.\n"}},
    [LETTER_NOT_FORWARDED] =
        {{"Mail too large to forward",
          "Mail for {user} was not forwarded to the outside: it is larger than [smtp] max_message_kib\n"
          "({limit} KiB) allows. It was put into the mailbox of {user}.\n\n"
          "Raise max_message_kib if such mail is to be forwarded too. You are told once for each user; the\n"
          "log has a line `forward.skipped` for each message.\n"},
         {"Письмо слишком велико для пересылки",
          "Письмо для {user} не переслано наружу: оно больше, чем позволяет [smtp] max_message_kib\n"
          "({limit} КиБ). В ящик {user} оно положено.\n\n"
          "Если такие письма тоже нужно пересылать, увеличьте max_message_kib. О каждом пользователе\n"
          "сообщается один раз; в журнале работы на каждое письмо есть строка `forward.skipped`.\n"}},
    [LETTER_NOT_HANDED_OUT] =
        {{"Mail that the provider does not hand out",
          "Account \"{account}\": {user} on {host}\n\n"
          "These messages could not be retrieved in several tries: the server refuses them, or breaks\n"
          "the connection off each time. They stay there, and are not mentioned again:\n\n"
          "{list}\n"
          "All other mail is collected. Read these there, or delete them, or ask the provider to\n"
          "repair them. They are tried again from time to time.\n"},
         {"Провайдер не отдаёт письма",
          "Ящик «{account}»: {user} на {host}\n\n"
          "Эти письма не удалось получить за несколько попыток: сервер отказывает или каждый раз\n"
          "обрывает связь. Они остаются там, больше о них не сообщается:\n\n"
          "{list}\n"
          "Остальная почта собирается. Прочтите эти письма там, удалите их или попросите провайдера\n"
          "исправить их. Время от времени попытки повторяются.\n"}},
    [LETTER_NOT_DELETED] =
        {{"Mail that cannot be deleted at the provider",
          "Account \"{account}\": {user} on {host}\n\n"
          "These messages are collected, but the server breaks the connection off each time they are to\n"
          "be deleted there. They stay there, and are not mentioned again:\n\n"
          "{list}\n"
          "Mail is collected as usual. Delete these there by hand, or ask the provider to repair them.\n"
          "Deleting them is tried again once a day.\n"},
         {"Провайдер не может удалить письма",
          "Ящик «{account}»: {user} на {host}\n\n"
          "Эти письма собраны, но при попытке удалить их на сервере он каждый раз обрывает связь. Они\n"
          "остаются там, больше о них не сообщается:\n\n"
          "{list}\n"
          "Почта собирается как обычно. Удалите эти письма там вручную или попросите провайдера\n"
          "исправить их. Раз в сутки попытка повторяется.\n"}},
    [LETTER_COME_BACK] =
        {{"A provider does not delete what it says is deleted",
          "Account \"{account}\": {user} on {host}\n\n"
          "The provider confirms deletions and does not carry them out, or brings the messages back: in\n"
          "several sessions in a row collected and deleted mail was listed again.\n\n"
          "It is recognised and not collected again, and its deletion is asked for each time. Ask the\n"
          "provider, and look whether a setting there keeps copies of mail that POP3 deletes.\n"
          "You will be told when deletions hold again.\n"},
         {"Провайдер не удаляет письма, хотя подтверждает удаление",
          "Ящик «{account}»: {user} на {host}\n\n"
          "Провайдер подтверждает удаление и не выполняет его или возвращает письма: несколько сеансов\n"
          "подряд собранные и удалённые письма снова оказываются в ящике.\n\n"
          "Шлюз их узнаёт, не собирает повторно и каждый раз просит удалить. Обратитесь к провайдеру и\n"
          "проверьте, не включено ли там хранение писем, удаляемых по POP3.\n"
          "Когда письма станут удаляться, придёт сообщение.\n"}},
    [LETTER_STAY_AWAY] = {{"A provider deletes mail again",
                           "Account \"{account}\": {user} on {host}\n\n"
                           "What is deleted there stays deleted again. You need not do anything.\n"},
                          {"Провайдер снова удаляет письма",
                           "Ящик «{account}»: {user} на {host}\n\n"
                           "Удалённые там письма больше не возвращаются. Делать ничего не нужно.\n"}},
    [LETTER_RUNAWAY] = {{"A sorting rule ran away",
                         "The pattern of [rule {rule}]\n\n  {pattern}\n\n"
                         "ran into the limits on a message of account \"{account}\" (UIDL {uidl}), and counted as no\n"
                         "match. That message was delivered by the other rules.\n\n"
                         "Write the pattern without nested repetition, or use `contains`; try it with\n"
                         "`ofmctl rule test \"{rule}\" FILE.eml`. You are told once for each pattern.\n"},
                        {"Правило сортировки вышло за пределы",
                         "Шаблон правила [rule {rule}]\n\n  {pattern}\n\n"
                         "вышел за пределы на письме из ящика «{account}» (UIDL {uidl}) и считается неподошедшим.\n"
                         "Письмо разложено по остальным правилам.\n\n"
                         "Напишите шаблон без вложенных повторов или возьмите `contains`; проверка:\n"
                         "`ofmctl rule test \"{rule}\" ПИСЬМО.eml`. О каждом шаблоне сообщается один раз.\n"}},
#define RELAY_ENGLISH                                                                                                  \
	"The gateway cannot send mail to the outside through {host}:{port}:\n\n  {why}\n\n"                            \
	"{mend}"                                                                                                       \
	"\nNothing is lost: {waiting} message(s) wait in the queue, and the relay is tried again by itself.\n"         \
	"You will be told when it works again, and not before.\n"
#define RELAY_RUSSIAN                                                                                                                        \
	"Шлюз не может отправить почту наружу через {host}:{port}:\n\n  {why}\n\n"                       \
	"{mend}"                                                                                                                             \
	"\nНичего не потеряно: в очереди писем: {waiting}. Попытки продолжаются сами.\n" \
	"Следующее сообщение придёт, когда сервер снова заработает.\n"
    [LETTER_RELAY_LOGIN] = {{"No log-in at relay {host}", RELAY_ENGLISH},
                            {"Нет входа на сервер {host}", RELAY_RUSSIAN}},
    [LETTER_RELAY_DOWN] = {{"Mail cannot leave through {host}", RELAY_ENGLISH},
                           {"Почта не уходит через {host}", RELAY_RUSSIAN}},
    [LETTER_RELAY_WORKS] = {{"Mail leaves again through {host}",
                             "The relay works again; what had waited is being sent. You need not do anything.\n"},
                            {"Почта снова уходит через {host}",
                             "Сервер снова работает; всё, что ждало, отправляется. Делать ничего не нужно.\n"}},
    [LETTER_MANY_BOUNCES] =
        {{"Too many bounces today: {user}",
          "More than {most} messages of {user} could not be delivered within a day. No more bounces\n"
          "are written to that user until the day is over. You get lists of what is held back: the\n"
          "first within a few minutes, then one an hour. Perhaps somebody sends to an old list of\n"
          "addresses: ask {user}.\n"},
         {"Слишком много возвратов за день: {user}",
          "За сутки не удалось доставить более {most} писем пользователя {user}. До конца этих суток\n"
          "возвраты ему больше не пишутся. Списки таких писем будете получать вы: первый через\n"
          "несколько минут, затем раз в час. Возможно, рассылка идёт по старому списку адресов:\n"
          "спросите {user}.\n"}},
    [LETTER_HELD_BACK] = {{"Bounces that were held back: {n}",
                           "These recipients did not get their mail, and the sender got no bounce, since there were\n"
                           "too many that day. Tell the sender.\n\n"
                           "{list}\n"},
                          {"Невыданные возвраты: {n}",
                           "Эти получатели не получили писем, а отправитель не получил возвратов: за сутки их было\n"
                           "слишком много. Сообщите отправителю.\n\n"
                           "{list}\n"}},
    [LETTER_OUTQUEUE] = {{"Outgoing mail cannot be put into its folder",
                          "Outgoing mail was accepted and is safe, but cannot be put into the outqueue, and so\n"
                          "does not leave: {why}.\n\n"
                          "Folder: {folder}\n\n"
                          "Check who owns that folder, and whether its disk has room. It is tried again every\n"
                          "minute; nothing has to be sent anew.\n"},
                         {"Исходящую почту не удаётся положить в её папку",
                          "Исходящая почта принята и в сохранности, но её не удаётся положить в очередь, поэтому\n"
                          "она не уходит: {why}.\n\n"
                          "Папка: {folder}\n\n"
                          "Проверьте, чья это папка и есть ли место на её диске. Попытка повторяется каждую\n"
                          "минуту; заново посылать ничего не нужно.\n"}},
    [LETTER_OUTQUEUE_WELL] =
        {{"Outgoing mail can be put into its folder again",
          "The outqueue can be written again: {folder}. What had waited is on its way. You need\n"
          "not do anything.\n"},
         {"Исходящая почта снова ложится в свою папку",
          "В очередь исходящих снова можно писать: {folder}. Всё, что ждало, отправляется. Делать\n"
          "ничего не нужно.\n"}},
    [LETTER_OUTQUEUE_LOST] =
        {{"The folder of outgoing mail is not the one it was",
          "Files of outgoing messages are missing, and their folder is not the one that the gateway\n"
          "started with. Is its disk still mounted? The messages stay in the queue and wait.\n\n"
          "Folder: {folder}\nTrouble: {why}\n\n"
          "Mount the disk again; they are tried again every minute. If the folder is lost for good,\n"
          "stop the gateway first: its next start says what to do.\n"},
         {"Папка исходящей почты не та, что была",
          "Файлов исходящих писем нет, а их папка не та, с которой шлюз начал работу. Подключён ли\n"
          "её диск? Письма остаются в очереди и ждут.\n\n"
          "Папка: {folder}\nПричина: {why}\n\n"
          "Подключите диск снова; попытка повторяется каждую минуту. Если папка потеряна навсегда,\n"
          "сначала остановите шлюз: при следующем запуске он скажет, что делать.\n"}},
    [LETTER_OUTQUEUE_FOUND] = {{"The folder of outgoing mail is back",
                                "The files of outgoing messages can be read again: {folder}. What had waited is being\n"
                                "sent. You need not do anything.\n"},
                               {"Папка исходящей почты снова на месте",
                                "Файлы исходящих писем снова читаются: {folder}. Всё, что ждало, отправляется. Делать\n"
                                "ничего не нужно.\n"}},
    [LETTER_JOURNAL] = {{"The journal was damaged; a new one was begun",
                         "The file with the journal, {file}, can no longer be used:\n"
                         "{why}\n\n"
                         "Mail is not affected. Of what `ofmctl journal` and `ofmctl report` knew, only that is left\n"
                         "which could still be read.\n"
                         "The damaged file: {aside}\n\n"
                         "If nobody has touched the file, check the disk: dmesg, smartctl, fsck.\n"},
                        {"Журнал был повреждён; начат новый",
                         "Файл журнала {file} больше нельзя использовать:\n"
                         "{why}\n\n"
                         "На почту это не влияет. Из того, что показывали `ofmctl journal` и `ofmctl report`,\n"
                         "осталось только то, что ещё удалось прочитать.\n"
                         "Повреждённый файл: {aside}\n\n"
                         "Если этот файл никто не трогал, проверьте диск: dmesg, smartctl, fsck.\n"}},
    [LETTER_LINE_UP] = {{"Line: the up command failed",
                         "The command [connection] up failed: {why}.\n\n"
                         "Nothing was collected or sent; the next sync tries again. Run the command by hand and see\n"
                         "what it says. You are told once, until it works again.\n"},
                        {"Линия: команда up не удалась",
                         "Команда [connection] up не удалась: {why}.\n\n"
                         "Ничего не собрано и не отправлено; попытка повторится в следующем сеансе. Выполните команду\n"
                         "вручную и посмотрите, что она скажет. Об этом сообщается один раз, до следующего успеха.\n"}},
    [LETTER_LINE_DOWN] = {{"Line: the down command failed",
                           "The command [connection] down failed: {why}.\n\n"
                           "The line may still be up, and cost money: look, and run the command by hand. You are told\n"
                           "once, until it works again.\n"},
                          {"Линия: команда down не удалась",
                           "Команда [connection] down не удалась: {why}.\n\n"
                           "Линия, возможно, осталась поднятой и стоит денег: проверьте и выполните команду вручную.\n"
                           "Об этом сообщается один раз, до следующего успеха.\n"}},
};

struct letter_text letter_text(enum letter_kind k, bool russian)
{
	return russian ? letters[k].russian : letters[k].english;
}

static const struct letter_value *value_of(const struct letter_value *v, struct slice name)
{
	for (; v->name != NULL; v++)
		if (slice_is(name, v->name))
			return v;
	return NULL;
}

void letter_fill(struct buf *out, const char *text, const struct letter_value *values)
{
	while (*text != '\0') {
		size_t plain = strcspn(text, "{");
		buf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		size_t n = strcspn(text, "}");
		const struct letter_value *v = text[n] == '}' ? value_of(values, slice_make(text + 1, n - 1)) : NULL;
		if (v != NULL)
			buf_add_str(out, v->text);
		else
			buf_add(out, text, n + (text[n] == '}'));
		text += n + (text[n] == '}');
	}
}
