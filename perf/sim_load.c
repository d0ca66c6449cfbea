/*
 * sim_load.c: reading Callgrind's dumps. Each file <folder>/sm.<pid>.<part>-<thread> holds what one
 * of Callgrind's threads spent since the dump before; of its many lines only the trigger's label,
 * `events:` and `summary:` matter here.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/counter_sim.h"

struct part {
	unsigned number, thread;
	char label[64];
	uint64_t counts[SM_SIM_BASIC];
};

struct sim_thread {
	bool known; /* some dump was matched to it */
	bool active;
	unsigned valgrind; /* Callgrind's number for it */
	unsigned region;
	uint64_t counts[SM_SIM_MAX_REGIONS][SM_SIM_BASIC];
};

struct sm_sim_counts {
	bool overflowed;
	int n_threads;
	struct sim_thread threads[SM_SIM_MAX_THREADS];
};

struct load {
	struct sm_sim_counts *c;
	struct part *parts;
	size_t n;
	char *err;
	size_t errlen;
};

/* ---- one file ----------------------------------------------------------------------------- */

/* The columns of this file, from its `events:` line. */
static int read_columns(char *list, int *column, int max)
{
	char *save = NULL;
	int n = 0;

	for (char *e = strtok_r(list, " \n", &save); e != NULL && n < max;
	     e = strtok_r(NULL, " \n", &save)) {
		column[n] = sm_sim_event(e);
		if (column[n] >= SM_SIM_BASIC)
			column[n] = -1;
		n++;
	}
	return n;
}

/* Trailing columns that are 0 are left out by Callgrind. */
static void read_summary(char *list, const int *column, int n, struct part *p)
{
	char *end;

	for (int i = 0; i < n; i++) {
		uint64_t v = strtoull(list, &end, 10);

		if (end == list)
			return;
		if (column[i] >= 0)
			p->counts[column[i]] = v;
		list = end;
	}
}

static int read_part(FILE *f, struct part *p)
{
	static const char trigger[] = "desc: Trigger: Client Request: ";
	char line[1024];
	int column[32], n = 0;
	bool summary = false;

	while (!summary && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, trigger, sizeof(trigger) - 1) == 0) {
			snprintf(p->label, sizeof(p->label), "%.63s", line + sizeof(trigger) - 1);
			p->label[strcspn(p->label, "\n")] = '\0';
		} else if (strncmp(line, "events: ", 8) == 0) {
			n = read_columns(line + 8, column, 32);
		} else if (strncmp(line, "summary: ", 9) == 0 && n) {
			read_summary(line + 9, column, n, p);
			summary = true;
		}
	}
	return summary ? 0 : -EINVAL;
}

static int add_file(struct load *l, const char *folder, const char *name, unsigned number,
		    unsigned thread)
{
	struct part *grown = realloc(l->parts, (l->n + 1) * sizeof(*grown));
	char path[4200];
	FILE *f;
	int rc;

	if (grown == NULL)
		return -ENOMEM;
	l->parts = grown;
	grown += l->n;
	memset(grown, 0, sizeof(*grown));
	grown->number = number;
	grown->thread = thread;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (f == NULL)
		return -errno;
	rc = read_part(f, grown);
	fclose(f);
	if (rc)
		snprintf(l->err, l->errlen, "%s: not a Callgrind dump that is understood", path);
	else
		l->n++;
	return rc;
}

static int read_folder(struct load *l, const char *folder, int pid)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int rc = 0;

	if (d == NULL) {
		rc = -errno;
		snprintf(l->err, l->errlen, "%s: %s", folder, strerror(-rc));
		return rc;
	}
	while (!rc && (e = readdir(d))) {
		unsigned number, thread;
		int of, used = 0;

		/* The dump at the end of the program has no part number: collection is off by then.
		 */
		if (sscanf(e->d_name, "sm.%d.%u-%u%n", &of, &number, &thread, &used) == 3 &&
		    !e->d_name[used] && of == pid)
			rc = add_file(l, folder, e->d_name, number, thread);
	}
	closedir(d);
	if (!rc && !l->n) {
		rc = -ENOENT;
		snprintf(l->err, l->errlen, "%s: no Callgrind dumps of process %d", folder, pid);
	}
	return rc;
}

/* ---- putting them together ---------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->thread < y->thread ? -1 : x->thread > y->thread;
}

static struct sim_thread *active_by_valgrind(struct sm_sim_counts *c, unsigned valgrind)
{
	for (int i = 0; i < c->n_threads; i++)
		if (c->threads[i].active && c->threads[i].valgrind == valgrind)
			return &c->threads[i];
	return NULL;
}

static bool empty(const struct part *p)
{
	for (int i = 0; i < SM_SIM_BASIC; i++)
		if (p->counts[i])
			return false;
	return true;
}

/* The one thread in these parts that is spending and not yet known is the one that opened. */
static void open_thread(struct sm_sim_counts *c, const struct part *parts, size_t n, int id,
			unsigned region)
{
	const struct part *newcomer = NULL;
	int found = 0;

	for (size_t i = 0; i < n; i++) {
		if (empty(&parts[i]) || active_by_valgrind(c, parts[i].thread) != NULL)
			continue;
		newcomer = &parts[i];
		found++;
	}
	if (id >= c->n_threads)
		c->n_threads = id + 1;
	c->threads[id].region = region;
	c->threads[id].known = c->threads[id].active = found == 1;
	if (found == 1)
		c->threads[id].valgrind = newcomer->thread;
}

static void spend(struct sm_sim_counts *c, const struct part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sim_thread *t = active_by_valgrind(c, parts[i].thread);

		for (int e = 0; t != NULL && e < SM_SIM_BASIC; e++)
			t->counts[t->region][e] += parts[i].counts[e];
	}
}

/* All parts of one dump: n of them, one label. */
static int apply_parts(struct load *l, const struct part *parts, size_t n)
{
	struct sm_sim_counts *c = l->c;
	unsigned from = 0, to = 0;
	char what[16];
	int id = -1, fields;

	spend(c, parts, n);
	fields = sscanf(parts[0].label, "sm %15s %d %u %u", what, &id, &from, &to);
	if (fields < 3)
		return 0; /* a dump that was asked for elsewhere */
	if (id < 0 || id >= SM_SIM_MAX_THREADS || from >= SM_SIM_MAX_REGIONS ||
	    to >= SM_SIM_MAX_REGIONS) {
		snprintf(l->err, l->errlen, "Callgrind dump %u: label \"%s\"", parts[0].number,
			 parts[0].label);
		return -EINVAL;
	}
	if (strcmp(what, "open") == 0) {
		open_thread(c, parts, n, id, from);
	} else if (strcmp(what, "change") == 0) {
		c->threads[id].region = to;
	} else if (strcmp(what, "reset") == 0) {
		memset(c->threads[id].counts, 0, sizeof(c->threads[id].counts));
	} else if (strcmp(what, "stop") == 0) {
		c->threads[id].active = false;
		c->overflowed |= to != 0;
	}
	return 0;
}

int sm_sim_load(const char *folder, int pid, struct sm_sim_counts **out, char *err, size_t errlen)
{
	struct load l = {.c = calloc(1, sizeof(*l.c)), .err = err, .errlen = errlen};
	int rc = l.c != NULL ? read_folder(&l, folder, pid ? pid : (int)getpid()) : -ENOMEM;

	*out = NULL;
	if (!rc)
		qsort(l.parts, l.n, sizeof(*l.parts), by_number);
	for (size_t i = 0, n; !rc && i < l.n; i += n) {
		for (n = 1; i + n < l.n && l.parts[i + n].number == l.parts[i].number; n++)
			;
		rc = apply_parts(&l, &l.parts[i], n);
	}
	free(l.parts);
	if (rc)
		free(l.c);
	else
		*out = l.c;
	return rc;
}

void sm_sim_free(struct sm_sim_counts *c)
{
	free(c);
}

static uint64_t pick_sim(const uint64_t *v, enum sm_sim e)
{
	switch (e) {
	case SM_SIM_D1: return v[SM_SIM_D1MR] + v[SM_SIM_D1MW];
	case SM_SIM_DL: return v[SM_SIM_DLMR] + v[SM_SIM_DLMW];
	case SM_SIM_B: return v[SM_SIM_BC] + v[SM_SIM_BI];
	case SM_SIM_BM: return v[SM_SIM_BCM] + v[SM_SIM_BIM];
	default: return v[e];
	}
}

bool sm_sim_value(const struct sm_sim_counts *c, int thread, int region, enum sm_sim e, uint64_t *v)
{
	uint64_t sum = 0;

	if (thread < 0 || thread >= c->n_threads || !c->threads[thread].known ||
	    (unsigned)e >= SM_SIM_COUNT || region >= SM_SIM_MAX_REGIONS ||
	    (region >= 0 && c->overflowed))
		return false;
	for (int r = 0; r < SM_SIM_MAX_REGIONS; r++)
		if (region < 0 || r == region)
			sum += pick_sim(c->threads[thread].counts[r], e);
	*v = sum;
	return true;
}

/* ---- this process's own ------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sm_sim_counts *own; /* under lock */
static unsigned own_stops;
static char own_error[300];

static void refresh_locked(void)
{
	unsigned stops = sm__sim_stops();
	char folder[512];

	if (stops == own_stops)
		return;
	own_stops = stops;
	sm_sim_free(own);
	own = NULL;
	if (sm_sim_folder(folder, sizeof(folder)))
		snprintf(own_error, sizeof(own_error),
			 "the folder of the Callgrind dumps is not known");
	else
		sm_sim_load(folder, 0, &own, own_error, sizeof(own_error));
}

bool sm__sim_lookup(int thread, int region, enum sm_sim e, uint64_t *v, const char **why)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	refresh_locked();
	if (own == NULL)
		*why = own_stops ? own_error
				 : "simulated counts are known when the thread has stopped";
	else if (region >= 0 && own->overflowed)
		*why = "too many changes of region to dump each: only the thread's total is known";
	else if (!(found = sm_sim_value(own, thread, region, e, v)))
		*why = "this thread left no Callgrind dump";
	pthread_mutex_unlock(&lock);
	return found;
}
