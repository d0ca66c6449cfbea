/*
 * gctest.h: a collector for a test, and objects with a canary.
 */
#ifndef SM_TESTS_SUPPORT_GCTEST_H
#define SM_TESTS_SUPPORT_GCTEST_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/heap.h"
#include "spanmark/gc.h"

/* SM_TEST_CONFIG (KEY=VALUE,..), where the test does not say otherwise. */
static inline void gctest_config(struct sm_gc_config *cfg)
{
	const char *env = getenv("SM_TEST_CONFIG");
	char text[256], *rest = text, *pair, err[200] = "";

	snprintf(text, sizeof(text), "%s", env ? env : "");
	while ((pair = strsep(&rest, ",")) != NULL) {
		char *eq = strchr(pair, '=');

		if (eq == NULL)
			continue;
		*eq = '\0';
		ck_assert_msg(sm_gc_config_set(cfg, pair, eq + 1, err, sizeof(err)) == 0, "%s",
			      err);
	}
}

/* A machine of so many nodes, as the collector sees it. */
static inline void gctest_nodes(struct sm_gc_config *cfg, unsigned nodes)
{
	cfg->heap.nnodes = nodes;
	for (unsigned i = 0; i < nodes; i++) {
		cfg->heap.node_os[i] = 0;
		for (unsigned j = 0; j < nodes; j++)
			cfg->heap.distance[i][j] = i == j ? 10 : 20;
	}
}

/* A collector from "key=value" pairs, ended by NULL. Fails the test with the reason when it cannot
 * be made. */
static inline struct sm_gc *gctest_create(const char *const *set)
{
	struct sm_gc_config cfg;
	char err[200] = "";
	struct sm_gc *gc;

	sm_gc_config_init(&cfg);
	gctest_config(&cfg);
	for (; set && *set; set++) {
		char key[64];
		const char *eq = strchr(*set, '=');

		snprintf(key, sizeof(key), "%.*s", (int)(eq - *set), *set);
		ck_assert_msg(sm_gc_config_set(&cfg, key, eq + 1, err, sizeof(err)) == 0, "%s",
			      err);
	}
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_msg(gc != NULL, "%s", err);
	return gc;
}

#define GCTEST(...) gctest_create((const char *const[]){__VA_ARGS__, NULL})

static inline struct sm_gc_stats gctest_stats(struct sm_gc *gc)
{
	struct sm_gc_stats s;

	sm_gc_stats(gc, &s);
	return s;
}

/* Ends the test's collector: everything it counted must be in order. */
static inline void gctest_destroy(struct sm_gc *gc, struct sm_mutator *m)
{
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	if (m)
		sm_mutator_detach(m);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_gc_destroy(gc);
}

/* Clears what earlier calls left on the dead part of the stack, so that it keeps nothing alive.
 * Without AddressSanitizer, whose frame would have wide redzones at its upper end, which no code
 * writes. */
static __attribute__((noinline, unused, no_sanitize("address"))) void gctest_clear_stack(void)
{
	char dead[32768];

	memset(dead, 0, sizeof(dead));
	__asm__ volatile("" ::"r"(dead) : "memory");
}

/* xorshift64*; never 0. */
static inline uint64_t gctest_random(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1du;
}

#endif
