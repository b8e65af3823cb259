# ofmsrv: `make demo` shows the gateway at work, `make check` runs every test. `make help` lists the rest.
SHELL := /bin/bash
CC ?= cc
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

PKGS := libcurl openssl libpcre2-8 libevent libevent_openssl libevent_pthreads sqlite3 jansson libcrypt
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
SANITIZE ?=
OPT ?= -O2 -g
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ifneq ($(SANITIZE),)
HARDEN :=
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined
endif
CPPFLAGS += -D_GNU_SOURCE -DOFM_VERSION='"$(VERSION)"' -Isrc $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS += -std=c17 $(OPT) $(HARDEN) $(WARN) $(if $(WERROR),-Werror) -pthread
LDFLAGS += -pie -Wl,-z,relro,-z,now
LDLIBS += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -liniparser -pthread

LIB_SRC := $(wildcard src/*/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
CTL_SRC := $(wildcard gui-less/*.c)
CTL_OBJ := $(CTL_SRC:%.c=$(BUILD)/%.o)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
LIB := $(BUILD)/libofmsrv.a

.PHONY: all unit clean help
all: ofmsrv ofmctl

ofmsrv: $(BUILD)/src/main.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

ofmctl: $(CTL_OBJ) $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIB): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# Unit tests alone: quick, without a server.
unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do $$t; done

# What must hold before a change joins main: everything compiles without a warning, unit tests pass.
.PHONY: landcheck
landcheck: $(LIB) $(if $(wildcard src/main.c),ofmsrv) $(if $(wildcard gui-less/main.c),ofmctl) unit

clean:
	rm -rf $(BUILD) build-* ofmsrv ofmctl

-include $(LIB_OBJ:.o=.d) $(CTL_OBJ:.o=.d) $(BUILD)/src/main.d $(UNIT_SRC:%.c=$(BUILD)/%.d)
