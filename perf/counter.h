/*
 * One counter, its reading, and the backends that produce readings.
 *
 * How a count travels: a set (counterset.h) names events; events.h turns each name into an
 * sm_event_code for the PMU of this machine; a thread opens its codes as groups (struct
 * sm_counter_group) through one of the backends below; region.h reads the groups at region changes
 * and adds the differences up; the reports evaluate formulas over the sums.
 *
 *   backend   source  what it reads                                       file
 *   perf      pmu/sw  perf_event groups: rdpmc / PMEVCNTR or read()       counter_perf.c,
 *             counter_user.c
 *   soft      sw      CLOCK_THREAD_CPUTIME_ID, getrusage(RUSAGE_THREAD)   counter_soft.c, always
 *             works
 *   sim       sim     Callgrind: nothing to read inside the program       counter_sim.c
 *
 * The one rule: a number is right or it is absent. Whatever was not counted has a status other than
 * OK and a reason in words, and no value. A scaled value has the status MULTIPLEXED.
 */
#ifndef SM_PERF_COUNTER_H
#define SM_PERF_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct perf_event_attr;
struct perf_event_mmap_page;

enum sm_source { SM_SOURCE_PMU, SM_SOURCE_SW, SM_SOURCE_SIM };

enum sm_status {
	SM_STATUS_OK,
	SM_STATUS_MULTIPLEXED, /* counted for a part of the time; the value is scaled */
	SM_STATUS_UNSUPPORTED, /* this machine, kernel or library has no such event */
	SM_STATUS_DENIED,      /* it exists, but we may not */
	/* it could have been counted, but was not (this pass, this region, lost counter) */
	SM_STATUS_NOT_COUNTED,
};

/* Their names, by the enum; NULL after the last (names.h). */
extern const char *const sm_source_names[], *const sm_status_names[];

/* Is there a value to go with it? */
static inline bool sm_status_has_value(enum sm_status s)
{
	return s <= SM_STATUS_MULTIPLEXED;
}

/* What was read for one event in one region of one thread (or summed over several). */
struct sm_reading {
	uint64_t raw;	  /* as counted, unscaled */
	uint64_t enabled; /* ns in which it should have counted; 0 for backends that always count */
	uint64_t running; /* ns in which it did */
	enum sm_source source;
	enum sm_status status;
	const char *reason; /* NULL when OK; lives as long as the counter set, or is static */
};

/*
 * The value to print: raw, scaled by enabled/running when MULTIPLEXED. Returns false (and *v
 * untouched) when there is no value: print n/a and the reason.
 */
bool sm_reading_value(const struct sm_reading *r, double *v);

/*
 * Adds src to dst (rolling up threads, regions). A sum with a part missing is missing: the worst
 * status and its reason win. Start from SM_READING_ZERO.
 */
void sm_reading_add(struct sm_reading *dst, const struct sm_reading *src);
#define SM_READING_ZERO ((struct sm_reading){.source = SM_SOURCE_PMU, .status = SM_STATUS_OK})

/* ---- codes: what to open ------------------------------------------------------------------ */

/* Software metrics of the soft backend. Times in ns. */
enum sm_soft {
	SM_SOFT_TASK_CLOCK,
	SM_SOFT_USER_TIME,
	SM_SOFT_SYSTEM_TIME,
	SM_SOFT_FAULTS,
	SM_SOFT_MINOR_FAULTS,
	SM_SOFT_MAJOR_FAULTS,
	SM_SOFT_CONTEXT_SWITCHES,
	SM_SOFT_VOLUNTARY_SWITCHES,
	SM_SOFT_INVOLUNTARY_SWITCHES,
	SM_SOFT_COUNT
};

struct rusage;
/* One of them, from what was used and the CPU time in ns. */
uint64_t sm_soft_value(enum sm_soft what, uint64_t clock, const struct rusage *r);

enum sm_backend { SM_BACKEND_PERF, SM_BACKEND_SOFT, SM_BACKEND_SIM, SM_BACKEND_UNCORE };

/* The encoding of one event for one PMU. */
struct sm_event_code {
	enum sm_backend backend;
	enum sm_source source;
	uint32_t type; /* perf_event_attr.type */
	uint64_t config, config1, config2;
	bool exclude_user, exclude_kernel;
	enum sm_soft soft; /* backend SOFT */
	double scale;	   /* unit of one count (uncore .scale files); 1 elsewhere */
};

/* ---- access to the kernel, replaceable by tests ------------------------------------------- */

/* Every call returns a value >= 0 or -errno; map returns NULL where there is no page. */
struct sm_opener {
	void *ctx;
	int (*open)(void *ctx, struct perf_event_attr *attr, pid_t pid, int cpu, int group_fd,
		    unsigned long flags);
	ssize_t (*read)(void *ctx, int fd, void *buf, size_t len);
	int (*ioctl)(void *ctx, int fd, unsigned long op, unsigned long arg);
	struct perf_event_mmap_page *(*map)(void *ctx, int fd);
	void (*unmap)(void *ctx, struct perf_event_mmap_page *page);
	void (*close)(void *ctx, int fd);
};

extern const struct sm_opener sm_opener_kernel;

/*
 * What an errno of perf_event_open means: the status, and the reason with its remedy in buf. `hw`
 * tells a PMU event from a software one.
 */
enum sm_status sm_counter_explain(int err, bool hw, char *buf, size_t len);
/* What EACCES means where perf_event_paranoid is `level`; -100: it cannot be read. */
void sm__counter_denied(int level, bool hw, char *buf, size_t len);

/* ---- groups ------------------------------------------------------------------------------- */

#define SM_GROUP_MAX 32

enum sm_read_mode { SM_READ_NONE, SM_READ_USER, SM_READ_SYSCALL, SM_READ_SOFT };
/* "none", "user" (rdpmc, mrs), "read", "soft" */
const char *sm_read_mode_name(enum sm_read_mode m);

struct sm_group_options {
	const struct sm_opener *opener; /* NULL: the kernel */
	bool multiplex;			/* not pinned: the kernel may rotate it */
	bool no_user_read;		/* read() even where rdpmc would do */
	pid_t pid;			/* 0: the calling thread */
	int cpu;			/* -1: wherever the thread runs; cpu-wide with pid -1 */
	/* With a pid: from its next exec on, its later threads and children too. Such a group
	 * cannot be read at once: each event by itself, whole once the tree has ended. */
	bool inherit;
};

struct sm_group_event {
	int fd; /* -1: not open */
	struct perf_event_mmap_page *page;
	enum sm_status status;
	char reason[160];
};

/*
 * Events of one PMU that count together, opened by the thread that they count. Owned by that
 * thread; only close may be called by another, after it ended.
 */
struct sm_counter_group {
	const struct sm_counter_ops *ops;
	struct sm_group_options opt;
	unsigned n;	 /* events asked for */
	unsigned n_open; /* events that count */
	int leader;	 /* fd */
	enum sm_read_mode mode;
	bool lost; /* a pinned group that the kernel threw out: nothing after that counts */
	const struct sm_event_code *codes[SM_GROUP_MAX];
	struct sm_group_event ev[SM_GROUP_MAX];
	uint8_t order[SM_GROUP_MAX]; /* order[k] = event that read() returns k-th */
	unsigned soft_mask;	     /* soft backend: which system calls are needed */
};

/* One read of a group: values[i] belongs to event i; those not open are 0 and not to be used. */
struct sm_group_count {
	uint64_t enabled, running;
	uint64_t values[SM_GROUP_MAX];
};

struct sm_counter_ops {
	const char *name;
	/* Opens and starts; events that cannot be opened get a status and reason, the rest counts.
	 * 0 or -ENOMEM. */
	int (*open)(struct sm_counter_group *g);
	/* 0; -EIO when nothing could be read (the group is lost): *c is as before. */
	int (*read)(struct sm_counter_group *g, struct sm_group_count *c);
	void (*close)(struct sm_counter_group *g);
};

extern const struct sm_counter_ops sm_counter_perf;
extern const struct sm_counter_ops sm_counter_soft;

/*
 * Opens n codes (all of one backend) as a group for the calling thread. Always leaves g valid: what
 * could not be opened is told per event. Returns 0, -EINVAL for more than SM_GROUP_MAX codes.
 */
int sm_group_open(struct sm_counter_group *g, const struct sm_event_code *const *codes, unsigned n,
		  const struct sm_group_options *opt);

static inline int sm_group_read(struct sm_counter_group *g, struct sm_group_count *c)
{
	return g->ops->read(g, c);
}

void sm_group_close(struct sm_counter_group *g);

/*
 * Do these codes fit on the PMU at the same time? Opens them pinned on the calling thread, looks
 * whether the kernel scheduled them, closes them. False too when one of them cannot be opened at
 * all.
 */
bool sm_group_fits(const struct sm_event_code *const *codes, unsigned n,
		   const struct sm_opener *opener);

#endif
