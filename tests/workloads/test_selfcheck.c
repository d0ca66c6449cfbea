/*
 * Workloads find out when memory that they hold is damaged: they run on libc's malloc, which here
 * is one that damages.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/session.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

/* Objects of this size are all the same block. */
#define ODD 1237
static size_t odd = ODD;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void __libc_free(void *p);

static char block[4096] __attribute__((aligned(16)));
static bool damaging;

void *malloc(size_t size)
{
	return damaging && size == odd ? block : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return damaging && n == 1 && size == odd ? block : __libc_calloc(n, size);
}

void free(void *p)
{
	if (p != block)
		__libc_free(p);
}

static struct sm_sample sample;

static int run(const char *name, const char *const *assignments)
{
	struct sm_params params;
	struct sm_job job;
	char err[200] = "";
	const struct sm_workload *w = sm_workload_find(name, err, sizeof(err));
	int rc;

	ck_assert_msg(w != NULL, "%s", err);
	sm_params_init(&params, w, true);
	for (; *assignments; assignments++)
		ck_assert_msg(sm_params_set(&params, *assignments, err, sizeof(err)) == 0, "%s",
			      err);
	sm_job_init(&job, &params);
	job.backend = SM_WL_LIBC;
	damaging = true;
	rc = sm_session_run(&job, &sample);
	damaging = false;
	return rc;
}

START_TEST(churn_finds_an_overwritten_object)
{
	const char *sound[] = {"size=1237", "live=1", "ops=10", NULL},
		   *shared[] = {"size=1237", "live=2", "ops=10", NULL};

	ck_assert_int_eq(run("churn", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("churn", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* A payload is zeroed: one of which the first or the last byte is not was written by another. */
START_TEST(ring_finds_a_damaged_message)
{
	const char *with[] = {"size=1237", "live=4", "ops=10", NULL};

	ck_assert_int_eq(run("ring", with), 0);
	sm_sample_free(&sample);
	block[_i ? ODD - 1 : 0] = 1;
	ck_assert_int_eq(run("ring", with), -EIO);
	ck_assert_msg(strstr(sample.error, "lost or damaged") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* Each object says in which slot it stands. */
START_TEST(larson_finds_an_overwritten_object)
{
	const char *sound[] = {"min_size=1237", "max_size=1237", "live=1",
			       "ops=50",	"threads=1",	 NULL},
		   *shared[] = {"min_size=1237", "max_size=1237", "live=2",
				"ops=50",	 "threads=1",	  NULL};

	ck_assert_int_eq(run("larson", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("larson", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* A value shared by two entries holds the last one's key. */
START_TEST(lru_cache_finds_an_overwritten_value)
{
	const char *sound[] = {"size=1237", "live=1", "ops=200", NULL},
		   *shared[] = {"size=1237", "live=3", "ops=200", NULL};

	ck_assert_int_eq(run("lru-cache", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("lru-cache", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* Nodes of a list that share an object. */
START_TEST(young_garbage_finds_an_overwritten_node)
{
	const char *sound[] = {"size=1237", "burst=1", "live=1", "ops=100", NULL},
		   *shared[] = {"size=1237", "burst=2", "live=1", "ops=100", NULL};

	ck_assert_int_eq(run("young-garbage", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("young-garbage", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* Two entries that share an object. */
START_TEST(wide_array_finds_an_overwritten_entry)
{
	const char *sound[] = {"size=1237", "arrays=1", "entries=1", "ops=10", NULL},
		   *shared[] = {"size=1237", "arrays=1", "entries=2", "ops=10", NULL};

	ck_assert_int_eq(run("wide-array", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("wide-array", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* Two blocks in one buffer. */
START_TEST(file_cache_finds_an_overwritten_block)
{
	const char *sound[] = {"block=1240", "live=1", "file=12400", "ops=50", NULL},
		   *shared[] = {"block=1240", "live=2", "file=12400", "ops=50", NULL};

	odd = 1240;
	ck_assert_int_eq(run("file-cache", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("file-cache", shared), -EIO);
	odd = ODD;
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL ||
			      strstr(sample.error, "arrived damaged") != NULL,
		      "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(linked_list_finds_a_damaged_node)
{
	const char *sound[] = {"size=1237", "objects=10", NULL},
		   *shared[] = {"size=1240", "objects=10", NULL};

	ck_assert_int_eq(run("linked-list", sound), 0); /* in whole words: 1232 */
	sm_sample_free(&sample);
	odd = 1240;
	ck_assert_int_eq(run("linked-list", shared), -EIO);
	odd = ODD;
	ck_assert_msg(strstr(sample.error, "lost or damaged") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* Objects that are one object have one number. */
START_TEST(fragment_finds_an_overwritten_object)
{
	const char *sound[] = {"live=256k", "steps=6", NULL},
		   *shared[] = {"live=256k", "steps=8", NULL};

	odd = 3584; /* of the growth that is step 7 */
	ck_assert_int_eq(run("fragment", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("fragment", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(footprint_finds_a_damaged_object)
{
	const char *sound[] = {"min_size=1240", "max_size=1240", "objects=1", NULL},
		   *shared[] = {"min_size=1240", "max_size=1240", "objects=2", NULL};

	odd = 1240;
	ck_assert_int_eq(run("footprint", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("footprint", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "lost or damaged") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

/* Parts of the block's size, of several sessions. */
START_TEST(phases_find_an_overwritten_session)
{
	const char *with[] = {"sessions=20000", "requests=10", "phase=0", "threads=1", NULL};

	odd = 5000;
	ck_assert_int_eq(run("phases", with), 0);
	sm_sample_free(&sample);
	odd = 3584;
	ck_assert_int_eq(run("phases", with), -EIO);
	ck_assert_msg(strstr(sample.error, "overwritten") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(mutate_finds_a_damaged_leaf)
{
	const char *sound[] = {"size=1240", "nodes=1", "stores=1000", NULL},
		   *shared[] = {"size=1240", "nodes=2", "stores=1000", NULL};

	odd = 1240;
	ck_assert_int_eq(run("mutate", sound), 0);
	sm_sample_free(&sample);
	ck_assert_int_eq(run("mutate", shared), -EIO);
	ck_assert_msg(strstr(sample.error, "lost or damaged") != NULL, "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
#if SM_SANITIZED
	puts("the sanitizer's malloc cannot be replaced");
	return 77;
#endif
	return SM_SUITE(
		"selfcheck", 60, SM_T(churn_finds_an_overwritten_object),
		SM_T(file_cache_finds_an_overwritten_block), SM_T(footprint_finds_a_damaged_object),
		SM_T(fragment_finds_an_overwritten_object), SM_T(mutate_finds_a_damaged_leaf),
		SM_T(larson_finds_an_overwritten_object),
		SM_T(lru_cache_finds_an_overwritten_value),
		SM_T(young_garbage_finds_an_overwritten_node),
		SM_T(linked_list_finds_a_damaged_node), SM_T(phases_find_an_overwritten_session),
		SM_T(wide_array_finds_an_overwritten_entry),
		SM_LOOP(ring_finds_a_damaged_message, 0, 2));
}
