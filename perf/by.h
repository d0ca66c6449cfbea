/* by.h: what the threads of a row have in common. The option --by, the roll-up and the reports
 * share the one list. */
#ifndef SM_PERF_BY_H
#define SM_PERF_BY_H

/* X(constant, name) */
#define SM_BY_LIST(X)     \
	X(ROLE, role)     \
	X(THREAD, thread) \
	X(CORE, core)     \
	X(L3, l3)         \
	X(NODE, node)     \
	X(KIND, kind)     \
	X(PACKAGE, package)

#define SM_BY_CONSTANT(constant, name) SM_BY_##constant,
enum sm_by { SM_BY_LIST(SM_BY_CONSTANT) };
#undef SM_BY_CONSTANT

/* "role", "thread", "core", ..; NULL after the last (names.h). */
extern const char *const sm_by_names[];

#endif
