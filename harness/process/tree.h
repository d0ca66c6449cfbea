/*
 * tree.h: the processes below this one. The calling process is their subreaper (PR_SET_CHILD_
 * SUBREAPER), so whatever a program starts stays below it: a daemon that forks twice and begins a
 * session of its own becomes our child.
 */
#ifndef SM_HARNESS_PROGRAM_TREE_H
#define SM_HARNESS_PROGRAM_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct sm_process {
	pid_t pid, parent;
	bool ended;   /* and waits to be waited for */
	bool exiting; /* on its way there: its files and memory may be gone already */
	char name[16];
	uint64_t start; /* of the same pid, tells one process from the next */
	/* own and of children that were waited for; ticks of sysconf(_SC_CLK_TCK) */
	uint64_t user, system, minor, major;
};

struct sm_tree {
	struct sm_process *v; /* by pid */
	size_t n;
};

/* All descendants of the calling process but those below a process of `except` (which ends with a
 * 0; NULL: none) and these themselves. 0 or -errno. */
int sm_tree_read(struct sm_tree *t, const pid_t *except);
/* Has it ended, or begun to, by itself or by a signal? */
bool sm_process_exits(pid_t pid);
/* Every process of the system; root: of /proc, "" but for tests. */
int sm_tree_read_all(struct sm_tree *t, const char *root);
/* NULL: it is not there. */
const struct sm_process *sm_tree_find(const struct sm_tree *t, pid_t pid);
/* Is p below `from`, and not below one of `except`? */
bool sm_tree_descends(const struct sm_tree *t, const struct sm_process *p, pid_t from,
		      const pid_t *except);
void sm_tree_free(struct sm_tree *t);
/* Is the process in such a list? */
bool sm_tree_excepts(const pid_t *except, pid_t pid);
size_t sm_tree_alive(const struct sm_tree *t);

/*
 * Ends them and waits for them, new ones too: at most for limit_s. What each used is added to *sum
 * (may be NULL). 0; -ETIME: some live on.
 */
int sm_tree_end(const pid_t *except, double limit_s, struct rusage *sum);

/* What it has used until now, as far as /proc tells: times in ticks of 1 / 100 s, no switches. */
void sm_tree_usage(const struct sm_tree *t, struct rusage *sum);

/* Sums. */
void sm_rusage_add(struct rusage *sum, const struct rusage *r);
void sm_rusage_subtract(struct rusage *sum, const struct rusage *r);

/* ---- memory and place --------------------------------------------------------------------- */

/* What was seen of a tree at one moment, or the most of several. */
struct sm_tree_memory {
	uint64_t kib; /* one process: its peak so far; several: the sum of their Pss */
	size_t processes;
	bool rss; /* of several, and Pss cannot be read: shared pages count for each process */
};
void sm_tree_memory(const struct sm_tree *t, struct sm_tree_memory *out);

/* A process that may run elsewhere than on these CPUs; NULL: all keep to them. */
const struct sm_process *sm_tree_strays(const struct sm_tree *t, const int *cpus, unsigned n);

#endif
