# spanmark: one Makefile. `make run` and `make test` do the set-up on a bare Debian or Ubuntu machine.
#
#   make run            install what is missing, build, run the main job, print a counter table
#   make test           the same set-up, then every test
#   make help           every target
#
# Variants live side by side under build/: VARIANT is derived from CC and SAN, so an
# ASan tree never mixes with a release tree. Sources are found by folder: a new .c needs no edit here.

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
PREFIX   ?= /usr/local
DESTDIR  ?=
SAN      ?=
WERROR   ?=
# log2 of the span unit: 13, 14 (the default) or 16, which kernels with 64 KiB pages need.
UNIT_SHIFT ?=
V        ?=
OPT      ?= -O2
SYSROOT  ?=

VERSION  := 0.1.0
SOMAJOR  := 0

MACHINE  := $(shell $(CC) -dumpmachine 2>/dev/null)
ARCH     := $(firstword $(subst -, ,$(if $(MACHINE),$(MACHINE),$(shell uname -m))))

comma    := ,
VARIANT  := $(ARCH)-$(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(FUZZ),-fuzz)$(if $(HOSTILE),-hostile)$(if $(UNIT_SHIFT),-unit$(UNIT_SHIFT))$(if $(COVERAGE),-coverage)$(VARIANT_SUFFIX)
B        := build/$(VARIANT)
Q        := $(if $(V),,@)

AR       := $(or $(shell $(CC) -print-prog-name=ar 2>/dev/null),ar)

# Probes for bpftrace and perf (allocator/base/phase.h), where there is sys/sdt.h to build with.
SDT      := $(shell $(CC) $(if $(SYSROOT),--sysroot=$(abspath $(SYSROOT))) -E -x c -include sys/sdt.h /dev/null >/dev/null 2>&1 && echo 1)

CPPFLAGS += $(if $(SYSROOT),--sysroot=$(abspath $(SYSROOT))) $(if $(SDT),-DSM_SDT=1) -Iinclude -I. -D_GNU_SOURCE -DSM_VERSION=\"$(VERSION)\" $(if $(HOSTILE),-DSM_HOSTILE=1) $(if $(UNIT_SHIFT),-DSM_UNIT_SHIFT=$(UNIT_SHIFT)) $(if $(COVERAGE),-DSM_COVERAGE=1)
# Debug information of clang in a form that valgrind of Debian 12 reads.
CFLAGS   += -std=gnu17 $(OPT) -g $(if $(findstring clang,$(CC)),-gdwarf-4) -fno-strict-aliasing -fno-omit-frame-pointer -fvisibility=hidden \
            -Wall -Wextra -Wundef -Wshadow -Wstrict-prototypes $(if $(WERROR),-Werror) \
            $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=undefined) $(if $(FUZZ),-fsanitize=fuzzer-no-link) \
            $(if $(filter thread,$(SAN)),$(if $(findstring gcc,$(CC)),-Wno-tsan)) \
            $(if $(COVERAGE),--coverage -fprofile-update=atomic -fno-builtin-fork)
LDFLAGS  += $(if $(SYSROOT),--sysroot=$(abspath $(SYSROOT))) $(if $(SAN),-fsanitize=$(SAN)) -pthread \
            $(if $(COVERAGE),--coverage)
LIB_LIBS := -lm
# Coverage builds: _exit and abort that write counts (tests/support/coverage.c), in every program.
COVER    := $(if $(COVERAGE),$(B)/tests/support/coverage.o)
ALL_LIBS := -lpfm -lhwloc -lsqlite3 -linih -lcjson -lm $(EXTRA_LIBS)

# ---- sources -------------------------------------------------------------------------------------
src       = $(foreach d,$(1),$(wildcard $(d)/*.c $(d)/arch/$(ARCH)/*.c $(d)/arch/$(ARCH)/*.S))
obj       = $(addsuffix .o,$(addprefix $(B)/,$(basename $(1))))
picobj    = $(addsuffix .o,$(addprefix $(B)/pic/,$(basename $(1))))

ALLOC_SRC := $(call src,$(wildcard allocator/*))
GC_SRC    := $(call src,$(wildcard collector/*))
PERF_SRC  := $(call src,perf)
WL_SRC    := $(call src,workloads workloads/trace)
HARN_SRC  := $(call src,harness $(filter-out harness/main.c,$(wildcard harness/*)))
# allocator/malloc/preload.c is the malloc interface: only in libspanmark-malloc.so, never in the library.
LIB_SRC   := $(filter-out allocator/malloc/preload.c,$(ALLOC_SRC)) $(GC_SRC)
APP_SRC   := $(PERF_SRC) $(WL_SRC) $(filter-out harness/main.c,$(HARN_SRC))

# Tests stand where the code stands, and link what may be below them alone: the linker proves the layers.
TEST_SRC   := $(wildcard tests/*/test_*.c tests/*/stress_*.c)
BENCH_SRC  := $(wildcard tests/*/bench_*.c)
SUPPORT_SRC:= $(wildcard tests/support/*.c)
program     = $(addprefix $(B)/tests/,$(basename $(notdir $(1))))
TESTS      := $(call program,$(TEST_SRC))
BENCHES    := $(call program,$(BENCH_SRC))

.DEFAULT_GOAL := all
.PHONY: all run test deps-sim build-tests build-benches bench-gc bench-types deps layers format format-check \
	gen-sizeclass install uninstall clean help FORCE bench-ring bench-alloc bench-attach bench-scale run-tests \
	print-command print-build test-vm test-machine test-model test-mutants check tidy coverage count-coverage

PRODUCTS := $(B)/libspanmark.a $(B)/libspanmark.so.$(SOMAJOR) $(B)/spanmark $(B)/libspanmark-malloc.so \
	$(B)/libspanmark-record.so
all: $(PRODUCTS) ## build the command and the libraries

$(B)/libspanmark.a: $(call obj,$(LIB_SRC))
	@mkdir -p $(@D); rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/libspanmark.so.$(SOMAJOR): $(call picobj,$(LIB_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libspanmark.so.$(SOMAJOR) -Wl,-z,nodelete -o $@ $^ $(LIB_LIBS)

# The malloc interface for LD_PRELOAD: the allocator and libc alone. Never unmapped: threads end in it. Without what it does
# not reach (a collected heap's half of the allocator): its pages count in every process.
$(B)/libspanmark-malloc.so: $(call picobj,$(ALLOC_SRC)) allocator/malloc/preload.map
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libspanmark-malloc.so -Wl,-z,nodelete -Wl,-z,initfirst -Wl,-z,now -Wl,--gc-sections \
		-Wl,--version-script=allocator/malloc/preload.map -o $@ $(filter %.o,$^)

# The same, with hooks that record what lists of every size would have done (spanmark tune).
$(B)/libspanmark-record.so: $(call picobj,$(filter-out allocator/malloc/preload.c,$(ALLOC_SRC))) \
		$(B)/record/allocator/malloc/preload.o $(B)/record/allocator/malloc/record/record.o \
		allocator/malloc/preload.map
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libspanmark-record.so -Wl,-z,nodelete -Wl,-z,initfirst -Wl,-z,now \
		-Wl,--version-script=allocator/malloc/preload.map -o $@ $(filter %.o,$^)

$(B)/spanmark: $(B)/harness/main.o $(call obj,$(APP_SRC)) $(B)/libspanmark.a $(COVER)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

# One archive a layer, for the tests: of each they take what they name.
LAYERS     := harness workloads collector allocator perf
LAYER_SRC_allocator := $(filter-out allocator/malloc/preload.c,$(ALLOC_SRC))
LAYER_SRC_collector := $(GC_SRC)
LAYER_SRC_perf      := $(PERF_SRC)
LAYER_SRC_workloads := $(WL_SRC)
LAYER_SRC_harness   := $(filter-out harness/main.c,$(HARN_SRC))
LAYER_SRC_support   := $(SUPPORT_SRC)
define layer_rule
$(B)/layers/$(1).a: $(call obj,$(LAYER_SRC_$(1)))
	@mkdir -p $$(@D); rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS) support,$(eval $(call layer_rule,$(l))))

# test_rule FOLDER, LAYERS, LIBRARIES: how the programs of tests/FOLDER are linked.
define test_rule
$(filter-out %/bench_alloc,$(call program,$(wildcard tests/$(1)/test_*.c tests/$(1)/stress_*.c tests/$(1)/bench_*.c))): $(B)/tests/%: \
		$(B)/tests/$(1)/%.o $$(COVER) $(patsubst %,$(B)/layers/%.a,support $(2))
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ -lcheck -lsubunit -lrt -lcjson $(3) $$(EXTRA_LIBS)
endef
PERF_LIBS  := -lpfm -lhwloc -linih -lm
$(eval $(call test_rule,allocator,allocator,$(LIB_LIBS)))
$(eval $(call test_rule,collector,collector allocator,$(LIB_LIBS)))
# tests/support/tally.c counts what a soak did.
TALLY      := $(patsubst %,-Wl$(comma)--wrap=%,sm_store_slow sm_cas sm_exchange sm_mutator_attach)
$(eval $(call test_rule,stress,collector allocator,$(LIB_LIBS) $(TALLY)))
$(eval $(call test_rule,perf,perf,$(PERF_LIBS)))
$(eval $(call test_rule,workloads,workloads collector allocator perf,$(ALL_LIBS)))
$(eval $(call test_rule,harness,$(LAYERS),$(ALL_LIBS)))
$(eval $(call test_rule,bench,$(LAYERS),$(ALL_LIBS)))
# Nothing of ours and no library: what runs under each malloc is the same, and little. A malloc is a call here, not a builtin.
MALLOC_BENCH := $(B)/tests/bench/bench_alloc.o $(call obj,$(wildcard tests/bench/malloc/*.c))
$(MALLOC_BENCH): private CFLAGS += -fno-builtin
$(B)/tests/bench_alloc: $(MALLOC_BENCH) $(COVER)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ldl

# A fuzz target takes what it names from all layers; its main is libFuzzer's (FUZZ=1, clang alone) or replays files.
FUZZERS    := $(addprefix $(B)/fuzz/,$(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))))
FUZZ_MAIN  := $(if $(FUZZ),-fsanitize=fuzzer,$(B)/tests/fuzz/replay.o)
$(FUZZERS): $(B)/fuzz/%: $(B)/tests/fuzz/%.o $(addprefix $(B)/tests/fuzz/,fuzz.o report.o replay.o) \
		$(patsubst %,$(B)/layers/%.a,$(LAYERS))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter-out %/replay.o,$(filter %.o,$^)) $(FUZZ_MAIN) $(filter %.a,$^) $(ALL_LIBS)

# What tests/faults/faults.sh runs: the injector, a collector's life, and one that knows malloc alone.
FAULTS     := $(addprefix $(B)/faults/,inject gc_life malloc_life)
$(FAULTS): $(B)/faults/%: $(B)/tests/faults/%.o $(B)/libspanmark.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(if $(filter %/gc_life,$@),$(B)/libspanmark.a $(LIB_LIBS))

# Malloc libraries for `--backend preload:PATH`: one that works, one without free, one that takes itself out again,
# one without memory.
MALLOCS    := $(addprefix $(B)/mallocs/,forward.so nofree.so leaves.so nothing.so)
$(B)/mallocs/nofree.so: MALLOC_FLAGS := -DNO_FREE
$(B)/mallocs/leaves.so: MALLOC_FLAGS := -DLEAVES
$(B)/mallocs/nothing.so: MALLOC_FLAGS := -DMEMORY=0
$(MALLOCS): tests/mallocs/forward.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(if $(SYSROOT),--sysroot=$(abspath $(SYSROOT))) -D_GNU_SOURCE -O1 -fPIC -shared -fno-builtin $(MALLOC_FLAGS) \
		-Wl,--build-id -o $@ $<

# What tests/cli/test_program.sh measures: a program as others are, and one that takes no preload. No sanitizers: they would
# have a malloc of their own.
BEHAVES    := $(B)/program/behave $(B)/program/behave-static
$(BEHAVES): tests/program/behave.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(if $(SYSROOT),--sysroot=$(abspath $(SYSROOT))) -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -O1 -g \
		$(if $(filter %-static,$@),-static) -o $@ $<

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(B)/pic/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -ftls-model=initial-exec -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

$(B)/pic/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(B)/record/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DSM_RECORD=1 $(CFLAGS) -fPIC -ftls-model=initial-exec -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

# A change of flags rebuilds; the same flags do not, nor does -Werror, which changes no object.
FLAGS_USED = $(CC) $(CPPFLAGS) $(filter-out -Werror,$(CFLAGS))
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_USED)' | cmp -s - $@ || { tests/setup/target.sh '$(CC)' $(CPPFLAGS) $(filter -m%,$(CFLAGS)) && echo '$(FLAGS_USED)' > $@; }

# The sets are compiled in by .incbin, which no dependency file mentions; so is the witness, a library for other programs,
# hence without sanitizers and counts.
$(B)/perf/setfile.o: $(wildcard perf/sets/*.ini)
$(B)/witness.so: harness/program/witness/witness.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(if $(SYSROOT),--sysroot=$(abspath $(SYSROOT))) -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Os -fPIC -shared -s \
		-Wl,-z,now -o $@ $<
$(B)/harness/program/preload.o: $(B)/witness.so
$(B)/harness/program/preload.o: CPPFLAGS += -DSM_WITNESS=\"$(B)/witness.so\"

# The page of a report holds its style and its script, whose hashes are all that its policy lets in.
$(B)/page.policy: harness/page/page.js harness/page/page.css
	@mkdir -p $(@D)
	$(Q)hash() { env printf "$$(sha256sum $$1 | cut -c1-64 | sed 's/../\\x&/g')" | base64; } && \
		printf "script-src 'sha256-%s'; style-src 'sha256-%s'" "$$(hash harness/page/page.js)" "$$(hash harness/page/page.css)" >$@
$(B)/harness/page/page.o: $(B)/page.policy
$(B)/harness/page/page.o: private CPPFLAGS += -DSM_PAGE_POLICY=\"$(B)/page.policy\"

build-tests: $(TESTS) $(FUZZERS) $(FAULTS) $(MALLOCS) $(BEHAVES) $(B)/tests/bench_alloc ## build every test program
build-benches: $(BENCHES) ## build every benchmark program

bench-gc: all build-benches ## the collector against other ways to manage memory: one table (GROUPS=, REPS=, ONLY=)
	@tests/bench/gc.sh $(B) -n $(or $(REPS),5) -c "$(ONLY)" $(GROUPS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# The generator lives in the test, which compares: so the committed table cannot drift from it.
gen-sizeclass: $(B)/tests/test_sizeclass ## generate allocator/base/sizeclass.c again
	$< --print >allocator/base/sizeclass.c.new
	mv allocator/base/sizeclass.c.new allocator/base/sizeclass.c

.PHONY: bench-versus
bench-versus: all build-benches ## the collector against Go and Parallel at equal memory, and mimalloc (ROWS=, REPS=, MALLOC=)
	@tests/setup/deps.sh bench jdk
	@command -v go >/dev/null || tests/setup/deps.sh go
	@python3 tests/bench/versus.py $(B) -n $(or $(REPS),7) $(if $(MALLOC),-m $(MALLOC)) $(ROWS)

.PHONY: bench-mutators
bench-mutators: all build-benches ## 1 to 64 mutators on two CPUs: throughput, memory and what it is for (REPS=)
	@python3 tests/bench/mutators.py $(B) $(or $(REPS),7)
	@python3 tests/bench/scale.py --mutators $(B) $(or $(REPS),7)

.PHONY: bench-cycles
bench-cycles: build-benches ## what a collection costs and holds, 64 MiB to 8 GiB live (REPS=, SIZES=MiB ..)
	@python3 tests/bench/scale.py --cycles $(B) $(or $(REPS),3) $(SIZES)

bench-ring: build-benches ## the ring's latency and heap beside what the machine itself takes away (RUNS=)
	@python3 tests/bench/ring.py $(B) $(or $(RUNS),10)

bench-scale: all build-benches ## memory beside bdwgc and Go; what a collection costs and holds by what is live (REPS=, BASE=)
	@tests/setup/deps.sh bench
	@python3 tests/bench/scale.py $(B) $(or $(REPS),5) $(BASE)

.PHONY: tune-proof
tune-proof: all ## default against tuned, three workloads and a program, on fresh samples (BUDGET=4m each)
	@tests/bench/tune_proof.sh $(B) $(BUDGET)

.PHONY: bench-fragment bench-compact
bench-fragment: all build-benches ## memory behind a compaction beside mallocs and Go; what is pinned (REPS=, SETTLE=ms)
	@tests/setup/deps.sh bench
	@command -v go >/dev/null || tests/setup/deps.sh go
	@python3 tests/bench/compact.py $(B) -n $(or $(REPS),5) -s $(or $(SETTLE),200) memory pins

bench-compact: all build-benches ## a loop over what is alive, before a compaction and after; what gc.compact=off costs (REPS=, BASE=)
	@tests/setup/deps.sh bench
	@python3 tests/bench/compact.py $(B) -n $(or $(REPS),5) $(if $(BASE),-b $(BASE)) loop $(if $(BASE),unarmed)

.PHONY: bench-unarmed
bench-unarmed: all ## does gc.compact=auto differ from off where nothing moves: all workloads, in pairs (REPS=, SIZE=full)
	@SIZE=$(SIZE) tests/bench/unarmed.sh $(B) $(REPS)

bench-attach: ## what attaching and detaching a thread costs, beside bdwgc (ROUNDS=)
	@tests/setup/deps.sh bench
	@$(MAKE) --no-print-directory $(B)/tests/bench_attach
	@$(B)/tests/bench_attach $(or $(ROUNDS),21)

.PHONY: bench-report
bench-report: $(B)/tests/bench_report ## CPU time of reports and plans at N / 4 and N samples (N=)
	@$(B)/tests/bench_report $(or $(N),100000)

.PHONY: bench-equal
bench-equal: all ## how often compare calls equal things different, on this machine (TABLES=)
	@tests/bench/equal.sh $(B) $(or $(TABLES),60)

.PHONY: bench-trace
bench-trace: all ## what recording a timeline costs: wall time with and without, in pairs (PAIRS=)
	@python3 tests/bench/trace.py $(B) $(or $(PAIRS),9)

bench-types: $(B)/tests/bench_types ## what many types cost: memory, an allocation, a look-up, the marking of their objects
	@$<

.PHONY: bench-scankernel
bench-scankernel: $(B)/tests/bench_scankernel ## kernels of gc.mark=spans by size and density, and from which on they pay
	@$<

.PHONY: bench-refs
bench-refs: $(B)/tests/bench_refs ## waits for weak references, handles, roots, finalizers beside cycles (N=, SECONDS=)
	@$(B)/tests/bench_refs $(or $(N),1000000) $(or $(SECONDS),5)

.PHONY: bench-generations
bench-generations: all build-benches ## gc.generations: what a store costs, workloads, beside Go and OpenJDK (REPS=)
	@tests/setup/deps.sh bench jdk
	@command -v go >/dev/null || tests/setup/deps.sh go
	@python3 tests/bench/generations.py $(B) $(or $(REPS),5)
	@python3 tests/bench/versus.py $(B) -n $(or $(REPS),5) young-garbage

.PHONY: bench-remember
bench-remember: $(B)/tests/bench_store ## what each kind of gc.remember costs a store: instructions, misses, time (REPS=)
	@tests/setup/deps.sh bench
	@python3 tests/bench/remember.py $(B) $(or $(REPS),5)

bench-alloc: ## malloc and free beside current mallocs: one table; installs or builds them (ROUNDS=, SCALE=, ONLY=)
	@tests/setup/deps.sh bench
	@$(MAKE) --no-print-directory all $(B)/tests/bench_alloc
	@python3 tests/bench/alloc.py $(B) --rounds $(or $(ROUNDS),7) --scale $(or $(SCALE),1) --only "$(ONLY)"

# ---- set-up --------------------------------------------------------------------------------------
# The installer is a script because a bare machine has no compiler when make first parses this file.
deps: ## install missing packages (apt-get; sudo when not root)
	@tests/setup/deps.sh build

deps-sim: ## install valgrind, for spanmark run --counters=sim
	@tests/setup/deps.sh sim

# The set-up must finish before make looks at $(MACHINE) and the sources, hence the second make.
run: deps ## set up, build, run the main job in under a minute, print a counter table
	@ls /sys/bus/event_source/devices | grep -q '^cpu\|^armv8' || tests/setup/deps.sh sim # simulated counts, then
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$$($(MAKE) --no-print-directory -s print-command) run --quick --reps 7 --backend gc,span,libc \
		-w binary-trees,churn,graph,ring,slices

test: ## set up, build, run every test
	@tests/setup/deps.sh test
	@$(MAKE) --no-print-directory -j$$(nproc) all build-tests
	@$(MAKE) --no-print-directory run-tests

run-tests: build-tests all
	@tests/run.sh $(B)

.PHONY: test-programs
test-programs: ## install programs, servers among them (800 MB), and run each under the preloaded malloc (NAMES=)
	@tests/setup/deps.sh programs
	@$(MAKE) --no-print-directory -j$$(nproc) $(B)/spanmark $(B)/libspanmark-malloc.so $(B)/libspanmark-record.so
	@SM_PROGRAMS=all tests/cli/test_programs.sh $(B) $(NAMES)
	$(if $(NAMES),,@SM_PROGRAMS=all tests/cli/test_server_recipe.sh $(B))

.PHONY: test-fleet
test-fleet: ## the batch script for Slurm and the recipe for ssh, with real ones of a folder's own (as root)
	@tests/setup/deps.sh fleet
	@$(MAKE) --no-print-directory -j$$(nproc) $(B)/spanmark
	@for t in slurm ssh; do echo "fleet: $$t"; tests/fleet/$$t.sh $(B) || [ $$? = 77 ] || exit 1; done

.PHONY: test-page
test-page: ## install Chromium (350 MB) and look at a report page in it
	@tests/setup/deps.sh page
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/run.sh $(B) test_report_browser

# The machines of tests/vm/machines.py: MACHINES="arm64-n1 x86-2s" for some of them, QUICK=1 for the tests that each is
# there for rather than all.
test-vm: ## boot emulated ARM64 and NUMA machines and run the tests in them (MACHINES=)
	@tests/setup/deps.sh vm
	@tests/vm/run.py $(if $(QUICK),--quick) $(MACHINES) || [ $$? = 77 ]

# The same list on the machine that make runs on: for real ARM64 and NUMA hardware.
test-machine: ## run the emulated machines' test list on this machine
	@tests/setup/deps.sh test
	@$(MAKE) --no-print-directory -j$$(nproc) all build-tests
	@rm -rf build/machine
	@tests/machine/run.sh $(B) build/machine
	@tests/machine/check.py build/machine

print-command:
	@echo $(B)/spanmark
print-build:
	@echo $(B)

# libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer; what it learns stays in build/fuzz.
.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS)
fuzz: ## fuzz every parser, malloc and the collector (TIME=seconds each, NAMES="store gc": some of them)
	@tests/setup/deps.sh fuzz
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined OPT=-O1 FUZZ=1 fuzzers
	@tests/fuzz/run.sh $$($(MAKE) --no-print-directory -s CC=clang SAN=address,undefined FUZZ=1 print-build) \
		$(or $(TIME),60) $(NAMES)

# One table: cycles verified, barriered stores, objects, threads, seeds. docs/RELIABILITY.md has one of 30 minutes.
.PHONY: soak
soak: $(call program,$(wildcard tests/stress/stress_*.c)) ## the stress programs over and over with fresh seeds, all cycles verified (TIME=seconds)
	@tests/stress/soak.sh $(B) $(or $(TIME),60) $(NAMES)

test-model: ## check the models of the collector with spin (LONG=1: the large bounds too)
	@tests/model/run.sh $(if $(LONG),--long)

test-mutants: ## plant each known bug and check that the tests find it (THIRD=n: a third of them; ONLY="07 15")
	@tests/mutants/run.sh $(if $(THIRD),--third $(THIRD)) $(ONLY)

# Counted through children and whatever the command starts; only what a signal kills outright is lost. (gcc's own fork
# would forget what ran in handlers of pthread_atfork.)
coverage: ## the share of lines and branches that the tests run, by folder (ONLY= for some tests, FUNCTIONS=1: what never ran)
	@tests/setup/deps.sh test
	@$(MAKE) --no-print-directory -j$$(nproc) COVERAGE=1 OPT=-O1 all build-tests
	@$(MAKE) --no-print-directory COVERAGE=1 OPT=-O1 count-coverage

# These refuse processes their writes, those of counts too, or look at the build itself.
SPOILS_COUNTS := test_faults_gc.sh test_faults_malloc.sh test_faults_run.sh test_install.sh test_headers.sh
count-coverage:
	@find $(B) -name '*.gcda' -delete
	@find $(B) -type d -exec chmod a+rwx {} + # for tests that end as another user
	-@umask 0; SM_TEST_SECONDS=2 CK_TIMEOUT_MULTIPLIER=5 TEST_TIMEOUT=600 TEST_SKIP="$(SPOILS_COUNTS)" tests/run.sh $(B) $(ONLY)
	@tests/coverage.py $(B) $(if $(FUNCTIONS),--functions)

# ---- install -------------------------------------------------------------------------------------
# The public headers are the door, include/spanmark/: that folder is what is installed, and no other header.
BINDIR      := $(DESTDIR)$(PREFIX)/bin
LIBDIR      := $(DESTDIR)$(PREFIX)/lib
INCDIR      := $(DESTDIR)$(PREFIX)/include/spanmark
SHAREDIR    := $(DESTDIR)$(PREFIX)/share
PUBLIC_HDRS := $(wildcard include/spanmark/*.h)
COUNTER_SETS:= $(wildcard perf/sets/*.ini)
COMPLETION_BASH := $(SHAREDIR)/bash-completion/completions/spanmark
COMPLETION_ZSH  := $(SHAREDIR)/zsh/site-functions/_spanmark
COMPLETION_FISH := $(SHAREDIR)/fish/vendor_completions.d/spanmark.fish
# A spanmark that runs here writes the manual pages: for another machine name one, or have an emulator.
SPANMARK    ?= $(B)/spanmark

define PC_FILE
prefix=$(PREFIX)
libdir=$${prefix}/lib
includedir=$${prefix}/include

Name: spanmark
Description: span allocator and concurrent garbage collector for C
Version: $(VERSION)
Cflags: -I$${includedir}
Libs: -L$${libdir} -lspanmark
Libs.private: $(LIB_LIBS) -pthread
endef

install: all ## install the command, libraries, headers, pkg-config file (PREFIX=, DESTDIR=)
	install -d $(BINDIR) $(LIBDIR)/pkgconfig $(INCDIR)
	install -m 755 $(B)/spanmark $(BINDIR)/
	install -m 644 $(B)/libspanmark.a $(LIBDIR)/
	install -m 755 $(B)/libspanmark.so.$(SOMAJOR) $(LIBDIR)/
	ln -sf libspanmark.so.$(SOMAJOR) $(LIBDIR)/libspanmark.so
	install -m 755 $(B)/libspanmark-malloc.so $(B)/libspanmark-record.so $(LIBDIR)/
	install -m 644 $(PUBLIC_HDRS) $(INCDIR)/
	$(file >$(B)/spanmark.pc,$(PC_FILE))install -m 644 $(B)/spanmark.pc $(LIBDIR)/pkgconfig/
	@for f in $(COUNTER_SETS); do install -D -m 644 $$f $(SHAREDIR)/spanmark/sets/$${f##*/} || exit 1; done
	install -d $(SHAREDIR)/man/man1
	$(SPANMARK) help --manual $(SHAREDIR)/man/man1
	install -D -m 644 docs/completions/spanmark.bash $(COMPLETION_BASH)
	install -D -m 644 docs/completions/_spanmark $(COMPLETION_ZSH)
	install -D -m 644 docs/completions/spanmark.fish $(COMPLETION_FISH)

uninstall: ## remove what install put there
	rm -f $(BINDIR)/spanmark $(LIBDIR)/libspanmark.a $(LIBDIR)/libspanmark.so $(LIBDIR)/libspanmark.so.$(SOMAJOR) \
		$(LIBDIR)/libspanmark-malloc.so $(LIBDIR)/libspanmark-record.so $(LIBDIR)/pkgconfig/spanmark.pc \
		$(SHAREDIR)/man/man1/spanmark.1 $(SHAREDIR)/man/man1/spanmark-*.1 \
		$(COMPLETION_BASH) $(COMPLETION_ZSH) $(COMPLETION_FISH)
	rm -rf $(INCDIR) $(SHAREDIR)/spanmark

# ---- checks --------------------------------------------------------------------------------------
layers: ## fail on an include that points up the floor plan, a tracked binary, a document that names what is not there
	@tests/layers.sh
	@tests/hygiene.sh

# What fails most often, in under a minute once the tree is built.
CHECK_TESTS := test_lock test_span test_sizeclass test_pageheap test_central test_cache test_config test_malloc test_mark \
	test_barrier test_cycle test_pacer test_typedesc test_counterset test_placement test_params test_plan test_statistics \
	test_writer test_layers test_docs
check: all build-tests layers ## the fast checks: build, layers, the quick tests; under a minute
	@tests/run.sh $(B) $(CHECK_TESTS)

compile_commands.json: FORCE ## for editors and clang-tidy
	@$(MAKE) -Bn V=1 all build-tests | contrib/compile_commands.py >$@

tidy: compile_commands.json ## clang-tidy over the product (FILES= for some of it)
	@tests/setup/deps.sh tidy
	@clang-tidy -quiet -p . $(or $(FILES),$(filter %.c,$(ALLOC_SRC) $(GC_SRC) $(PERF_SRC) $(WL_SRC) $(HARN_SRC)))

FORMAT_SRC = $(wildcard $(shell tests/files.sh all | grep '\.[ch]$$'))
format: ## apply .clang-format
	@clang-format -i $(FORMAT_SRC)
format-check: ## fail where a file differs from .clang-format
	@tests/setup/deps.sh format
	@clang-format --dry-run -Werror $(FORMAT_SRC)

clean: ## remove build/ (but not what was fetched from Debian)
	rm -rf $(filter-out build/vm-cache build/bare-cache,$(wildcard build/*))

help: ## this list
	@grep -hE '^[a-z_.-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 18

FORCE:
