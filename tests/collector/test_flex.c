/*
 * test_flex: a header and elements in one object, arrays of any length, and objects at multiples of
 * an alignment: one type for all of them, each word what its type says, small or large, rare or
 * common.
 */
#include <errno.h>

#include "collector/cycle/gc_internal.h"
#include "collector/types/typedesc.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static void *root;

static const char *const modes[][3] = {
	{"gc.mode=concurrent", "cache.mode=thread", "gc.workers=2"},
	{"gc.mode=stw", "cache.mode=thread", "gc.workers=1"},
	{"gc.mode=concurrent", "cache.mode=cpu", "gc.mark_stack=16k"},
	{"gc.mode=concurrent", "cache.mode=none", "gc.fifo=0"}};
#define MODES 4

static void start(int mode)
{
	gc = GCTEST(modes[mode][0], modes[mode][1], modes[mode][2], "gc.verify=1", "gc.percent=0");
	m = sm_mutator_attach(gc);
	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
}

static void finish(void)
{
	sm_store(m, &root, NULL);
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}

/* ---- what a type says --------------------------------------------------------------------- */

START_TEST(layouts)
{
	uint64_t none = 0, first = 1, second = 2, both = 3, wide[3] = {1, 0, 4};

	start(0);
	ck_assert_int_eq(sm_type_flex(gc, 16, &none, 8, &none)->layout->kind, SM_SCAN_NONE);
	ck_assert_int_eq(sm_type_flex(gc, 12, NULL, 1, NULL)->layout->kind, SM_SCAN_NONE);
	ck_assert_int_eq(sm_type_flex(gc, 20, &first, 1, NULL)->layout->kind, SM_SCAN_PREFIX);
	ck_assert_int_eq(sm_type_flex(gc, 0, NULL, 8, &first)->layout->kind, SM_SCAN_ALL);
	ck_assert_int_eq(sm_type_flex(gc, 0, NULL, 16, &first)->layout->kind, SM_SCAN_MASK);
	ck_assert_int_eq(sm_type_flex(gc, 16, &second, 1, NULL)->layout->kind, SM_SCAN_FLEX);
	ck_assert_int_eq(sm_type_flex(gc, 16, &both, 16, &second)->layout->kind, SM_SCAN_FLEX);
	ck_assert_int_eq(sm_type_flex(gc, 192 * 8, wide, 192 * 8, wide)->layout->kind,
			 SM_SCAN_FLEX);
	/* One type for one description; the elements' size is part of it. */
	ck_assert_ptr_eq(sm_type_flex(gc, 16, &both, 16, &second),
			 sm_type_flex(gc, 16, &both, 16, &second));
	ck_assert_ptr_ne(sm_type_flex(gc, 16, &both, 1, NULL),
			 sm_type_flex(gc, 16, &both, 2, NULL));
	ck_assert_ptr_ne(sm_type_flex(gc, 16, &both, 1, NULL), sm_type_bitmap(gc, 16, &both));
	finish();
}
END_TEST

#define REFUSED(call, why)                    \
	do {                                  \
		errno = 0;                    \
		ck_assert_ptr_null(call);     \
		ck_assert_int_eq(errno, why); \
	} while (0)

START_TEST(refusals)
{
	uint64_t first = 1;
	const struct sm_type *flex, *plain;

	start(0);
	flex = sm_type_flex(gc, 8, &first, 8, &first);
	plain = sm_type_bitmap(gc, 8, &first);
	REFUSED(sm_type_flex(gc, 12, NULL, 8, &first), EINVAL);
	REFUSED(sm_type_flex(gc, 16, NULL, 12, &first), EINVAL);
	REFUSED(sm_type_flex(gc, 16, &first, 0, NULL), EINVAL);
	REFUSED(sm_type_flex(gc, (size_t)1 << 32, NULL, 8, NULL), EOVERFLOW);
	REFUSED(sm_type_prefix(gc, 16, 3), EINVAL);
	REFUSED(sm_type_conservative(gc, (size_t)1 << 32), EOVERFLOW);
	REFUSED(sm_new_array(m, flex, 3), EINVAL);
	REFUSED(sm_new_array(m, flex, 0), EINVAL);
	REFUSED(sm_new_flex(m, plain, 3), EINVAL);
	REFUSED(sm_new_flex(m, flex, SIZE_MAX / 8), ENOMEM);
	REFUSED(sm_new_flex(m, flex, SIZE_MAX), ENOMEM);
	REFUSED(sm_new_flex(m, flex, (size_t)1 << 50), ENOMEM);
	REFUSED(sm_new_aligned(m, plain, 0), EINVAL);
	REFUSED(sm_new_aligned(m, plain, 24), EINVAL);
	REFUSED(sm_new_aligned(m, plain, SM_UNIT * 2), EINVAL);
	finish();
}
END_TEST

/* ---- what a word is ----------------------------------------------------------------------- */

struct form {
	size_t head_words, element_words;
	uint64_t head[2], element[2];
};
static const struct form forms[] = {
	{3, 3, {1}, {2}},
	{1, 2, {0}, {1}},
	{2, 1, {2}, {0}},
	{5, 1, {0x15}, {1}},
	{70, 5, {0x8000000000000001u, 0x21}, {0x12}},
	{3, 90, {4}, {0x8000000000000002u, 0x2000001}},
	{0, 3, {0}, {5}},
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

static bool is_pointer(const struct form *f, size_t word)
{
	if (word < f->head_words)
		return f->head[word / 64] >> (word % 64) & 1;
	word = (word - f->head_words) % f->element_words;
	return f->element[word / 64] >> (word % 64) & 1;
}

/* Every word is the address of a new object of its own: as a pointer or as a number. Returns the
 * number of pointers. */
static __attribute__((noinline)) size_t fill(void **o, const struct form *f, size_t words)
{
	const struct sm_type *leaf = sm_type_prefix(gc, 48, 1);
	size_t n = 0;

	for (size_t w = 0; w < words; w++) {
		uint64_t *t = sm_new(m, leaf);

		ck_assert_ptr_nonnull(t);
		ck_assert_ptr_null(o[w]);
		t[1] = ~w;
		if (is_pointer(f, w))
			sm_store(m, &o[w], t);
		else
			o[w] = t;
		n += is_pointer(f, w);
	}
	return n;
}

static void check_kept(void **o, const struct form *f, size_t words, size_t pointers)
{
	uint64_t n;

	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	n = gctest_stats(gc).last_marked_objects;
	ck_assert_msg(n >= pointers + 1 && n <= pointers + 1 + 20,
		      "%zu words: %zu pointers, %zu marked", words, pointers, (size_t)n);
	for (size_t w = 0; w < words; w++) {
		if (is_pointer(f, w))
			ck_assert_uint_eq(((uint64_t *)o[w])[1], ~w);
		else
			o[w] = NULL;
	}
}

static void *new_form(const struct form *f, size_t n)
{
	const struct sm_type *t =
		sm_type_flex(gc, f->head_words * 8, f->head, f->element_words * 8, f->element);

	ck_assert_ptr_nonnull(t);
	return n == 0 ? sm_new(m, t) : sm_new_flex(m, t, n);
}

static const size_t lengths[] = {0, 1, 2, 3, 7, 63, 64, 65, 200, 1500, 5000};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* Rare: in mixed spans; and large, in pieces. */
START_TEST(each_word_is_what_its_type_says)
{
	const struct form *f = &forms[_i % (int)FORMS];

	start(_i / (int)FORMS);
	for (size_t i = 0; i < LENGTHS; i++) {
		size_t words = f->head_words + lengths[i] * f->element_words, n;
		void **o;

		if (words == 0 || words > 40000)
			continue;
		o = new_form(f, lengths[i]);
		ck_assert_ptr_nonnull(o);
		sm_store(m, &root, o);
		n = fill(o, f, words);
		check_kept(o, f, words, n);
	}
	finish();
}
END_TEST

/* Common: spans of their own, whose layout has two patterns. */
START_TEST(common_ones_too)
{
	const struct form *f = &forms[_i % (int)FORMS];
	size_t n = 40, words = f->head_words + n * f->element_words, pointers;
	struct sm_flexdesc *t;
	unsigned cls = sm__type_class(words * 8);
	void **o;

	start(_i / (int)FORMS);
	t = (struct sm_flexdesc *)sm_type_flex(gc, f->head_words * 8, f->head, f->element_words * 8,
					       f->element);
	for (int i = 0; i < 100000 && sm_load_relaxed(&(*sm_load_relaxed(&t->bins))[cls]) == 0; i++)
		ck_assert_ptr_nonnull(new_form(f, n));
	ck_assert_uint_ne(sm_load_relaxed(&(*sm_load_relaxed(&t->bins))[cls]), 0);
	o = new_form(f, n);
	ck_assert_int_eq(sm_span_of(&gc->range, (uintptr_t)o)->layout->kind,
			 t->base.type.layout->kind);
	sm_store(m, &root, o);
	pointers = fill(o, f, words);
	check_kept(o, f, words, pointers);
	finish();
}
END_TEST

/* Pointer-free elements of any size behind a header: nothing behind the header is a pointer. */
START_TEST(bytes_behind_a_header)
{
	uint64_t second = 2;

	start(_i);
	for (size_t n = 0; n < 100000; n = n * 2 + 1) {
		const struct sm_type *t = sm_type_flex(gc, 21, &second, 3, NULL);
		char *o = sm_new_flex(m, t, n);
		void *kept = sm_new(m, sm_type_prefix(gc, 32, 1));

		ck_assert(o != NULL && kept != NULL);
		sm_store(m, &root, o);
		sm_store(m, (void **)(o + 8), kept);
		memset(o + 21, 0xff, n * 3);
		for (size_t at = 24; at + 8 <= 21 + n * 3; at += 8)
			*(void **)(o + at) = (char *)kept + 8;
		gctest_clear_stack();
		ck_assert_int_eq(sm_collect(gc, m), 0);
	}
	finish();
}
END_TEST

/* ---- alignment ---------------------------------------------------------------------------- */

static __attribute__((noinline)) void *inside(const struct sm_type *t, size_t align, uint64_t id)
{
	uint64_t *o = sm_new_aligned(m, t, align);

	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq((uintptr_t)o % align, 0);
	if (t->layout->kind != SM_SCAN_NONE)
		for (size_t w = 0; w < t->size / 8; w++)
			ck_assert_uint_eq(o[w], 0);
	o[1] = id;
	o[t->size / 8 - 1] = id;
	return (char *)o + t->size - 1;
}

/* Every alignment with every kind of type; an interior pointer on the stack keeps the object. */
START_TEST(alignment)
{
	static const size_t sizes[] = {24, 40, 64, 100, 520, 1000, 2000, 5000, 16384, 20000, 40000};
	uint64_t s = 1;

	start(_i);
	for (size_t align = 1; align <= 4096; align *= 2) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			const struct sm_type *t[] = {
				sm_type_prefix(gc, sizes[i], 0), sm_type_prefix(gc, sizes[i], 1),
				sm_type_conservative(gc, sizes[i]),
				sm_type_bitmap(gc, sizes[i], (uint64_t[640]){4})};
			char *volatile hold[4];

			for (int k = 0; k < 4; k++)
				hold[k] = inside(t[k], align, gctest_random(&s) >> 1 | 1);
			if (align == 1 || align == 64 || align == 4096)
				ck_assert_int_eq(sm_collect(gc, m), 0);
			for (int k = 0; k < 4; k++) {
				const uint64_t *o = (const uint64_t *)(hold[k] - t[k]->size + 1);

				ck_assert_uint_ne(o[1], 0);
				ck_assert_uint_eq(o[1], o[t[k]->size / 8 - 1]);
			}
		}
	}
	finish();
}
END_TEST

int main(void)
{
	return SM_SUITE("flex", 120, SM_T(layouts), SM_T(refusals),
			SM_LOOP(each_word_is_what_its_type_says, 0, MODES * (int)FORMS),
			SM_LOOP(common_ones_too, 0, MODES * (int)FORMS),
			SM_LOOP(bytes_behind_a_header, 0, MODES), SM_LOOP(alignment, 0, MODES));
}
