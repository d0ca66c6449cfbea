# spanmark: one Makefile. `make run` and `make test` do the set-up on a bare Debian or Ubuntu machine.
#
#   make run            install what is missing, build, run the main job, print a counter table
#   make test           the same set-up, then every test
#   make help           every target
#
# Variants live side by side under build/: VARIANT is derived from CC, SAN and MUTANT, so an
# ASan tree never mixes with a release tree. Sources are found by folder: a new .c needs no edit here.

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
PREFIX   ?= /usr/local
DESTDIR  ?=
SAN      ?=
MUTANT   ?=
WERROR   ?=
V        ?=
OPT      ?= -O2

VERSION  := 0.1.0
SOMAJOR  := 0

MACHINE  := $(shell $(CC) -dumpmachine 2>/dev/null)
ARCH     := $(firstword $(subst -, ,$(if $(MACHINE),$(MACHINE),$(shell uname -m))))

comma    := ,
VARIANT  := $(ARCH)-$(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(MUTANT),-mutant$(MUTANT))$(if $(HOSTILE),-hostile)$(VARIANT_SUFFIX)
B        := build/$(VARIANT)
Q        := $(if $(V),,@)

CPPFLAGS += -I. -D_GNU_SOURCE -DSM_VERSION=\"$(VERSION)\" $(if $(MUTANT),-DSM_MUTANT=$(MUTANT)) $(if $(HOSTILE),-DSM_HOSTILE=1)
CFLAGS   += -std=gnu17 $(OPT) -g -fno-strict-aliasing -fno-omit-frame-pointer -fvisibility=hidden \
            -Wall -Wextra -Wundef -Wshadow -Wstrict-prototypes $(if $(WERROR),-Werror) \
            $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=undefined)
LDFLAGS  += $(if $(SAN),-fsanitize=$(SAN)) -pthread
LIB_LIBS := -luring -lm
ALL_LIBS := -lpfm -lhwloc -luring -lsqlite3 -linih -lm $(EXTRA_LIBS)

# ---- sources -------------------------------------------------------------------------------------
src       = $(wildcard $(1)/*.c) $(wildcard $(1)/arch/$(ARCH)/*.c) $(wildcard $(1)/arch/$(ARCH)/*.S)
obj       = $(addsuffix .o,$(addprefix $(B)/,$(basename $(1))))
picobj    = $(addsuffix .o,$(addprefix $(B)/pic/,$(basename $(1))))

ALLOC_SRC := $(call src,allocator)
GC_SRC    := $(call src,collector)
PERF_SRC  := $(call src,perf)
WL_SRC    := $(call src,workloads)
HARN_SRC  := $(call src,harness)
# allocator/preload.c is the malloc interface: only in libspanmark-malloc.so, never in the library.
LIB_SRC   := $(filter-out allocator/preload.c,$(ALLOC_SRC)) $(GC_SRC)
APP_SRC   := $(PERF_SRC) $(WL_SRC) $(filter-out harness/main.c,$(HARN_SRC))

TEST_SRC   := $(wildcard tests/test_*.c)
STRESS_SRC := $(wildcard tests/stress_*.c)
BENCH_SRC  := $(wildcard tests/bench_*.c)
SUPPORT_SRC:= $(wildcard tests/support/*.c)
TESTS      := $(patsubst tests/%.c,$(B)/tests/%,$(TEST_SRC) $(STRESS_SRC))
BENCHES    := $(patsubst tests/%.c,$(B)/tests/%,$(BENCH_SRC))

.DEFAULT_GOAL := all
.PHONY: all run test build-tests build-benches deps layers format format-check install uninstall clean help FORCE

all: $(B)/spanmark $(B)/libspanmark.a $(B)/libspanmark.so.$(SOMAJOR) ## build the command and the libraries

$(B)/libspanmark.a: $(call obj,$(LIB_SRC))
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/libspanmark.so.$(SOMAJOR): $(call picobj,$(LIB_SRC))
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libspanmark.so.$(SOMAJOR) -o $@ $^ $(LIB_LIBS)

$(B)/spanmark: $(B)/harness/main.o $(call obj,$(APP_SRC)) $(B)/libspanmark.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(B)/tests/%: $(B)/tests/%.o $(call obj,$(SUPPORT_SRC)) $(call obj,$(APP_SRC)) $(B)/libspanmark.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcheck -lsubunit -lrt $(ALL_LIBS)

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(B)/pic/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -ftls-model=initial-exec -MMD -MP -c -o $@ $<

$(B)/pic/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -fPIC -MMD -MP -c -o $@ $<

# A change of flags rebuilds; the same flags do not.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@

build-tests: $(TESTS) ## build every test program
build-benches: $(BENCHES) ## build every benchmark program

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- set-up --------------------------------------------------------------------------------------
# The installer is a script because a bare machine has no compiler when make first parses this file.
deps: ## install missing packages (apt-get; sudo when not root)
	@tests/setup/deps.sh build

# The set-up must finish before make looks at $(MACHINE) and the sources, hence the second make.
run: deps ## set up, build, run the main job in under a minute, print a counter table
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$$($(MAKE) --no-print-directory -s print-command) run --quick

test: ## set up, build, run every test
	@tests/setup/deps.sh test
	@$(MAKE) --no-print-directory -j$$(nproc) all build-tests
	@$(MAKE) --no-print-directory run-tests

.PHONY: run-tests print-command
run-tests: build-tests all
	@tests/run.sh $(B)

print-command:
	@echo $(B)/spanmark

# ---- checks --------------------------------------------------------------------------------------
layers: ## fail on an include that points up the floor plan
	@tests/layers.sh

FORMAT_SRC = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
format: ## apply .clang-format
	@clang-format -i $(FORMAT_SRC)
format-check: ## fail where a file differs from .clang-format
	@tests/setup/deps.sh format
	@clang-format --dry-run -Werror $(FORMAT_SRC)

clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 18

FORCE:
