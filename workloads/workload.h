/*
 * workload.h: what mutators do. A workload is one file, wl_<name>.c, that ends in its descriptor;
 * the descriptor is its name, one line of summary, its parameters with default, bounds and help,
 * the backends it runs on, and a run function. workloads.def lists the descriptors.
 *
 * How a run travels: the harness picks a workload by name (sm_workload_find), fills a struct
 * sm_params from "key=value" texts (sm_params_init, sm_params_set), and hands both to
 * sm_session_run (session.h) in a worker process. The session makes the heap, pins the thread and
 * calls workload->run with a struct sm_run (run.h), through which the workload allocates, starts
 * threads, marks its timed part and reports results.
 *
 * Nothing here is changed after start-up: descriptors are constant, a struct sm_params belongs to
 * the code that fills it.
 */
#ifndef SM_WORKLOADS_WORKLOAD_H
#define SM_WORKLOADS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SM_PARAMS_MAX	  16 /* parameters of a workload */
#define SM_PARAM_LIST_MAX 64 /* entries of a LIST parameter */
#define SM_PARAM_TEXT_MAX 96 /* bytes of a TEXT parameter, the final 0 included */

/* ---- parameters --------------------------------------------------------------------------- */

enum sm_param_kind {
	SM_PARAM_INT,  /* one integer in min..max */
	SM_PARAM_LIST, /* 1 to SM_PARAM_LIST_MAX integers, each in min..max, separated by commas */
	SM_PARAM_TEXT, /* one of the words of `choices` */
};

/* Describes a parameter. A member that its kind does not use stays 0. */
struct sm_param_desc {
	const char *name;
	enum sm_param_kind kind;
	int64_t def, min, max;	/* INT: default and bounds; LIST: bounds of each entry */
	int64_t quick;		/* INT: value under --quick */
	int64_t simulated;	/* INT: at most so much in a simulated pass; 0: that of --quick */
	const char *def_text;	/* LIST, TEXT: default */
	const char *quick_text; /* LIST, TEXT: value under --quick */
	const char *choices;	/* TEXT: allowed words, separated by '|' */
	/*
	 * "bytes", "objects", "ops", "threads", ..; "" for a plain number. Values with unit "bytes"
	 * take the suffixes k, m, g (also KiB, MiB, GiB) as powers of 1024, all others k, m, g as
	 * powers of 1000. 1e6 is understood.
	 */
	const char *unit;
	const char *help; /* half a line */
};

/* A value, in the member that its kind names. */
struct sm_param_value {
	int64_t number;			 /* INT */
	unsigned n;			 /* LIST: entries */
	int64_t list[SM_PARAM_LIST_MAX]; /* LIST */
	char text[SM_PARAM_TEXT_MAX];	 /* TEXT */
	bool given;			 /* by sm_params_set: neither default nor quick value */
};

/* The parameter `threads`, which every workload on several threads has: default, least, help. */
#define SM_PARAM_THREADS(n, least, text)                                                  \
	{                                                                                 \
		.name = "threads", .def = (n), .min = (least), .max = 4096, .quick = (n), \
		.unit = "threads", .help = (text)                                         \
	}

struct sm_workload;

/* The values of all parameters of a workload: values[i] belongs to workload->params[i]. */
struct sm_params {
	const struct sm_workload *workload;
	struct sm_param_value values[SM_PARAMS_MAX];
};

/* Fills *p with the defaults, or with quick, the quick values. */
void sm_params_init(struct sm_params *p, const struct sm_workload *w, bool quick);

/*
 * Sets one parameter from "key=value". Returns 0; -ENOENT when the workload has no such parameter;
 * -EINVAL when it is not of the form key=value or the value is no such thing; -ERANGE when it is
 * out of bounds. On error nothing is changed and err receives one line, without a newline, that
 * says what is allowed.
 */
int sm_params_set(struct sm_params *p, const char *assignment, char *err, size_t errlen);

/*
 * The value as text that sm_params_set takes back ("18", "10,20,30"); buf is always terminated.
 * Returns the length, as snprintf does.
 */
int sm_params_format(const struct sm_params *p, unsigned index, char *buf, size_t len);

/*
 * Lookup by name, for workloads: a name that is not in the descriptor, or of another kind, is a bug
 * and aborts.
 */
int64_t sm_params_int(const struct sm_params *p, const char *name);
const int64_t *sm_params_list(const struct sm_params *p, const char *name, unsigned *n);

/* ---- workloads ---------------------------------------------------------------------------- */

/* What the workload's objects come from. */
enum sm_wl_backend {
	SM_WL_GC,    /* spanmark's collector */
	SM_WL_SPAN,  /* spanmark's allocator, freed explicitly (malloc and free) */
	SM_WL_LIBC,  /* malloc and free of the process: libc's, or what LD_PRELOAD puts there */
	SM_WL_BDWGC, /* Boehm's collector, where it is installed */
	SM_WL_COUNT
};
#define SM_WL_EVERY ((1u << SM_WL_COUNT) - 1) /* for a workload's `backends` */

const char *sm_wl_backend_name(enum sm_wl_backend b); /* "gc", "span", "libc", "bdwgc" */
/* -EINVAL, and in err one line that says what is allowed. */
int sm_wl_backend_parse(const char *name, enum sm_wl_backend *out, char *err, size_t errlen);

struct sm_run;

struct sm_workload {
	const char *name;    /* "binary-trees" */
	const char *summary; /* one line, no full stop */
	const char *op;	     /* what `ops` and `ns_per_op` count, singular: "node", "step" */
	/*
	 * Terminated by name == NULL; at most SM_PARAMS_MAX. A parameter named "threads" says that
	 * the workload runs on more than one mutator thread; without it the workload has one.
	 */
	const struct sm_param_desc *params;
	unsigned backends; /* bit (1u << enum sm_wl_backend) for each it runs on */
	/*
	 * What must hold between parameters, each within its own bounds; NULL: nothing. 0, or
	 * -EINVAL and in err one line: the parameter, its value and what is allowed. Called before
	 * anything is measured, by sm_job_check.
	 */
	int (*check)(const struct sm_params *p, char *err, size_t errlen);
	/* Runs once; reports through run.h. 0, or -errno after sm_run_fail(run, "what happened").
	 */
	int (*run)(struct sm_run *run);
};

/* Each at the end of its file. */
#define X(name) extern const struct sm_workload sm__wl_##name;
#include "workloads/workloads.def"
#undef X

/* All workloads, sorted by name; *n receives how many. */
const struct sm_workload *const *sm_workloads(unsigned *n);
/* The workload of this name. NULL, and in err one line that names those that exist. */
const struct sm_workload *sm_workload_find(const char *name, char *err, size_t errlen);

unsigned sm_workload_nparams(const struct sm_workload *w);
/* Index into w->params, or -1. */
int sm_workload_param(const struct sm_workload *w, const char *name);

/* Mutator threads these parameters ask for: the value of "threads", 1 where there is no such
 * parameter. */
unsigned sm_params_threads(const struct sm_params *p);
/* --threads N: sets "threads". -ERANGE, also for N != 1 where the workload has one thread; err as
 * above. */
int sm_params_set_threads(struct sm_params *p, unsigned n, char *err, size_t errlen);

#endif
