/*
 * backend.h: one set of calls over the things that objects can come from.
 *
 * Every call takes the backend as its first argument. A workload writes its kernel once, as an
 * SM_INLINE function with the backend as a parameter, and calls it with a constant from a switch:
 * the compiler makes a copy for each backend, in which nothing is left of the choice.
 *
 * Memory that cannot be had ends the run with a clear reason (sm_run_out_of_memory does not
 * return), so that a kernel need not carry error paths that its peers in other languages do not
 * have either.
 */
#ifndef SM_WORKLOADS_BACKEND_H
#define SM_WORKLOADS_BACKEND_H

#include <stdlib.h>
#include <string.h>

#include "allocator/base/atomic.h"
#include "spanmark/malloc.h"
#include "workloads/bdwgc.h"
#include "workloads/run.h"

/* fn(backend, ..) with the backend as a constant: chosen once, outside of the loop. */
#define SM_FOR_BACKEND(backend, fn, ...)                         \
	((backend) == SM_WL_GC	   ? fn(SM_WL_GC, __VA_ARGS__)   \
	 : (backend) == SM_WL_SPAN ? fn(SM_WL_SPAN, __VA_ARGS__) \
	 : (backend) == SM_WL_LIBC ? fn(SM_WL_LIBC, __VA_ARGS__) \
				   : fn(SM_WL_BDWGC, __VA_ARGS__))

/*
 * The same for a function that calls itself, and so cannot be inline: SM_RECURSIVE(type, name,
 * (arguments), parameters ..) makes one for each backend, and name(backend, arguments ..), which
 * chooses. What they do is in name_body, an SM_INLINE function with two parameters in front: the
 * backend, and the function itself.
 */
#define SM_RECURSIVE(type, name, args, ...)                              \
	SM__RECURSIVE(gc, SM_WL_GC, type, name, args, __VA_ARGS__)       \
	SM__RECURSIVE(span, SM_WL_SPAN, type, name, args, __VA_ARGS__)   \
	SM__RECURSIVE(libc, SM_WL_LIBC, type, name, args, __VA_ARGS__)   \
	SM__RECURSIVE(bdwgc, SM_WL_BDWGC, type, name, args, __VA_ARGS__) \
	static type name(enum sm_wl_backend backend, __VA_ARGS__)        \
	{                                                                \
		return backend == SM_WL_GC     ? name##_gc args          \
		       : backend == SM_WL_SPAN ? name##_span args        \
		       : backend == SM_WL_LIBC ? name##_libc args        \
					       : name##_bdwgc args;      \
	}
#define SM__RECURSIVE(suffix, backend, type, name, args, ...)                \
	static type name##_##suffix(__VA_ARGS__)                             \
	{                                                                    \
		return name##_body(backend, name##_##suffix, SM__LIST args); \
	}
#define SM__LIST(...) __VA_ARGS__

/* Objects go by themselves, and those with pointers are zeroed at first. */
SM_INLINE bool sm_backend_collects(enum sm_wl_backend b)
{
	return b == SM_WL_GC || b == SM_WL_BDWGC;
}

/* Ends the run: its error is ENOMEM and names the size. Any thread of the run. */
SM_COLD _Noreturn void sm_run_out_of_memory(struct sm_thread *t, size_t bytes);

/*
 * An object with pointers: `type` for gc, `size` for the others. Collectors zero it; the others do
 * not, as a C program that fills it at once would have it.
 */
SM_INLINE void *sm_backend_new(enum sm_wl_backend b, struct sm_thread *t,
			       const struct sm_type *type, size_t size)
{
	void *p = NULL;

	switch (b) {
	case SM_WL_GC: p = sm_new(t->m, type); break;
	case SM_WL_SPAN: p = sm_malloc(size); break;
	case SM_WL_LIBC: p = malloc(size); break;
	case SM_WL_BDWGC: p = sm_bdwgc.malloc(size); break;
	case SM_WL_COUNT: break;
	}
	if (SM_UNLIKELY(p == NULL))
		sm_run_out_of_memory(t, size);
	return p;
}

/* A pointer-free object, contents undefined. */
SM_INLINE void *sm_backend_bytes(enum sm_wl_backend b, struct sm_thread *t, size_t size)
{
	void *p = NULL;

	switch (b) {
	case SM_WL_GC: p = sm_new_bytes(t->m, size); break;
	case SM_WL_SPAN: p = sm_malloc(size); break;
	case SM_WL_LIBC: p = malloc(size); break;
	case SM_WL_BDWGC: p = sm_bdwgc.malloc_atomic(size); break;
	case SM_WL_COUNT: break;
	}
	if (SM_UNLIKELY(p == NULL))
		sm_run_out_of_memory(t, size);
	return p;
}

/* The same, zeroed. */
SM_INLINE void *sm_backend_zeroed(enum sm_wl_backend b, struct sm_thread *t, size_t size)
{
	void *p = NULL;

	switch (b) {
	case SM_WL_GC: p = sm_new_bytes_zeroed(t->m, size); break;
	case SM_WL_SPAN: p = sm_calloc(1, size); break;
	case SM_WL_LIBC: p = calloc(1, size); break;
	case SM_WL_BDWGC: p = sm_bdwgc.malloc_atomic(size); break;
	case SM_WL_COUNT: break;
	}
	if (SM_UNLIKELY(p == NULL))
		sm_run_out_of_memory(t, size);
	return b == SM_WL_BDWGC ? memset(p, 0, size) : p;
}

/* n pointers, all NULL; `type` for gc is that of n pointers. */
SM_INLINE void **sm_backend_table(enum sm_wl_backend b, struct sm_thread *t,
				  const struct sm_type *type, size_t n)
{
	return sm_backend_collects(b) ? sm_backend_new(b, t, type, n * sizeof(void *))
				      : sm_backend_zeroed(b, t, n * sizeof(void *));
}

/* Gives an object back; collectors need no call. NULL is allowed. */
SM_INLINE void sm_backend_free(enum sm_wl_backend b, void *p)
{
	switch (b) {
	case SM_WL_SPAN: sm_free(p); break;
	case SM_WL_LIBC: free(p); break;
	case SM_WL_GC:
	case SM_WL_BDWGC:
	case SM_WL_COUNT: break;
	}
}

/* *slot = value, where slot is a pointer word of an object, or of a table. */
SM_INLINE void sm_backend_store(enum sm_wl_backend b, struct sm_thread *t, void **slot, void *value)
{
	if (b == SM_WL_GC)
		sm_store(t->m, slot, value);
	else
		*slot = value;
}

/* The object stays where it is until unpinned: the collector does not see who has its address. 0 or
 * -errno. */
SM_INLINE int sm_backend_pin(enum sm_wl_backend b, struct sm_thread *t, void *p)
{
	return b == SM_WL_GC && sm_run_moves(t->run) ? sm_pin(t->m, p) : 0;
}

SM_INLINE void sm_backend_unpin(enum sm_wl_backend b, struct sm_thread *t, void *p)
{
	if (b == SM_WL_GC && sm_run_moves(t->run))
		(void)sm_unpin(t->m, p);
}

/* A full collection: what was dropped before is free after it, and with gc.compact what stays moves
 * together. The explicit backends need none. */
SM_INLINE void sm_backend_collect(enum sm_wl_backend b, struct sm_thread *t)
{
	if (b == SM_WL_GC)
		(void)sm_run_collect(t);
	else if (b == SM_WL_BDWGC)
		sm_bdwgc.gcollect();
}

/* n pointers that outlive the function that makes them, and are any thread's. */
struct sm_table {
	void **slots; /* all NULL at first */
	size_t n;
};
/* 0, or -ENOMEM, after sm_run_fail. */
int sm_table_new(struct sm_thread *t, struct sm_table *table, size_t n);
/* Gives back what the slots hold, and the slots. All zero is allowed. */
void sm_table_free(struct sm_thread *t, struct sm_table *table);

#endif
