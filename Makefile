# CometMQ. `make help` lists the targets; MODE=debug|release|asan|tsan chooses the build.
MODE ?= release
OUT ?= build/$(MODE)
CC = gcc
PREFIX ?= /usr/local

FLAGS.release := -O2 -g
FLAGS.debug := -O0 -g3 -DMQ_CHECK_OWNER
FLAGS.asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -DMQ_CHECK_OWNER
FLAGS.tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DMQ_CHECK_OWNER
MODE_FLAGS := $(FLAGS.$(MODE))
$(if $(MODE_FLAGS),,$(error MODE=$(MODE) is not one of debug release asan tsan))

PKGS := libevent libevent_pthreads jansson libsodium libisal zlib
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Werror
CFLAGS += -std=c11 -D_GNU_SOURCE -I. -fPIC -fvisibility=hidden -pthread $(MODE_FLAGS) $(WARN)
CFLAGS += $(shell pkg-config --cflags $(PKGS))
LDLIBS := $(shell pkg-config --libs $(PKGS)) -pthread -lm
STRICT := -Wconversion

sources = $(filter-out %/main.c,$(wildcard $(1)/*.c $(1)/*/*.c))
objects = $(patsubst %.c,$(OUT)/%.o,$(1))
COMMON_O := $(call objects,$(call sources,common))
NAMESRV_O := $(call objects,$(call sources,namesrv))
BROKER_O := $(call objects,$(call sources,broker))
CLIENT_O := $(call objects,$(filter-out client/admin/% client/examples/%,$(call sources,client)))
CMQ_O := $(call objects,$(wildcard client/admin/*.c client/admin/*/*.c))
TESTLIB_O := $(call objects,$(wildcard tests/lib/*.c))

BINARIES := $(OUT)/mqnamesrv $(OUT)/mqbroker $(OUT)/cmq
LIBRARIES := $(OUT)/libcmq.a $(OUT)/libcmq.so.1
# one test program per folder: tests/unit/common/*.c -> build/MODE/tests/unit-common
TEST_DIRS := $(sort $(dir $(wildcard tests/unit/*/*.c tests/sim/*/*.c tests/integration/*/*.c)))
TESTS := $(foreach d,$(TEST_DIRS),$(OUT)/tests/$(subst /,-,$(patsubst tests/%/,%,$(d))))
# one program per tests/fuzz/NAME.c; here with a small driver, in `make fuzz` with libFuzzer
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
TESTS += $(FUZZERS:%=$(OUT)/tests/fuzz-%)

all: $(BINARIES) $(LIBRARIES) ## servers, library and command line

-include $(shell find $(OUT) build/fuzz -name '*.d' 2>/dev/null)

$(OUT)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STRICT) -MMD -MP -c $< -o $@

define archive
$(OUT)/$(1): $(2)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(eval $(call archive,libcommon.a,$(COMMON_O)))
$(eval $(call archive,libnamesrv.a,$(NAMESRV_O)))
$(eval $(call archive,libbroker.a,$(BROKER_O)))
$(eval $(call archive,libclient.a,$(CLIENT_O)))
$(eval $(call archive,libtest.a,$(TESTLIB_O)))

$(OUT)/mqnamesrv: $(OUT)/namesrv/main.o $(OUT)/libnamesrv.a $(OUT)/libcommon.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@
$(OUT)/mqbroker: $(OUT)/broker/main.o $(OUT)/libbroker.a $(OUT)/libcommon.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@
$(OUT)/cmq: $(CMQ_O) $(OUT)/libclient.a $(OUT)/libcommon.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@
# one object, in which all names but those of cmq.h are local: a program may call its own functions buf_free() or log_error()
$(OUT)/libcmq.a: $(CLIENT_O) $(COMMON_O) Makefile
	@rm -f $@
	$(LD) -r $(filter %.o,$^) -o $(OUT)/libcmq.o
	objcopy --localize-hidden $(OUT)/libcmq.o
	ar rcs $@ $(OUT)/libcmq.o
$(OUT)/libcmq.so.1: $(CLIENT_O) $(OUT)/libcommon.a client/libcmq.map
	$(CC) $(CFLAGS) -shared -Wl,-soname,libcmq.so.1 -Wl,--version-script=client/libcmq.map $(filter %.o %.a,$^) $(LDFLAGS) $(LDLIBS) -o $@
	ln -sf libcmq.so.1 $(OUT)/libcmq.so

# small programs against the public header only
EXAMPLES := $(patsubst client/examples/%.c,$(OUT)/examples/%,$(wildcard client/examples/*.c))
$(OUT)/examples/%: client/examples/%.c client/include/cmq.h $(OUT)/libcmq.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Iclient/include $< $(OUT)/libcmq.a $(LDFLAGS) $(LDLIBS) -o $@
$(OUT)/tests/compat-libcmq: tests/compat/libcmq.c client/include/cmq.h $(OUT)/libcmq.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Iclient/include $< $(OUT)/libcmq.a $(LDFLAGS) $(LDLIBS) -o $@
examples: $(EXAMPLES) $(OUT)/tests/compat-libcmq ## the programs of client/examples, linked with libcmq.a

define test_program
$(OUT)/tests/$(subst /,-,$(1)): $(call objects,$(wildcard tests/$(1)/*.c)) $(OUT)/libtest.a $(OUT)/libnamesrv.a $(OUT)/libbroker.a $(OUT)/libclient.a $(OUT)/libcommon.a
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS) $$(filter %.o,$$^) $$(filter %.a,$$^) $(LDFLAGS) $(LDLIBS) -lcriterion -o $$@
endef
$(foreach d,$(TEST_DIRS),$(eval $(call test_program,$(patsubst tests/%/,%,$(d)))))
# of the command line, which is no library, what is pure
$(OUT)/tests/unit-admin: $(addprefix $(OUT)/client/admin/bench_,hist.o plan.o) $(addprefix $(OUT)/client/admin/mqadmin/,help.o options.o properties.o words.o)

$(FUZZERS:%=$(OUT)/tests/fuzz-%): $(OUT)/tests/fuzz-%: $(OUT)/tests/fuzz/%.o $(OUT)/tests/fuzz/driver/main.o $(OUT)/libtest.a $(OUT)/libbroker.a $(OUT)/libnamesrv.a $(OUT)/libclient.a $(OUT)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@

# `make fuzz`: all of it by clang, into build/fuzz. Not pointer-overflow: it takes NULL + 0, an empty slice, for a fault.
FUZZ_SECONDS ?= 60
FUZZ ?= $(FUZZERS)
FUZZ_CFLAGS := $(filter-out $(MODE_FLAGS),$(CFLAGS)) -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined -DMQ_CHECK_OWNER
FUZZ_SANITIZE := address,undefined -fno-sanitize=pointer-overflow
FUZZ_O := $(patsubst $(OUT)/%,build/fuzz/%,$(COMMON_O) $(NAMESRV_O) $(BROKER_O) $(CLIENT_O) $(TESTLIB_O))
build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) -MMD -MP -c $< -o $@
build/fuzz/libcode.a: $(FUZZ_O)
	@rm -f $@
	ar rcs $@ $^
$(FUZZERS:%=build/fuzz/fuzz-%): build/fuzz/fuzz-%: build/fuzz/tests/fuzz/%.o build/fuzz/libcode.a
	clang $(FUZZ_CFLAGS) -fsanitize=fuzzer,$(FUZZ_SANITIZE) $^ $(LDFLAGS) $(LDLIBS) -o $@

# what the scripts of tests/integration speak with
TOOLS := $(patsubst tests/tools/%.c,$(OUT)/tests/%,$(wildcard tests/tools/*.c))
# the load generator of `make bench`, which knows no code of ours
LOADGEN := $(OUT)/tests/loadgen
$(LOADGEN): tests/bench/loadgen.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra $< -o $@
$(TOOLS): $(OUT)/tests/%: $(OUT)/tests/tools/%.o $(OUT)/libcommon.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@

tests: $(TESTS) $(TOOLS) $(LOADGEN) $(OUT)/tests/bench-io_threads ## builds the test programs
check: all tests ## builds and runs unit, sim and integration tests; the last line is "N passed, N failed"
	@sh tests/run $(OUT)
check-slow: all tests ## what takes minutes: soak (SOAK_SECONDS=600), 10,000 pulls and connections, 100,000 queues, cold reader, more seeds, fuzz
	@SLOW=1 sh tests/run $(OUT)
ifeq ($(shell find "$$(clang -print-resource-dir 2>/dev/null)/lib" -name 'libclang_rt.fuzzer*' 2>/dev/null),)
fuzz:
	@echo "make fuzz needs clang and its runtime (Debian 12: clang libclang-rt-14-dev); make check runs the same targets without"; exit 1
else
fuzz: $(FUZZ:%=build/fuzz/fuzz-%) ## every tests/fuzz/NAME.c under clang's libFuzzer for FUZZ_SECONDS=60 each; FUZZ="NAME ..." chooses
	@sh tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ)
endif
bench: all $(LOADGEN) ## the broker's speed on this machine: SECONDS=3 a workload, ONLY="name ..." (docs/performance.md)
	@sh tests/bench/run $(OUT)
bench-recovery: all $(LOADGEN) ## how fast a start after kill -9 reads the log, against the disk: GIB=2, ROUNDS=3, DIR=where
	@sh tests/bench/recovery $(OUT)
bench-sql: tests ## evaluations of a > 5 AND b = 'x' a second, on one core
	@$(OUT)/tests/sqlverdicts bench
bench-namesrv: all ## the name server's: APACHE_HOME=DIR in turn with Apache's, SPREAD=0 with all topics on all brokers
	@sh tests/bench/namesrv $(OUT)
bench-against: all ## end to end beside Apache's broker: APACHE_HOME=folder with lib/*.jar, see the head of tests/bench/against
	@bash tests/bench/against $(OUT)
$(OUT)/tests/bench-io_threads: $(OUT)/tests/bench/io_threads.o $(OUT)/libbroker.a $(OUT)/libcommon.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@
bench-loops: $(OUT)/tests/bench-io_threads ## what reading and writing on threads of their own would give (docs/decisions/0004)
	@sh tests/bench/loops $(OUT)
demo: all ## a cluster of real processes, killed in parts on the way; checks its own claims
	@sh deploy/demo $(OUT)
compat: all examples $(OUT)/tests/sqlverdicts ## Apache's published Java, Go and Node clients against our servers
	@bash tests/compat/all $(OUT)
format: ## rewrites the sources as .clang-format says
	clang-format -i $$(git ls-files '*.c' '*.h')
analyze: ## gcc -fanalyzer and cppcheck over servers and library
	@for f in $(patsubst $(OUT)/%.o,%.c,$(COMMON_O) $(NAMESRV_O) $(BROKER_O) $(CLIENT_O)); do for c in "" -fanalyzer-checker=taint; do \
	  $(CC) $(CFLAGS) -O1 -fanalyzer $$c -Wno-analyzer-use-of-uninitialized-value -c $$f -o /dev/null || bad=1; done; done; [ -z "$$bad" ]
	cppcheck --quiet --suppress=internalAstError --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -I. -D_GNU_SOURCE --include=tests/lib/cppcheck.h \
	  common namesrv broker client
compile_commands.json: ## for editors and clang tools
	@{ echo '['; sep=; for f in $$(git ls-files '*.c'); do \
	  printf '%s{"directory":"%s","file":"%s","command":"$(CC) %s -c %s"}\n' "$$sep" "$(CURDIR)" "$$f" '$(subst ",\",$(CFLAGS))' "$$f"; sep=,; done; echo ']'; } > $@

DOCGEN := $(OUT)/docs/gen/config
$(DOCGEN): $(OUT)/docs/gen/config.o $(OUT)/libbroker.a $(OUT)/libnamesrv.a $(OUT)/libclient.a $(OUT)/libcommon.a
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@
# DOCS_TO: where they go; tests/checks/generated.sh makes them elsewhere and compares
DOCS_TO ?= docs
docs: $(DOCGEN) $(OUT)/cmq ## docs/config.md and the manual pages, from the programs' tables
	@mkdir -p $(DOCS_TO)/man
	$(DOCGEN) markdown > $(DOCS_TO)/config.md
	$(OUT)/cmq man > $(DOCS_TO)/man/cmq.1
	$(OUT)/cmq man mqadmin > $(DOCS_TO)/man/mqadmin.1
	$(DOCGEN) man client < docs/man/cmq.5.in > $(DOCS_TO)/man/cmq.5
	$(DOCGEN) man namesrv < docs/man/mqnamesrv.8.in > $(DOCS_TO)/man/mqnamesrv.8
	$(DOCGEN) man broker < docs/man/mqbroker.8.in > $(DOCS_TO)/man/mqbroker.8

VERSION := $(shell cat VERSION)
SHARE = $(DESTDIR)$(PREFIX)/share
install: all ## DESTDIR= PREFIX=/usr/local: programs, library, headers, man pages, completions, units, sample configs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/include \
	  $(SHARE)/cometmq/conf $(SHARE)/man/man1 $(SHARE)/man/man3 $(SHARE)/man/man5 $(SHARE)/man/man8
	install -m755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin/
	ln -sf cmq $(DESTDIR)$(PREFIX)/bin/mqadmin
	install -m644 $(OUT)/libcmq.a $(DESTDIR)$(PREFIX)/lib/
	install -m755 $(OUT)/libcmq.so.1 $(DESTDIR)$(PREFIX)/lib/
	ln -sf libcmq.so.1 $(DESTDIR)$(PREFIX)/lib/libcmq.so
	install -m644 client/include/cmq.h $(DESTDIR)$(PREFIX)/include/
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LDLIBS)|' deploy/pkgconfig/libcmq.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/libcmq.pc
	for u in deploy/systemd/*.service; do sed 's|@PREFIX@|$(PREFIX)|' $$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$u); done
	install -m644 deploy/systemd/cometmq.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/cometmq.conf
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(OUT)/cmq completion bash > $(SHARE)/bash-completion/completions/cmq
	$(OUT)/cmq completion zsh > $(SHARE)/zsh/site-functions/_cmq
	$(OUT)/cmq completion fish > $(SHARE)/fish/vendor_completions.d/cmq.fish
	cp -R deploy/conf/. $(SHARE)/cometmq/conf/
	for m in docs/man/*.[1358]; do s=$${m##*.}; install -m644 $$m $(SHARE)/man/man$$s/; done

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile
clean: ## removes all builds
	rm -rf build
.PHONY: all docs examples tests check check-slow bench bench-against bench-loops bench-namesrv bench-recovery bench-sql fuzz compat format analyze install help clean
.DEFAULT_GOAL := all
