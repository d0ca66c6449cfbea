/*
 * table.c: pointers that no stack holds, on each backend.
 */
#include <errno.h>

#include "workloads/backend.h"

static int keep(struct sm_thread *t, struct sm_table *table, enum sm_wl_backend b)
{
	const struct sm_type *type = NULL;

	if (b == SM_WL_GC && (type = sm_type_pointers(sm_run_gc(t->run), table->n)) == NULL)
		return -ENOMEM;
	if (b == SM_WL_BDWGC) /* the memory of `table` is not its root */
		table->slots = sm_bdwgc.malloc_uncollectable(table->n * sizeof(void *));
	else
		table->slots = sm_backend_table(b, t, type, table->n);
	if (table->slots == NULL)
		return -ENOMEM;
	/* Its address lies in memory that the collector does not know: it lives, and stays. */
	return b == SM_WL_GC ? sm_pin(t->m, table->slots) : 0;
}

int sm_table_new(struct sm_thread *t, struct sm_table *table, size_t n)
{
	*table = (struct sm_table){.n = n};
	if (keep(t, table, sm_run_backend(t->run)) == 0)
		return 0;
	table->slots = NULL;
	return sm_run_fail(t->run, -ENOMEM, "out of memory for a table of %zu pointers", n);
}

void sm_table_free(struct sm_thread *t, struct sm_table *table)
{
	enum sm_wl_backend b = sm_run_backend(t->run);

	for (size_t i = 0; !sm_backend_collects(b) && table->slots != NULL && i < table->n; i++)
		sm_backend_free(b, table->slots[i]);
	sm_backend_free(b, table->slots);
	if (b == SM_WL_GC && table->slots != NULL)
		(void)sm_unpin(t->m, table->slots);
	if (b == SM_WL_BDWGC)
		sm_bdwgc.free(table->slots);
	*table = (struct sm_table){0};
}
