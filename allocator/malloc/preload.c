/*
 * preload.c: the malloc interface of libspanmark-malloc.so, for LD_PRELOAD.
 *
 * The C++ operators of libstdc++ call malloc and free; the sized and aligned ones are defined here
 * too, so that the size a program knows reaches us. Everything works from the first call, which the
 * dynamic loader makes before any constructor has run. free keeps errno.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spanmark/malloc.h"
#include "allocator/malloc/malloc_fast.h"
#include "allocator/malloc/record/record.h"

/* Its version, as a note in the file: for those who ask which library a program ran with. */
__asm__(".pushsection .note.spanmark, \"a\", %note\n"
	".balign 4\n"
	".long 9, 1f - 0f, 1\n"
	".asciz \"spanmark\"\n"
	".balign 4\n"
	"0: .asciz \"" SM_VERSION "\"\n"
	"1: .balign 4\n"
	".popsection");

bool sm__malloc_preloaded(void)
{
	return true;
}

/* The fast paths are these functions' own bodies: no second jump. */
SM_API void *malloc(size_t size)
{
	return sm__record_alloc(sm__malloc_fast(size));
}

SM_API void free(void *p)
{
	sm__record_free(p);
	sm__free_fast(p);
}

SM_API void *calloc(size_t n, size_t size)
{
	return sm__record_alloc(sm_calloc(n, size));
}

SM_API void *realloc(void *p, size_t size)
{
	size_t was = sm__record_size(p);

	return sm__record_move(p, was, sm_realloc(p, size));
}

SM_API void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes, was = sm__record_size(p);

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return sm__record_move(p, was, sm_realloc(p, bytes));
}

SM_API void *aligned_alloc(size_t align, size_t size)
{
	return sm__record_alloc(sm_aligned_alloc(align, size));
}

/* memalign rounds what is no power of two up to one, as glibc's does. */
SM_API void *memalign(size_t align, size_t size)
{
	size_t a = 16;

	if (align > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (a < align)
		a *= 2;
	return sm__record_alloc(sm_aligned_alloc(a, size));
}

SM_API int posix_memalign(void **out, size_t align, size_t size)
{
	int saved = errno;
	void *p;

	if (align < sizeof(void *) || (align & (align - 1)) != 0)
		return EINVAL;
	p = sm_aligned_alloc(align, size);
	errno = saved;
	if (p == NULL)
		return ENOMEM;
	*out = sm__record_alloc(p);
	return 0;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

SM_API void *valloc(size_t size)
{
	return sm__record_alloc(sm_aligned_alloc(page_size(), size));
}

SM_API void *pvalloc(size_t size)
{
	size_t page = page_size();

	if (size > SIZE_MAX - page) {
		errno = ENOMEM;
		return NULL;
	}
	return sm__record_alloc(sm_aligned_alloc(page, sm_align_up(size ? size : 1, page)));
}

SM_API size_t malloc_usable_size(void *p)
{
	return sm_usable_size(p);
}

SM_API int malloc_trim(size_t pad)
{
	(void)pad;
	return sm_malloc_trim() != 0;
}

SM_API int mallopt(int param, int value)
{
	(void)param;
	(void)value;
	return 1;
}

SM_API void cfree(void *p)
{
	sm__record_free(p);
	sm__free_fast(p);
}

static size_t sum(size_t a, size_t b, size_t c)
{
	return a + b + c;
}

/* arena: from the system; uordblks: handed out; fordblks: free, in caches, depots and the page
 * heap. */
SM_API struct mallinfo2 mallinfo2(void)
{
	struct mallinfo2 info = {0};
	struct sm_malloc_stats st;
	struct sm_pageheap_stats ph;

	sm_malloc_stats(&st);
	if (sm__process_heap.heap == NULL)
		return info;
	sm__malloc_pageheap(&ph);
	info.arena = ph.committed_bytes;
	info.hblks = st.large_objects;
	info.hblkhd = st.large_bytes;
	info.fordblks = sum(st.cached_bytes, st.depot_bytes, ph.free_bytes + ph.released_bytes);
	info.uordblks = info.arena > info.fordblks ? info.arena - info.fordblks : 0;
	info.keepcost = ph.free_bytes;
	return info;
}

static int clamp_int(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

SM_API struct mallinfo mallinfo(void)
{
	struct mallinfo2 a = mallinfo2();

	return (struct mallinfo){
		.arena = clamp_int(a.arena),
		.hblks = clamp_int(a.hblks),
		.hblkhd = clamp_int(a.hblkhd),
		.uordblks = clamp_int(a.uordblks),
		.fordblks = clamp_int(a.fordblks),
		.keepcost = clamp_int(a.keepcost),
	};
}

/* ---- other names -------------------------------------------------------------------------- */

/* glibc's own, which programs call too. gcc wants an alias to have the attributes of its target. */
#ifdef __clang__
#define OTHER_NAME(of) __attribute__((alias(#of)))
#else
#define OTHER_NAME(of) __attribute__((alias(#of), copy(of)))
#endif
SM_API void *__libc_malloc(size_t size) OTHER_NAME(malloc);
SM_API void __libc_free(void *p) OTHER_NAME(free);
SM_API void *__libc_calloc(size_t n, size_t size) OTHER_NAME(calloc);
SM_API void *__libc_realloc(void *p, size_t size) OTHER_NAME(realloc);
SM_API void *__libc_memalign(size_t align, size_t size) OTHER_NAME(memalign);
SM_API void *__libc_valloc(size_t size) OTHER_NAME(valloc);
SM_API void *__libc_pvalloc(size_t size) OTHER_NAME(pvalloc);
SM_API int __posix_memalign(void **out, size_t align, size_t size) OTHER_NAME(posix_memalign);

/* ---- dlopen ------------------------------------------------------------------------------- */

typedef void *(*dlopen_fn)(const char *file, int mode);

/*
 * RTLD_DEEPBIND would bind a plug-in's malloc and free to libc's, while what libc allocates for it
 * is ours: the flag is dropped. The real dlopen looks at its return address for the caller's
 * RUNPATH, so it is jumped to: at any level of optimisation the call below must be a tail call.
 */
#ifdef __clang__
#define HAS_TAIL_CALL
#define TAIL_CALL __attribute__((musttail))
#else
#define HAS_TAIL_CALL __attribute__((optimize("O2")))
#define TAIL_CALL
#endif
SM_API HAS_TAIL_CALL void *dlopen(const char *file, int mode)
{
	static _Atomic(dlopen_fn) real;
	dlopen_fn fn = sm_load_relaxed(&real);

	if (SM_UNLIKELY(fn == NULL)) {
		fn = (dlopen_fn)dlsym(RTLD_NEXT, "dlopen");
		sm_store_relaxed(&real, fn);
	}
	TAIL_CALL return fn(file, mode & ~RTLD_DEEPBIND);
}

/* ---- C++ ---------------------------------------------------------------------------------- */

/*
 * Only the operators that have a size or an alignment to tell, by their mangled names: plain new
 * and delete stay libstdc++'s, which call malloc and free and know how to throw.
 */
SM_API void _ZdlPvm(void *p, size_t size);
SM_API void _ZdaPvm(void *p, size_t size);
SM_API void _ZdlPvSt11align_val_t(void *p, size_t align);
SM_API void _ZdaPvSt11align_val_t(void *p, size_t align);
SM_API void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t align);
SM_API void _ZdaPvmSt11align_val_t(void *p, size_t size, size_t align);
SM_API void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t align, const void *tag);
SM_API void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t align, const void *tag);

void _ZdlPvm(void *p, size_t size)
{
	(void)size;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdaPvm(void *p, size_t size)
{
	(void)size;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdlPvSt11align_val_t(void *p, size_t align)
{
	(void)align;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdaPvSt11align_val_t(void *p, size_t align)
{
	(void)align;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t align)
{
	(void)size;
	(void)align;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdaPvmSt11align_val_t(void *p, size_t size, size_t align)
{
	(void)size;
	(void)align;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t align, const void *tag)
{
	(void)align;
	(void)tag;
	sm__record_free(p);
	sm__free_fast(p);
}

void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t align, const void *tag)
{
	(void)align;
	(void)tag;
	sm__record_free(p);
	sm__free_fast(p);
}
