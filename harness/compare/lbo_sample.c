/* lbo_sample.c: what one sample cost, and what of it is visibly the collector's. See lbo.h. */
#include <string.h>

#include "harness/mallocs/backend.h"
#include "harness/compare/lbo.h"

const char *const sm_lbo_metrics[] = {"wall", "cpu", "cycles", "instructions", NULL};

static bool result(const struct sm_record *rec, const char *name, double *v)
{
	const struct sm_result *res = sm_record_result(rec, name);

	*v = res != NULL && res->has_value ? res->value : 0;
	return res != NULL && res->has_value;
}

/* Boehm's collector is one, too. */
bool sm__lbo_collected(const struct sm_record *rec)
{
	char err[200];
	const struct sm_backend_desc *d = sm_backend_find(rec->backend, err, sizeof(err));

	return d != NULL && (d->kernel == SM_WL_GC || d->kernel == SM_WL_BDWGC);
}

bool sm__lbo_idle(const struct sm_record *rec)
{
	double n;

	return sm__lbo_collected(rec) && result(rec, "gc_cycles", &n) && n == 0;
}

/* bdwgc's own threads are not: events of all threads are not known then. */
static bool is_counted(const struct sm_record *rec)
{
	return !sm__lbo_collected(rec) || strcmp(rec->backend, "gc") == 0;
}

static bool is_simulated(const struct sm_record *rec)
{
	for (size_t i = 0; i < rec->nmetrics; i++)
		if (rec->metrics[i].source == SM_SOURCE_SIM && rec->metrics[i].has_value)
			return true;
	return false;
}

/*
 * Visibly the collector's: its mark workers and control thread, and what mutators do for it.
 * Finalizers and the scavenger have work of their own, which an ideal collector leaves to be done.
 */
static bool is_visible(const struct sm_metric *m)
{
	static const char *const own[] = {"app", "refill", "scavenge", "total"};
	bool total = strcmp(m->phase, "total") == 0;

	if (strcmp(m->role, "mutator") != 0)
		return total &&
		       (strncmp(m->role, "mark", 4) == 0 || strcmp(m->role, "control") == 0);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(m->phase, own[i]) == 0)
			return false;
	return true;
}

/* Sums of a counter over the roles. false: it was not counted for some. */
static bool count(const struct sm_record *rec, const char *name, double *total, double *visible,
		  const char **source)
{
	bool any = false;

	*total = *visible = 0;
	for (size_t i = 0; i < rec->nmetrics; i++) {
		const struct sm_metric *m = &rec->metrics[i];

		if (m->by != SM_BY_ROLE || !m->role[0] || strcmp(m->metric, name) != 0)
			continue;
		if (strcmp(m->phase, "total") == 0) {
			if (!m->has_value)
				return false;
			*total += m->value;
			*source = sm_source_names[m->source];
			any = true;
		}
		if (m->has_value && is_visible(m))
			*visible += m->value;
	}
	return any;
}

bool sm__lbo_costs(const struct sm_record *rec, int metric, unsigned threads, double *total,
		   double *visible, const char **source)
{
	double ops, system, clock;
	bool has;

	*source = "sw";
	*visible = 0;
	if (rec->status != SM_OUTCOME_OK || (metric <= SM__LBO_CPU && is_simulated(rec)))
		return false;
	if (metric == SM__LBO_WALL) {
		has = result(rec, "wall_s", total);
		*total *= 1e9;
		if (threads == 1)
			result(rec, "stall_total_ns", visible);
	} else if (metric == SM__LBO_CPU) {
		has = result(rec, "user_s", total) && result(rec, "system_s", &system);
		*total = has ? (*total + system) * 1e9 : 0;
		if (!count(rec, "task_clock", &clock, visible, source))
			*visible = 0;
	} else
		has = is_counted(rec) && count(rec, sm_lbo_metrics[metric], total, visible, source);
	if (result(rec, "ops", &ops) && ops > 0) {
		*total /= ops;
		*visible /= ops;
	}
	return has && *total > 0 && *visible >= 0 && *visible < *total;
}
