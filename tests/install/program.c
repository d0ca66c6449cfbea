/*
 * A program as a user of the library writes it, built against an installed tree by
 * tests/cli/test_install.sh: a linked list of collected nodes must survive collections while
 * garbage around it goes.
 */
#include <stdio.h>
#include <string.h>

#include <spanmark/gc.h>

struct node {
	struct node *next;
	unsigned long value;
};

static struct node *build(struct sm_mutator *m, const struct sm_type *type, unsigned long n)
{
	struct node *head = NULL;

	for (unsigned long i = 0; i < n; i++) {
		struct node *node = sm_new(m, type);

		if (!node || !sm_new_bytes(m, 100))
			return NULL;
		node->value = i;
		sm_store(m, (void **)&node->next, head);
		head = node;
	}
	return head;
}

int main(void)
{
	struct sm_gc_config cfg;
	struct sm_gc_stats stats;
	unsigned long seen = 0;
	struct sm_mutator *m;
	struct sm_gc *gc;
	char err[200];

	sm_gc_config_init(&cfg);
	if (sm_gc_config_set(&cfg, "gc.verify", "1", err, sizeof(err)) != 0) {
		fprintf(stderr, "configuration: %s\n", err);
		return 1;
	}
	gc = sm_gc_create(&cfg, err, sizeof(err));
	if (!gc) {
		fprintf(stderr, "collector: %s\n", err);
		return 1;
	}
	m = sm_mutator_attach(gc);
	struct node *volatile list = build(m, sm_type_prefix(gc, sizeof(struct node), 1), 100000);

	for (int i = 0; i < 3; i++)
		sm_collect(gc, m);
	for (struct node *n = list; n; n = n->next)
		seen += n->value;
	sm_gc_stats(gc, &stats);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
	if (seen != 100000ul * 99999 / 2 || stats.cycles < 3 || stats.verify_errors != 0) {
		fprintf(stderr, "sum %lu, %u cycles, %lu verifier errors\n", seen, stats.cycles,
			(unsigned long)stats.verify_errors);
		return 1;
	}
	printf("list intact after %u cycles\n", stats.cycles);
	return 0;
}
