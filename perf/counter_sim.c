/* counter_sim.c: Callgrind as a source of counts: requests to it, and the command line. Its dumps
 * are read in sim_load.c. */
#include "perf/counter_sim.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/arch/cpu.h"
#include "perf/topology.h"

static const char *const names[SM_SIM_COUNT] = {
	[SM_SIM_IR] = "Ir",	[SM_SIM_DR] = "Dr",	[SM_SIM_DW] = "Dw",
	[SM_SIM_I1MR] = "I1mr", [SM_SIM_D1MR] = "D1mr", [SM_SIM_D1MW] = "D1mw",
	[SM_SIM_ILMR] = "ILmr", [SM_SIM_DLMR] = "DLmr", [SM_SIM_DLMW] = "DLmw",
	[SM_SIM_BC] = "Bc",	[SM_SIM_BCM] = "Bcm",	[SM_SIM_BI] = "Bi",
	[SM_SIM_BIM] = "Bim",	[SM_SIM_D1] = "D1",	[SM_SIM_DL] = "DL",
	[SM_SIM_B] = "B",	[SM_SIM_BM] = "Bm",
};

int sm_sim_event(const char *name)
{
	for (int i = 0; i < SM_SIM_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

const char *sm_sim_event_name(enum sm_sim e)
{
	return e < SM_SIM_COUNT ? names[e] : "?";
}

/* ---- requests ----------------------------------------------------------------------------- */

#define REQ_RUNNING 0x1001u
#define REQ_TOGGLE  0x43540002u
#define REQ_DUMP_AT 0x43540003u

static unsigned long request(unsigned long code, unsigned long arg)
{
	volatile unsigned long args[6] = {code, arg, 0, 0, 0, 0};

	return sm__valgrind_request(args);
}

bool sm_sim_running(void)
{
	return request(REQ_RUNNING, 0) != 0;
}

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static int next_id;
static unsigned dumps;
static unsigned stops;
static int overflowed;

static void dump(const char *label)
{
	request(REQ_DUMP_AT, (unsigned long)label);
}

/*
 * Collection is a state of each thread, off at the start (--collect-atstart=no). It is switched on
 * before the first dump, so that this thread is in it; the lock makes it the only newcomer there.
 */
int sm__sim_open(unsigned region)
{
	char label[64];
	int id;

	if (!sm_sim_running())
		return -1;
	pthread_mutex_lock(&opening);
	id = next_id++;
	snprintf(label, sizeof(label), "sm open %d %u", id, region);
	request(REQ_TOGGLE, 0);
	dump(label);
	pthread_mutex_unlock(&opening);
	return id;
}

/* What these functions do themselves is kept out of the counts: collection is off while they work.
 */
void sm__sim_change(int id, unsigned from, unsigned to)
{
	char label[64];

	request(REQ_TOGGLE, 0);
	if (__atomic_fetch_add(&dumps, 1, __ATOMIC_RELAXED) < SM_SIM_MAX_DUMPS) {
		snprintf(label, sizeof(label), "sm change %d %u %u", id, from, to);
		dump(label);
	} else {
		__atomic_store_n(&overflowed, 1, __ATOMIC_RELAXED);
	}
	request(REQ_TOGGLE, 0);
}

void sm__sim_reset(int id, unsigned region)
{
	char label[64];

	request(REQ_TOGGLE, 0);
	snprintf(label, sizeof(label), "sm reset %d %u", id, region);
	dump(label);
	request(REQ_TOGGLE, 0);
}

/* Off for good: nothing of this thread is in later dumps. */
void sm__sim_stop(int id, unsigned region)
{
	char label[64];

	request(REQ_TOGGLE, 0);
	snprintf(label, sizeof(label), "sm stop %d %u %d", id, region,
		 __atomic_load_n(&overflowed, __ATOMIC_RELAXED));
	dump(label);
	/* Release: a reader that sees the number finds the dump on disk. */
	__atomic_fetch_add(&stops, 1, __ATOMIC_RELEASE);
}

unsigned sm__sim_stops(void)
{
	return __atomic_load_n(&stops, __ATOMIC_ACQUIRE);
}

/* ---- the command line --------------------------------------------------------------------- */

int sm_sim_find(char *path, size_t len, char *why, size_t whylen)
{
	const char *dirs = getenv("PATH");
	char copy[4096], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", dirs != NULL ? dirs : "/usr/bin:/bin");
	for (char *d = strtok_r(copy, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
		snprintf(path, len, "%s/valgrind", d);
		if (!access(path, X_OK))
			return 0;
	}
	snprintf(why, whylen,
		 "valgrind is not installed: make deps-sim, or apt-get install valgrind");
	return -ENOENT;
}

void sm_sim_cache(uint64_t size, unsigned ways, unsigned line, char *buf, size_t len)
{
	uint64_t sets = 1;

	buf[0] = '\0';
	if (!size)
		return;
	if (line < 16 || line & (line - 1))
		line = 64;
	if (!ways || ways > 64 || size / line < ways)
		ways = 8;
	/* Callgrind wants a power of two of sets: the largest that the real number of ways allows,
	 * then more ways. */
	while (sets * 2 * ways * line <= size)
		sets *= 2;
	ways = (unsigned)(size / (sets * line));
	snprintf(buf, len, "%llu,%u,%u", (unsigned long long)(sets * ways * line), ways, line);
}

static void cache_option(char *buf, size_t len, const char *option, const struct sm_topo_cache *c)
{
	char geometry[64];

	sm_sim_cache(c->size, c->ways, c->line, geometry, sizeof(geometry));
	snprintf(buf, len, "--%s=%s", option, geometry);
	if (!geometry[0])
		buf[0] = '\0';
}

enum { N_OPTIONS = 16, OPTION_LEN = 1024 };

char **sm_sim_command(const struct sm_topology *topo, const char *folder, char *const *argv)
{
	const struct sm_topo_cache *last = topo->l3.size ? &topo->l3 : &topo->l2;
	size_t n = 0, k = 0;
	char path[512], why[128], **v, *text;

	while (argv[n] != NULL)
		n++;
	if (sm_sim_find(path, sizeof(path), why, sizeof(why)))
		return NULL;
	v = malloc((n + N_OPTIONS + 1) * sizeof(*v) + N_OPTIONS * OPTION_LEN);
	if (v == NULL)
		return NULL;
	text = (char *)(v + n + N_OPTIONS + 1);
	memset(text, 0, N_OPTIONS * OPTION_LEN);
#define OPTION(...) (v[k] = text + k * OPTION_LEN, snprintf(v[k], OPTION_LEN, __VA_ARGS__), k++)
	OPTION("%s", path);
	OPTION("--tool=callgrind");
	OPTION("-q");
	OPTION("--callgrind-out-file=%s/sm.%%p", folder);
	OPTION("--log-file=%s/valgrind.log", folder);
	OPTION("--separate-threads=yes");
	OPTION("--collect-atstart=no");
	OPTION("--cache-sim=yes");
	OPTION("--branch-sim=yes");
	OPTION("--trace-children=no");
#undef OPTION
	const struct {
		const char *option;
		const struct sm_topo_cache *c;
	} caches[] = {{"I1", &topo->l1i}, {"D1", &topo->l1d}, {"LL", last}};

	for (unsigned i = 0; i < 3; i++) {
		v[k] = text + k * OPTION_LEN;
		cache_option(v[k], OPTION_LEN, caches[i].option, caches[i].c);
		if (v[k][0])
			k++;
	}
	memcpy(v + k, argv, (n + 1) * sizeof(*v));
	return v;
}

int sm_sim_folder(char *buf, size_t len)
{
	const char *folder = getenv(SM_SIM_FOLDER_ENV);

	if (folder == NULL || !sm_sim_running())
		return -ENOENT;
	snprintf(buf, len, "%s", folder);
	return 0;
}
