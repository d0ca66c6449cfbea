/*
 * stacks.c: where the stacks of a mutator lie: its thread's own, and those that it has registered.
 *
 * A thread range with the stack pointer inside is the stack that the mutator runs on. It is looked
 * up when the stack matters: at a safepoint that is asked for something, and around a blocking
 * section, never on a fast path. Whatever the mutator does not run on is suspended: nothing on it
 * changes, and it is scanned as a whole, or from where sm_stack_leave was told that it ends.
 *
 *    runs on           own stack               registered range
 *    own stack         from sp                 as a whole, or from where it was left
 *    range             from where it was       from sp; the others as above
 *                      left, or all of it
 *                      that is mapped
 *
 * Ranges are looked at first: one may lie inside the thread's own stack (an array in a frame that
 * stays), and the frames below it are those of no running function.
 */
#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/base/list.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"

/* ---- the thread's own stack --------------------------------------------------------------- */

/* The lowest address from which on everything up to hi is mapped, not below lo. */
static uintptr_t mapped_from(uintptr_t lo, uintptr_t hi)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = sm_align_up(hi, page);
	unsigned char there[64];

	lo = sm_align_down(lo, page);
	for (size_t n = sizeof(there); at > lo;) {
		uintptr_t bytes = n * page < at - lo ? n * page : at - lo;

		/* ENOMEM: some of these pages are not mapped. */
		if (mincore((void *)(at - bytes), bytes, there) == 0)
			at -= bytes;
		else if (n > 1)
			n = 1;
		else
			break;
	}
	return at;
}

/* Of the dynamic linker: where the stack was when the program was entered. */
extern void *__libc_stack_end __attribute__((weak));

/* The main thread's, where pthread_getattr_np cannot read /proc/self/maps: what is mapped now; it
 * may grow. */
static int main_stack(struct sm_thread *t)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (&__libc_stack_end == NULL || (uintptr_t)__libc_stack_end < here)
		return -ENOENT;
	t->stack_hi = (uintptr_t)__libc_stack_end;
	t->stack_lo = mapped_from(here - SM_MIB, here);
	return 0;
}

static int own_stack(struct sm_thread *t)
{
	size_t size, guard = 0;
	pthread_attr_t attr;
	void *base;
	int err = pthread_getattr_np(pthread_self(), &attr);

	t->tid = (pid_t)syscall(SYS_gettid);
	t->page = (size_t)sysconf(_SC_PAGESIZE);
	if (err)
		return t->tid == getpid() ? main_stack(t) : -err;
	err = pthread_attr_getstack(&attr, &base, &size);
	if (err == 0 && t->tid != getpid())
		err = pthread_attr_getguardsize(&attr, &guard);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	t->stack_lo = (uintptr_t)base + sm_align_up(guard, t->page);
	t->stack_hi = (uintptr_t)base + size;
	return 0;
}

__thread struct sm_thread sm__self;

int sm__thread_know(void)
{
	int err = sm__self.stack_hi ? 0 : own_stack(&sm__self);

	if (err == 0 && sm__self.tid == 0)
		sm__self.tid = (pid_t)syscall(SYS_gettid);
	return err;
}

/* The main thread's stack grows as far as RLIMIT_STACK says at that moment, whatever it said
 * before. */
static bool has_grown(struct sm_thread_range *own, uintptr_t sp)
{
	if (sm__self.tid != getpid() || sp >= own->end || mapped_from(sp, own->start) > sp)
		return false;
	own->start = sm_align_down(sp, sm__self.page);
	sm__self.stack_lo = own->start;
	return true;
}

/* ---- ranges ------------------------------------------------------------------------------- */

/* Ranges that overlap are equal: so an address finds the range that it lies in, and no two that
 * overlap are kept. */
static int compare_ranges(const void *a, const void *b)
{
	const struct sm_thread_range *x = a, *y = b;

	return x->end <= y->start ? -1 : x->start >= y->end ? 1 : 0;
}

static struct sm_thread_range *range_at(struct sm_mutator_priv *p, uintptr_t at)
{
	struct sm_thread_range key = {.start = at, .end = at + 1};
	void *node = tfind(&key, &p->range_tree, compare_ranges);

	return node ? *(struct sm_thread_range **)node : NULL;
}

struct sm_thread_range *sm__range_add(struct sm_mutator_priv *p, uintptr_t start, size_t bytes,
				      int *err)
{
	struct sm_thread_range *r = calloc(1, sizeof(*r));
	void *node;

	*err = -ENOMEM;
	if (r == NULL)
		return NULL;
	r->start = start;
	r->end = start + bytes;
	node = tsearch(r, &p->range_tree, compare_ranges);
	if (node == NULL || *(struct sm_thread_range **)node != r) {
		*err = node ? -EEXIST : -ENOMEM;
		free(r);
		return NULL;
	}
	SM_LIST_PUSH(p->ranges, r);
	*err = 0;
	return r;
}

static void unlink_range(struct sm_mutator_priv *p, struct sm_thread_range *r)
{
	SM_LIST_REMOVE(p->ranges, r);
	if (p->on == r)
		p->on = &p->own;
}

int sm__range_remove(struct sm_mutator_priv *p, uintptr_t start, uintptr_t sp)
{
	struct sm_thread_range *r = range_at(p, start);

	if (r == NULL || r->start != start)
		return -ENOENT;
	if (sp >= r->start && sp < r->end)
		return -EBUSY;
	tdelete(r, &p->range_tree, compare_ranges);
	unlink_range(p, r);
	free(r);
	return 0;
}

void sm__ranges_free(struct sm_mutator_priv *p)
{
	while (p->ranges) {
		struct sm_thread_range *r = p->ranges;

		tdelete(r, &p->range_tree, compare_ranges);
		unlink_range(p, r);
		free(r);
	}
}

/* ---- which stack -------------------------------------------------------------------------- */

static bool is_on(const struct sm_thread_range *r, uintptr_t sp)
{
	return sp >= r->start && sp < r->end;
}

bool sm__stack_find(struct sm_mutator_priv *p, uintptr_t sp)
{
	struct sm_thread_range *r = NULL;

	if (p->on != &p->own && is_on(p->on, sp))
		return true;
	if (SM_UNLIKELY(p->range_tree != NULL))
		r = range_at(p, sp);
	if (r == NULL && (is_on(&p->own, sp) || has_grown(&p->own, sp)))
		r = &p->own;
	if (r == NULL)
		return false;
	r->ran = true;
	p->on = r;
	return true;
}

uintptr_t sm__stack_low(const struct sm_mutator_priv *p, const struct sm_thread_range *r)
{
	/* The verifier wants to see all that a marker may have seen. */
	if (r->left && !p->m->gc->config.verify)
		return r->left;
	return r == &p->own ? mapped_from(r->start, r->end) : r->start;
}

/* sm_stack_leave, with the registers. */
size_t sm__stack_leave(struct sm_mutator *m, uintptr_t *sp)
{
	struct sm_mutator_priv *p = m->priv;

	sm__check_caller(m, "sm_stack_leave");
	sm__stack_must(p, "sm_stack_leave", (uintptr_t)sp);
	p->on->left = (uintptr_t)(sp + SM_REGISTER_WORDS);
	/* The switch stores them somewhere, and not always in a place that is scanned. */
	memcpy(p->on->registers, sp, sizeof(p->on->registers));
	return 0;
}
