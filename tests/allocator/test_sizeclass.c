/* The size classes: the committed table is what the generator makes, and keeps what its header
 * promises. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/sizeclass.h"
#include "tests/support/sizeclass_gen.h"

/* NULL when the file cannot be read. */
static char *slurp(FILE *f)
{
	size_t len = 0, cap = 1 << 20;
	char *text = malloc(cap);

	if (text == NULL || f == NULL)
		return NULL;
	len = fread(text, 1, cap - 1, f);
	text[len] = '\0';
	return text;
}

START_TEST(committed_file_is_what_the_generator_makes)
{
	FILE *have = fopen("allocator/base/sizeclass.c", "r"), *made = tmpfile();
	char *a, *b;

	ck_assert_ptr_nonnull(made);
	if (have == NULL) {
		puts("allocator/base/sizeclass.c is not here (run from the root): only the "
		     "compiled table "
		     "is "
		     "checked");
		return;
	}
	sm_generate_sizeclasses(made);
	rewind(made);
	a = slurp(have);
	b = slurp(made);
	ck_assert_msg(strcmp(a, b) == 0,
		      "allocator/base/sizeclass.c is stale: run make gen-sizeclass");
	free(a);
	free(b);
	fclose(have);
	fclose(made);
}
END_TEST

START_TEST(every_size_gets_the_smallest_slot_that_holds_it)
{
	for (size_t size = 1; size <= SM_MAX_SMALL; size++) {
		unsigned c = sm_size_class(size);

		ck_assert_uint_gt(c, 0);
		ck_assert_uint_lt(c, sm__nclasses);
		ck_assert_uint_ge(sm__sizeclasses[c].slot_bytes, size);
		if (c > 1)
			ck_assert_uint_lt(sm__sizeclasses[c - 1].slot_bytes, size);
	}
}
END_TEST

START_TEST(waste_stays_within_the_bound)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		const struct sm_sizeclass *k = &sm__sizeclasses[c];
		size_t bytes = (size_t)k->nunits << SM_UNIT_SHIFT;
		size_t least = c > 1 ? sm__sizeclasses[c - 1].slot_bytes + 1 : 1;
		size_t tail = bytes - (size_t)k->nslots * k->slot_bytes;
		size_t waste = (size_t)k->nslots * (k->slot_bytes - least) + tail;

		ck_assert_uint_eq(k->nslots, bytes / k->slot_bytes);
		ck_assert_uint_le(tail * 8, bytes);
		if (k->slot_bytes > 128)
			ck_assert_uint_le(waste * 8, bytes);
		else
			ck_assert_uint_le(k->slot_bytes - least, 15);
	}
}
END_TEST

START_TEST(reciprocal_is_exact_for_every_offset)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		const struct sm_sizeclass *k = &sm__sizeclasses[c];

		for (uint64_t off = 0; off < (uint64_t)k->nslots * k->slot_bytes; off++)
			if ((off * k->recip) >> 32 != off / k->slot_bytes)
				ck_abort_msg("class %u, offset %lu", c, (unsigned long)off);
	}
}
END_TEST

/* What free() relies on: see struct sm_slot_test in allocator/malloc/process_heap.h. */
START_TEST(one_multiplication_tells_starts_from_everything_else)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		const struct sm_sizeclass *k = &sm__sizeclasses[c];
		uint64_t excess = (uint64_t)k->recip * k->slot_bytes - (UINT64_C(1) << 32);
		uint32_t start_max = (uint32_t)((k->nslots - 1u) * excess) + 1;
		uint64_t bytes = (uint64_t)k->nunits << SM_UNIT_SHIFT;

		for (uint64_t off = 0; off < bytes; off++) {
			bool start = off % k->slot_bytes == 0 && off / k->slot_bytes < k->nslots;

			if (((uint32_t)(off * k->recip) < start_max) != start)
				ck_abort_msg("class %u, offset %lu", c, (unsigned long)off);
		}
	}
}
END_TEST

START_TEST(powers_of_two_are_classes_and_slots_are_aligned)
{
	for (size_t size = 8; size <= SM_MAX_SMALL; size *= 2)
		ck_assert_uint_eq(sm__sizeclasses[sm_size_class(size)].slot_bytes, size);
	for (unsigned c = 1; c < sm__nclasses; c++) {
		unsigned slot = sm__sizeclasses[c].slot_bytes;

		ck_assert_uint_eq(slot % (slot > 24 ? 16 : 8), 0);
		ck_assert_uint_ge(sm__sizeclasses[c].nslots, 4);
	}
	ck_assert_uint_eq(sm__sizeclasses[sm__nclasses - 1].slot_bytes, SM_MAX_SMALL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("sizeclass");
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, committed_file_is_what_the_generator_makes);
	tcase_add_test(t, every_size_gets_the_smallest_slot_that_holds_it);
	tcase_add_test(t, waste_stays_within_the_bound);
	tcase_add_test(t, reciprocal_is_exact_for_every_offset);
	tcase_add_test(t, one_multiplication_tells_starts_from_everything_else);
	tcase_add_test(t, powers_of_two_are_classes_and_slots_are_aligned);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	SRunner *r;
	int failed;

	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		sm_generate_sizeclasses(stdout);
		return 0;
	}
	r = srunner_create(suite());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
