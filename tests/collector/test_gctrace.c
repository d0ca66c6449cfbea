/*
 * test_gctrace: gc.trace=1 prints one line a cycle on stderr with all that is told of a cycle, and
 * it agrees with the figures that sm_gc_stats gives.
 */
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

#define CYCLES	4
#define LONG_NS 3600000000000ull /* an hour: no wait of this test is as long */

struct line {
	unsigned long seq;
	char why[16];
	double start, mark, off, sweep, before, end, after, goal, spans, worker, assist, local,
		stall_max;
	unsigned long long marked, l3, node, across, stalls;
	unsigned rounds;
};

static void parse(const char *text, struct line *l)
{
	int n = sscanf(
		text,
		"gc %lu (%15[^)]) %lf+%lf+%lf+%lf ms, %lf->%lf->%lf MiB, goal %lf, spans %lf, "
		"marked %llu, "
		"worker %lf ms, assist %lf ms, rounds %u, steals %llu/%llu/%llu, local %lf%%, "
		"stalls %llu max %lf us",
		&l->seq, l->why, &l->start, &l->mark, &l->off, &l->sweep, &l->before, &l->end,
		&l->after, &l->goal, &l->spans, &l->marked, &l->worker, &l->assist, &l->rounds,
		&l->l3, &l->node, &l->across, &l->local, &l->stalls, &l->stall_max);

	ck_assert_msg(n == 21, "%d fields in: %s", n, text);
}

/* To within what the line shows of it. */
static bool shows(double text, double value)
{
	return text >= value - 0.0501 && text <= value + 0.0501;
}

START_TEST(one_line_a_cycle)
{
	struct sm_gc *gc =
		GCTEST(_i ? "gc.mode=stw" : "gc.mode=concurrent", "gc.trace=1", "gc.percent=0");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *node = sm_type_prefix(gc, 64, 1);
	int pipe_of[2], saved = dup(2);
	void *root = NULL;
	char text[16384], *line, *rest = text;
	struct sm_gc_stats s[CYCLES];
	struct sm_gc_stalls w[CYCLES];
	uint64_t told = 0;
	ssize_t got;

	ck_assert_int_eq(pipe(pipe_of), 0);
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	ck_assert_int_ge(dup2(pipe_of[1], 2), 0);
	for (int c = 0; c < CYCLES; c++) {
		for (int i = 0; i < 20000; i++) {
			void **o = sm_new(m, node);

			sm_store(m, o, root);
			sm_store(m, &root, o);
		}
		/* A wait that is known: the line of this cycle has it, the next has not. */
		sm__stall_note(&m->priv->stalls, SM_STALL_BARRIER, c == 1 ? LONG_NS : 1, SM_KEPT);
		sm_collect(gc, m);
		s[c] = gctest_stats(gc);
		sm_gc_stalls(gc, &w[c]);
	}
	dup2(saved, 2);
	got = read(pipe_of[0], text, sizeof(text) - 1);
	ck_assert_int_gt(got, 0);
	text[got] = '\0';
	for (int c = 0; c < CYCLES; c++) {
		struct line l;

		line = strsep(&rest, "\n");
		ck_assert_ptr_nonnull(line);
		parse(line, &l);
		ck_assert_uint_eq(l.seq, (unsigned long)c + 1);
		ck_assert_str_eq(l.why, "asked");
		ck_assert_uint_eq(l.marked, s[c].last_marked_objects);
		ck_assert(shows(l.before, (double)s[c].last_heap_before / SM_MIB));
		ck_assert(shows(l.after, (double)s[c].last_heap_after / SM_MIB));
		ck_assert(shows(l.goal, (double)s[c].last_goal / SM_MIB));
		ck_assert(shows(l.mark, (double)s[c].last_mark_ns / 1e6));
		ck_assert(l.start >= 0 && l.off >= 0 && l.sweep > 0 && l.worker >= 0 &&
			  l.assist >= 0);
		ck_assert(l.local == 100 && l.across == 0);
		/* Told is what has ended since the line before: up to this cycle's end, some of it
		 * after the line. */
		ck_assert_uint_ge(l.stalls, 1);
		told += l.stalls;
		ck_assert_uint_le(told, w[c].all.count);
		ck_assert(c == 0 || told > w[c - 1].all.count);
		ck_assert(c == 1 ? shows(l.stall_max, LONG_NS / 1e3) : l.stall_max < LONG_NS / 1e3);
	}
	ck_assert_msg(rest && *rest == '\0', "more than a line a cycle: %s", rest);
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	close(pipe_of[1]);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("gctrace", 30, SM_LOOP(one_line_a_cycle, 0, 2));
}
