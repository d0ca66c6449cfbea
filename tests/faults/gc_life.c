/*
 * gc_life.c: a collector's life, short: made, used by two threads, collected three times under the
 * verifier, ended. For faults.sh, which lets the system refuse this and that.
 *
 * Status 0; 1 with one line that says what was refused: a call of the library gave an error that
 * its header names. Aborts for anything else: an object that is not whole, an error without a name.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spanmark/gc.h"

#define NODES 4000

struct node {
	struct node *next, *other;
	size_t number;
};

static struct sm_gc *gc;
static const struct sm_type *type;
static void *roots[2];

/* What the headers allow: no memory, no threads. */
static int refused(const char *call, int err)
{
	if (err != ENOMEM && err != EAGAIN) {
		fprintf(stderr, "gc_life: %s: unexpected: %s\n", call, strerror(err));
		abort();
	}
	fprintf(stderr, "gc_life: %s: %s\n", call, strerror(err));
	return 1;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "gc_life: damaged: %s\n", what);
	abort();
}

static int make(void)
{
	struct sm_gc_config cfg;
	char err[200] = "";

	sm_gc_config_init(&cfg);
	must(sm_gc_config_set(&cfg, "gc.verify", "1", err, sizeof(err)) == 0, err);
	must(sm_gc_config_set(&cfg, "gc.min_heap", "256k", err, sizeof(err)) == 0, err);
	must(sm_gc_config_set(&cfg, "heap.arena", "1m", err, sizeof(err)) == 0, err);
	/* Memory goes back at once and all of it, and there are two nodes to bind it to. */
	must(sm_gc_config_set(&cfg, "scavenge.interval", "1", err, sizeof(err)) == 0, err);
	must(sm_gc_config_set(&cfg, "scavenge.retain", "0", err, sizeof(err)) == 0, err);
	must(sm_gc_config_set(&cfg, "scavenge.pace", "100", err, sizeof(err)) == 0, err);
	must(sm_gc_config_set(&cfg, "numa", "interleave", err, sizeof(err)) == 0, err);
	cfg.heap.nnodes = 2;
	gc = sm_gc_create(&cfg, err, sizeof(err));
	if (gc != NULL)
		return 0;
	must(err[0] != '\0', "no reason given");
	return refused("sm_gc_create", errno);
}

static void finalize(void *ctx, struct sm_mutator *m, void *object)
{
	(void)ctx;
	(void)m;
	must(((struct node *)object)->number < NODES, "an object in its finalizer");
}

/* A list of NODES, backwards, beside some garbage of all sizes. 0, or errno of what was refused. */
static int grow(struct sm_mutator *m, void **root)
{
	for (size_t i = 0; i < NODES; i++) {
		struct node *n = sm_new(m, type);

		if (n == NULL)
			return errno;
		n->number = i;
		sm_store(m, (void **)&n->next, *root);
		sm_store(m, root, n);
		if (i % 16 == 0 && sm_new_bytes(m, i * 20) == NULL)
			return errno;
		if (i % 512 == 0)
			(void)sm_finalizer_set(m, n, finalize, NULL, NULL);
	}
	return 0;
}

static size_t check(void **root)
{
	size_t n = 0, before = NODES;

	for (struct node *p = *root; p != NULL; p = p->next, n++) {
		must(p->number < before, "a list");
		before = p->number;
	}
	return n;
}

static void *second(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	int err = m != NULL ? grow(m, &roots[1]) : errno;

	(void)arg;
	check(&roots[1]);
	if (m != NULL)
		sm_mutator_detach(m);
	return (void *)(intptr_t)err;
}

/* Until most of what was dropped has gone back, or for some tenths of a second. */
static void await_scavenger(void)
{
	static struct sm_heap_stats st;
	size_t before;

	sm_heap_stats(sm_gc_heap(gc), &st);
	before = st.free_bytes;
	for (int i = 0; i < 200 && st.free_bytes > before / 4; i++) {
		usleep(1000);
		sm_heap_stats(sm_gc_heap(gc), &st);
	}
}

static int live(struct sm_mutator *m)
{
	pthread_t t;
	void *err2 = NULL;
	int made = pthread_create(&t, NULL, second, NULL), err = grow(m, &roots[0]);

	for (int i = 0; i < 2; i++)
		must(sm_collect(gc, m) == 0, "sm_collect");
	sm_blocking_enter(m);
	if (made == 0)
		pthread_join(t, &err2);
	sm_blocking_leave(m);
	check(&roots[1]);
	must(check(&roots[0]) == NODES || err != 0, "a list is too short");
	sm_store(m, &roots[0], NULL);
	must(sm_collect(gc, m) == 0, "sm_collect");
	await_scavenger();
	if (err != 0)
		return refused("sm_new", err);
	if (made != 0) { /* the program's own call, with whatever errno it has */
		fprintf(stderr, "gc_life: pthread_create: %s\n", strerror(made));
		return 1;
	}
	return err2 != NULL ? refused("second thread", (int)(intptr_t)err2) : 0;
}

int main(void)
{
	struct sm_gc_stats st;
	struct sm_mutator *m;
	int status = make();

	if (status != 0)
		return status;
	type = sm_type_prefix(gc, sizeof(struct node), 2);
	m = type != NULL ? sm_mutator_attach(gc) : NULL;
	if (m == NULL)
		status = refused(type != NULL ? "sm_mutator_attach" : "sm_type_prefix", errno);
	else if (sm_root_add(gc, roots, 2) != 0)
		status = refused("sm_root_add", ENOMEM);
	else
		status = live(m);
	sm_gc_stats(gc, &st);
	must(st.verify_errors == 0, "the verifier found differences");
	if (m != NULL)
		sm_mutator_detach(m);
	must(sm_heap_check(sm_gc_heap(gc)) == 0, "the heap's identities");
	sm_gc_destroy(gc);
	return status;
}
