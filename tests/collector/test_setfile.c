/* allocator/os/setfile.c: the settings of a tuning reach collector and malloc, what is wrong is
 * said and skipped, and a file of another machine works with one line. */
#include "allocator/os/setfile.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator/malloc/malloc_fast.h"
#include "collector/cycle/gc_internal.h"
#include "spanmark/malloc.h"
#include "tests/support/run.h"

static char path[64], said[4096];
static int stderr_kept, caught;

/* A file of this text, named in the environment; what is said from here on is caught. */
static void given(const char *text)
{
	int fd = memfd_create("set", 0);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	setenv(SM_SETFILE_VARIABLE, path, 1);
	stderr_kept = dup(STDERR_FILENO);
	caught = memfd_create("said", 0);
	dup2(caught, STDERR_FILENO);
}

static void heard(void)
{
	ssize_t n = pread(caught, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	dup2(stderr_kept, STDERR_FILENO);
}

static unsigned lines(void)
{
	unsigned n = 0;

	for (const char *p = said; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	return n;
}

START_TEST(settings_reach_a_collector)
{
	struct sm_gc *gc;

	given("; found by hand\n[tune]\nbackend = gc\noption = --x\n\n[run]\nplace = compact\n"
	      "[set]\r\n  cache.window=128k  \n# more\ngc.percent = 200\ncache.window@64 = 8k\n"
	      "env.SPANMARK_MALLOC = malloc.list=64k\nenv.MALLOC_CONF = x:1\n");
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_ptr_nonnull(gc);
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(gc->config.heap.window, 128 * SM_KIB);
	ck_assert_uint_eq(gc->config.growth_percent, 200);
	ck_assert_uint_eq(sm__config_knob(&gc->config.heap, SM_KNOB_WINDOW, sm_size_class(64), -1),
			  8 * SM_KIB);
	sm_gc_destroy(gc);
}
END_TEST

/* Written as for the command: comments behind a value and a section, quotes, a colon. */
START_TEST(a_file_is_read_as_the_command_reads_it)
{
	struct sm_gc *gc;

	given("\xef\xbb\xbf[set] ; by hand\ngc.percent = 200 ; more room\ncache.window = \"128k\"\n"
	      "gc.min_heap: 4m\t# small\nenv.A = \"x ; y\" ; z\n[ set ]\ngc.fifo=8\n");
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_ptr_nonnull(gc);
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(gc->config.growth_percent, 200);
	ck_assert_uint_eq(gc->config.heap.window, 128 * SM_KIB);
	ck_assert_uint_eq(gc->config.min_heap, 4 * SM_MIB);
	ck_assert_uint_eq(gc->config.fifo, 8);
	sm_gc_destroy(gc);
}
END_TEST

/* What was tuned as an option of the command, and is a setting of the library, reaches it. */
START_TEST(workers_reach_a_collector)
{
	struct sm_gc *gc;

	given("[run]\nworkers = 3 ; of the command\nmark-place = shared\ngc.percent = 55\n");
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_ptr_nonnull(gc);
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(gc->nworkers, 3);
	ck_assert_uint_ne(gc->config.growth_percent, 55);
	sm_gc_destroy(gc);
	given("[run]\nworkers = many\n");
	sm_gc_destroy(sm_gc_create(NULL, NULL, 0));
	heard();
	ck_assert_ptr_nonnull(strstr(said, "line 2: gc.workers: 'many' is not allowed"));
}
END_TEST

START_TEST(settings_win_over_the_program)
{
	struct sm_gc_config cfg;
	struct sm_gc *gc;

	given("[set]\ngc.percent = 75\n");
	sm_gc_config_init(&cfg);
	cfg.growth_percent = 300;
	cfg.heap.window = 16 * SM_KIB;
	gc = sm_gc_create(&cfg, NULL, 0);
	heard();
	ck_assert_uint_eq(gc->config.growth_percent, 75);
	ck_assert_uint_eq(gc->config.heap.window, 16 * SM_KIB);
	sm_gc_destroy(gc);
}
END_TEST

START_TEST(settings_reach_malloc)
{
	given("[set]\ncache.window = 64k\ngc.percent = 50\nenv.SPANMARK_MALLOC = "
	      "malloc.list=64k,hugepages=madvise\n");
	setenv("SPANMARK_MALLOC", "cache.batch=77", 1);
	sm_free(sm_malloc(100));
	heard();
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(sm__process_heap.heap->config.window, 64 * SM_KIB);
	ck_assert_uint_eq(sm__process_heap.heap->config.batch, 77);
	ck_assert_int_eq(sm__process_heap.heap->config.hugepages, SM_HUGE_MADVISE);
}
END_TEST

START_TEST(what_is_wrong_is_said_and_skipped)
{
	struct sm_gc *gc;

	given("[set]\nnonsense\ngc.percent = many\ngc.percen = 3\ncache.window = 64k\n");
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_ptr_nonnull(gc);
	ck_assert_uint_eq(lines(), 3);
	ck_assert_ptr_nonnull(strstr(said, "line 2: allowed: [section]"));
	ck_assert_ptr_nonnull(strstr(said, "line 3: gc.percent"));
	ck_assert_ptr_nonnull(strstr(said, "line 4: no heap key is called 'gc.percen'"));
	ck_assert_uint_eq(gc->config.heap.window, 64 * SM_KIB);
	sm_gc_destroy(gc);
}
END_TEST

/* A setting that no section takes is not lost without a word. */
START_TEST(what_no_section_takes_is_said)
{
	struct sm_gc *gc;

	given("gc.percent = 50\n[set\ngc.percent = 60\n[set]x\n[]\n");
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_ptr_nonnull(gc);
	ck_assert_uint_eq(lines(), 4);
	ck_assert_ptr_nonnull(strstr(said, "line 1: in no section; allowed: [set] above it"));
	ck_assert_ptr_nonnull(strstr(said, "line 2: allowed: [section]"));
	ck_assert_ptr_nonnull(strstr(said, "line 4: allowed: [section]"));
	ck_assert_ptr_nonnull(strstr(said, "line 5: allowed: [section]"));
	ck_assert_uint_eq(gc->config.growth_percent, 100);
	sm_gc_destroy(gc);
}
END_TEST

START_TEST(no_such_file)
{
	struct sm_gc *gc;

	given("");
	setenv(SM_SETFILE_VARIABLE, "/none/of it", 1);
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_ptr_nonnull(gc);
	ck_assert_uint_eq(lines(), 1);
	ck_assert_ptr_nonnull(strstr(said, "SPANMARK_CONFIG=/none/of it: cannot be read: error 2"));
	sm_gc_destroy(gc);
}
END_TEST

START_TEST(too_long)
{
	char *text = malloc(40000);
	struct sm_gc *gc;

	memset(text, ' ', 39999);
	text[39999] = '\0';
	given(text);
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_uint_eq(lines(), 1);
	ck_assert_ptr_nonnull(strstr(said, "longer than 31 KiB"));
	sm_gc_destroy(gc);
	free(text);
}
END_TEST

START_TEST(a_file_of_another_machine_works_with_one_line)
{
	struct sm_gc *gc, *other;

	given("[machine]\nidentity = PDP-11, 1 CPU\n[set]\ncache.window = 64k\n");
	gc = sm_gc_create(NULL, NULL, 0);
	other = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_uint_eq(lines(), 1);
	ck_assert_ptr_nonnull(strstr(said, "found on another kind of machine (PDP-11, 1 CPU; "));
	ck_assert_uint_eq(gc->config.heap.window, 64 * SM_KIB);
	ck_assert_uint_eq(other->config.heap.window, 64 * SM_KIB);
	sm_gc_destroy(other);
	sm_gc_destroy(gc);
}
END_TEST

START_TEST(a_file_of_this_machine_is_silent)
{
	char text[300], identity[SM_MACHINE_MAX];
	struct sm_gc *gc;

	sm__machine(identity, sizeof(identity));
	ck_assert_str_ne(identity, "");
	snprintf(text, sizeof(text), "[machine]\nidentity = %s\n[set]\ngc.percent = 50\n",
		 identity);
	given(text);
	gc = sm_gc_create(NULL, NULL, 0);
	heard();
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(gc->config.growth_percent, 50);
	sm_gc_destroy(gc);
}
END_TEST

int main(void)
{
	return SM_SUITE("setfile", 20, SM_T(settings_reach_a_collector),
			SM_T(a_file_is_read_as_the_command_reads_it),
			SM_T(workers_reach_a_collector), SM_T(settings_win_over_the_program),
			SM_T(settings_reach_malloc), SM_T(what_is_wrong_is_said_and_skipped),
			SM_T(what_no_section_takes_is_said), SM_T(no_such_file), SM_T(too_long),
			SM_T(a_file_of_another_machine_works_with_one_line),
			SM_T(a_file_of_this_machine_is_silent));
}
