# ofmsrv: `make demo` shows the gateway at work, `make check` runs every test. `make help` lists the rest.
SHELL := /bin/bash
CC ?= cc
BUILD ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
STATEDIR ?= /var/lib
DESTDIR ?=
VERSION := 0.1.0
TIME ?= 60
CLANG ?= clang

PKGS := libcurl openssl libpcre2-8 libidn2 libevent libevent_openssl libevent_pthreads sqlite3 jansson libcrypt
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
SANITIZE ?=
OPT ?= -O2 -g
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ifneq ($(SANITIZE),)
HARDEN :=
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined
endif
COVERAGE ?=
ifneq ($(COVERAGE),)
HARDEN := -fPIE
OPT := -O0 -g --coverage -fprofile-update=atomic
endif
CPPFLAGS += -D_GNU_SOURCE -DOFM_VERSION='"$(VERSION)"' -Isrc $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS += -std=c17 $(OPT) $(HARDEN) $(WARN) $(if $(WERROR),-Werror) -pthread
LDFLAGS += -pie -Wl,-z,relro,-z,now
LDLIBS += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -liniparser -pthread

# The programs stand in the root; those of another BUILD stand in that folder, so that they never mix.
BIN := $(if $(filter build,$(BUILD)),,$(BUILD)/)
LIB_SRC := $(wildcard src/*/*.c)
ifneq ($(COVERAGE),)
LIB_SRC += tools/cover_hooks.c
LDLIBS += -Wl,--wrap=confine_enter,--wrap=_exit
$(BUILD)/tools/cover_hooks.o: CPPFLAGS += -DOFM_COVERAGE='"$(abspath $(BUILD))"'
endif
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
CTL_SRC := $(wildcard gui-less/*.c)
CTL_OBJ := $(CTL_SRC:%.c=$(BUILD)/%.o)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(BUILD)/replay/%)
LIB := $(BUILD)/libofmsrv.a
C_FILES = $(shell git ls-files '*.c' '*.h')
TSAN := $(MAKE) BUILD=build-tsan SANITIZE=thread WERROR=1
ASAN := $(MAKE) BUILD=build-asan SANITIZE=address,undefined WERROR=1

.PHONY: all deps
all: $(BIN)ofmsrv $(BIN)ofmctl

$(BIN)ofmsrv: $(BUILD)/src/main.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# SRV records and the screen are ofmctl's alone.
$(BIN)ofmctl: $(CTL_OBJ) $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lncursesw -ltinfo -lresolv

$(LIB): $(LIB_OBJ)
	@rm -f $@
	@mkdir -p $(@D)
	ar rcs $@ $^

# Somebody who has just cloned hears what to do instead of the compiler's view of it.
.PHONY: ready
ready:
	@command -v $(firstword $(CC)) >/dev/null && pkg-config --exists $(PKGS) || \
	  { echo 'Not all that the build needs is installed: make deps does that, from Debian packages.' >&2; exit 1; }

$(BUILD)/%.o: %.c | ready
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# What the build needs, from Debian's packages; nothing happens where all is there.
deps:
	@tools/deps.sh build

# ---- see it work ----

.PHONY: demo evening run
# Two instances on loopback, one of which plays the provider; readable lines; 0 only when each thing was seen.
demo:
	@tools/deps.sh build
	@$(MAKE) --no-print-directory -s -j$$(nproc) WERROR=1 all
	@tools/demo.py

# docs/FIRST_EVENING.md: what the programs say from installation to the first trouble, written anew. Root; half a minute.
evening: all
	@tools/deps.sh test
	@tools/evening.py docs/FIRST_EVENING.md

# The gateway itself, in the foreground, with etc/ofmsrv.ini, mailboxes/ and outqueue/ of this folder.
run: all
	./ofmsrv -d .

# ---- tests ----

.PHONY: unit unit-build replay replay-build landcheck check check-asan check-tsan fuzz
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

unit-build: $(UNIT_BIN)

# Unit tests alone: quick, without a server.
unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do $$t; done

# libFuzzer declares its entry point nowhere.
$(BUILD)/tests/fuzz/%.o: WARN += -Wno-missing-prototypes

# The corpus of every fuzz target, through the same code as under the fuzzer but with any compiler.
$(BUILD)/replay/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

replay-build: $(REPLAY_BIN)

replay: $(REPLAY_BIN)
	@set -e; for t in $(REPLAY_BIN); do $$t $$(ls -d tests/fuzz/corpus/$$(basename $$t) tests/fuzz/corpus/fuzz_$$(basename $$t) 2>/dev/null); done

# What must hold before a change joins main: everything compiles without a warning, unit tests pass.
landcheck: $(LIB) $(if $(wildcard src/main.c),$(BIN)ofmsrv) $(if $(wildcard gui-less/main.c),$(BIN)ofmctl) unit

# Every test there is; the last line says `N passed, N failed`.
check:
	@tools/deps.sh build test model
	@$(MAKE) --no-print-directory -s -j$$(nproc) WERROR=1 all unit-build replay-build $(BUILD)/keys
	@tools/check.py --build build

# Real mail servers and clients as peers, each in a root of its own below build/world (docs/WORLD.md). Root; the last line says
# `N passed, N failed`.
.PHONY: check-world
check-world:
	@tools/deps.sh build test world
	@$(MAKE) --no-print-directory -s -j$$(nproc) WERROR=1 all
	@tools/world.sh build/world || true
	@tools/check.py --build build --world

# The same under AddressSanitizer (with leaks) and UndefinedBehaviorSanitizer.
check-asan:
	@tools/deps.sh build test model
	@$(ASAN) --no-print-directory -s -j$$(nproc) all unit-build replay-build build-asan/keys
	@tools/check.py --build build-asan

# Killed and failed at every point; cut off from power in thousands of ways. Long: figures are in docs/CRASH.md.
.PHONY: crash powerloss
crash: all
	@tests/fault/campaign.py crash $(ARGS)

powerloss: all
	@tests/fault/campaign.py powerloss --seconds $(if $(filter file,$(origin TIME)),3600,$(TIME)) $(ARGS)

# What runs in threads (disk workers, the database's writer, delivery, the helper) under ThreadSanitizer: unit tests, and
# the end-to-end tests that put all of them to work together. E2E=… chooses others.
E2E ?= bed whole_path fetch_collect fetch_apart pop3_server smtp_server send_postfix control_ctl reload sync_when
check-tsan:
	@tools/deps.sh build test
	@$(TSAN) --no-print-directory -s -j$$(nproc) all unit-build
	@tools/check.py --build build-tsan $(E2E)

# What all tests together reach, as a table; fails where a room that reads strangers' bytes or keeps mail safe is tested too
# little. COVER_TESTS="-k WORDS" runs only those end-to-end tests.
COVER := $(MAKE) BUILD=build-cover COVERAGE=1
.PHONY: cover
cover:
	@tools/deps.sh build test
	@$(COVER) --no-print-directory -s -j$$(nproc) all unit-build replay-build build-cover/keys
	@find build-cover -name '*.gcda' -delete
	@tools/check.py --build build-cover $(COVER_TESTS); passed=$$?; tools/cover.py --build build-cover && exit $$passed

# libFuzzer with both sanitizers, TIME seconds for each target; FUZZ=name for one alone.
fuzz:
	@tools/deps.sh build fuzz
	@$(MAKE) --no-print-directory -s -j$$(nproc) CC=$(CLANG) BUILD=build-fuzz SANITIZE=fuzzer-no-link,address,undefined fuzz-build
	@tools/fuzz.sh build-fuzz/fuzz $(TIME) $(FUZZ)

.PHONY: fuzz-build
fuzz-build: $(FUZZ_BIN)
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)

# ---- speed ----

BENCH_BIN := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(filter-out tests/bench/kit.c,$(wildcard tests/bench/*.c)))
.PHONY: bench bench-build bench-sorter
# Side by side with its peers; B=B4 (or B="B1 B2"): those jobs alone, JSON=file.json: the figures and a chart, ROUNDS=, SCALE=.
bench:
	@tools/deps.sh build test bench
	@$(MAKE) --no-print-directory -s -j$$(nproc) all bench-build
	@tests/bench/bench.py $(B) $(if $(JSON),--json $(JSON)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SCALE),--scale $(SCALE))

# The programs of another build (a folder with ofmsrv and ofmctl) and these, taking turns at the work of B1 to B6.
.PHONY: bench-versus
bench-versus:
	@tools/deps.sh build test bench
	@$(MAKE) --no-print-directory -s -j$$(nproc) all bench-build
	@tests/bench/versus.py $(BEFORE) . $(if $(ROUNDS),--rounds $(ROUNDS))

# docs/PROFILES.md anew: where the processor time goes on each road. Root, perf and strace; ROAD="SMTP": those roads, on the terminal.
.PHONY: profile
profile:
	@tools/deps.sh build profile
	@$(MAKE) --no-print-directory -s -j$$(nproc) all bench-build
	@tests/bench/profile.py $(if $(ROAD),/dev/stdout "$(ROAD)",docs/PROFILES.md)

bench-build: $(BENCH_BIN)
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/tests/bench/kit.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -pthread

# The sorter alone: messages a second on one core, by kinds of rules.
bench-sorter: $(BUILD)/bench/bench_sorter
	@$<

$(BUILD)/bench/bench_sorter: $(BUILD)/tests/bench/bench_sorter.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# ---- proof ----

.PHONY: model
# The crash states of docs/QUEUE.md as a model for spin: every state, and that each ordering is needed. Some minutes.
model:
	@tools/deps.sh model
	@tools/model.py

# What peers can make the program use, with large numbers: the figures of docs/BOUNDS.md. Under ten minutes.
.PHONY: soak
soak: all
	@tools/deps.sh build test
	@OFM_SOAK=1 /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/fault/test_bounds.py

# ---- gates ----

.PHONY: lint layers sizes keys
lint:
	@tools/deps.sh build lint
	@clang-format --dry-run -Werror $(C_FILES)
	@tools/tidy.sh $(CPPFLAGS)
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr --library=posix,openssl,tools/cppcheck.cfg \
	  --include=/usr/include/$$(gcc -print-multiarch)/sys/queue.h --suppressions-list=tools/cppcheck.txt \
	  --enable=warning,portability,performance -D_GNU_SOURCE -DOFM_VERSION='""' \
	  -Isrc -j$$(nproc) src gui-less
	@shellcheck $$(git ls-files '*.sh' .ci/run)

# A file includes only rooms below its own.
layers:
	@tools/layers.py

# Function median <= 20 lines, 95th percentile <= 60, none over 80; files under 900 lines.
sizes:
	@tools/sizes.py

# The manual's list of keys, written anew from the schema.
keys: $(BUILD)/keys
	@tools/keys.py --write --printer $<

$(BUILD)/keys: $(BUILD)/tools/keys.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# ---- installation ----

.PHONY: man install deb deb-check clean help
# ofmsrv(8), ofmctl(1), ofmsrv.ini(5): the keys from the schema, the commands from their own help.
man: $(BIN)ofmctl
	@tools/man.py $(abspath $(BIN)ofmctl) $(BUILD)/man

install: all man
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/ofmsrv
	install -m 755 $(BIN)ofmsrv $(DESTDIR)$(PREFIX)/sbin/ofmsrv
	install -m 755 $(BIN)ofmctl $(DESTDIR)$(PREFIX)/bin/ofmctl
	install -m 644 README.md docs/*.md $(DESTDIR)$(PREFIX)/share/doc/ofmsrv
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,1 5 8)
	install -m 644 $(BUILD)/man/ofmctl.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/ofmsrv.ini.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 $(BUILD)/man/ofmsrv.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/vendor-completions)
	install -m 644 etc/completion/ofmctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ofmctl
	install -m 644 etc/completion/_ofmctl $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_ofmctl
	install -d -m 750 $(DESTDIR)$(SYSCONFDIR)/ofmsrv $(DESTDIR)$(STATEDIR)/ofmsrv
	install -d -m 700 $(DESTDIR)$(STATEDIR)/ofmsrv/mailboxes $(DESTDIR)$(STATEDIR)/ofmsrv/outqueue
	[ -e $(DESTDIR)$(SYSCONFDIR)/ofmsrv/ofmsrv.ini ] || install -m 640 etc/ofmsrv.ini $(DESTDIR)$(SYSCONFDIR)/ofmsrv/ofmsrv.ini

# Debian packages, in build/deb, from what git tracks (and lintian's opinion of them).
deb:
	@tools/deps.sh build deb
	@tools/deb.sh build/deb

# Installs, upgrades, removes and purges the package in a Debian of its own (debootstrap; needs root).
deb-check: deb
	@tools/deb_check.sh build/deb

clean:
	rm -rf $(BUILD) build-* ofmsrv ofmctl

help:
	@echo 'make demo        installs what the build needs, builds, shows the gateway at work on loopback'
	@echo 'make evening     writes docs/FIRST_EVENING.md anew: what the programs say, from installation to the first trouble'
	@echo 'make run         the gateway in the foreground with etc/ofmsrv.ini'
	@echo 'make             builds ofmsrv and ofmctl'
	@echo 'make check       every test; unit, replay: parts of it'
	@echo 'make check-world real mail servers and clients as peers: Courier, Cyrus, Exim, nodemailer, … (root)'
	@echo 'make check-asan  the same under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make check-tsan  what runs in threads under ThreadSanitizer (E2E="reload …": other end-to-end tests)'
	@echo 'make cover       which part of each room the tests reach; fails below 90 % of lines, 80 % of branches'
	@echo 'make fuzz TIME=s fuzzes each target for so many seconds (FUZZ=name: one of them)'
	@echo 'make bench       speed beside Postfix, Dovecot, fetchmail and others; B=B4: one job, JSON=file: figures'
	@echo 'make bench-versus BEFORE=folder  the programs there and these, taking turns at the work of B1 to B6'
	@echo 'make profile     docs/PROFILES.md anew: processor time by thread and function on each road (perf, strace)'
	@echo 'make model       checks the model of delivery in every state that crashes can leave (spin)'
	@echo 'make crash       kills and fails the program at every point (hours); powerloss TIME=s: power cuts, replayed'
	@echo 'make bench-sorter  how fast the sorter alone is'
	@echo 'make soak        memory, descriptors and time under floods, with figures (minutes)'
	@echo 'make lint        clang-format, clang-tidy, cppcheck, shellcheck; layers, sizes: the gates on structure'
	@echo 'make keys        writes the list of keys into the manual anew'
	@echo 'make man         the man pages, in build/man'
	@echo 'make install     DESTDIR, PREFIX ($(PREFIX)), SYSCONFDIR ($(SYSCONFDIR)), STATEDIR ($(STATEDIR))'
	@echo 'make deb         Debian packages in build/deb; deb-check: tries them in a Debian of their own'
	@echo 'make deps        installs what the build needs; clean: removes what was built'

-include $(LIB_OBJ:.o=.d) $(CTL_OBJ:.o=.d) $(BUILD)/src/main.d $(UNIT_SRC:%.c=$(BUILD)/%.d) $(FUZZ_SRC:%.c=$(BUILD)/%.d)
