/*
 * environ.h: the circumstances of a run, as a JSON object: what a reader must know before comparing
 * its numbers with others.
 *
 * What cannot be read is null, never a guess. Nothing here identifies a person: no user name, no
 * host name, of the environment's variables those alone that choose or set a malloc, without
 * folders.
 */
#ifndef SM_HARNESS_ENVIRON_H
#define SM_HARNESS_ENVIRON_H

#include "harness/options/options.h"

struct sm_plan;
struct sm_topology;

/*
 * malloc'ed JSON text; NULL when out of memory. root: in front of /proc and /sys paths, for tests;
 * "" normally. plan may be NULL: what is here, with the machine from t.
 */
char *sm_environ_json(const struct sm_run_options *o, const struct sm_plan *plan,
		      const struct sm_topology *t, int argc, char **argv, const char *root);

/*
 * Do more threads want to run than there are CPUs, on the average of the last minute? Then one line
 * about it is in text.
 */
bool sm_environ_is_busy(const char *root, int cpus, char *text, size_t len);

/* The command line as one line that a shell reads back (quotes where needed), malloc'ed. */
char *sm_environ_command_line(int argc, char **argv);

#endif
