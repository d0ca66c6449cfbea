/* Timelines: what a ring keeps and drops, two formats of the same events, files that broke off. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spanmark/malloc.h"
#include "allocator/os/os.h"
#include "tests/support/run.h"
#include "workloads/trace/trace_internal.h"

/* ---- the ring ----------------------------------------------------------------------------- */

#define SMALL 16u

static struct sm_trace_event events[1u << 16];
static struct sm_trace_ring ring;

static void new_ring(uint32_t n)
{
	memset(events, 0, sizeof(events));
	memset(&ring, 0, sizeof(ring));
	ring.events = events;
	ring.mask = n - 1;
}

static uint32_t in_ring(void)
{
	return sm_load_relaxed(&ring.head) - sm_load_relaxed(&ring.taken);
}

/* As the writer does: all that is in it. Begins less ends of all so far; never below 0. */
static int take_all(int depth)
{
	uint32_t at = sm_load_relaxed(&ring.taken);

	for (; at != sm_load_relaxed(&ring.head); at++) {
		const struct sm_trace_event *e = &ring.events[at & ring.mask];

		depth += e->kind == SM_TRACE_BEGIN ? 1 : e->kind == SM_TRACE_END ? -1 : 0;
		ck_assert_int_ge(depth, 0);
	}
	sm_store_release(&ring.taken, at);
	return depth;
}

START_TEST(what_finds_no_room_is_counted)
{
	new_ring(SMALL);
	for (unsigned i = 0; i < 20; i++)
		sm__trace_wait(&ring, SM_TRACE_CAUSE, i, 1);
	ck_assert_uint_eq(in_ring(), SMALL);
	ck_assert_uint_eq(sm_load_relaxed(&ring.dropped), 4);
	/* The writer has taken three. */
	sm_store_release(&ring.taken, 3);
	for (unsigned i = 0; i < 5; i++)
		sm__trace_wait(&ring, SM_TRACE_CAUSE, i, 1);
	ck_assert_uint_eq(in_ring(), SMALL);
	ck_assert_uint_eq(sm_load_relaxed(&ring.dropped), 6);
}
END_TEST

START_TEST(what_is_left_of_a_full_ring_is_nested)
{
	uint64_t put = 0;
	unsigned depth = 0, seed = 1;
	int left = 0;

	new_ring(SMALL);
	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (depth > 0 && seed >> 16 & 1) {
			depth--;
			sm__trace_end(&ring, 1, i);
			put++;
		} else if (depth < 12) {
			depth++;
			sm__trace_begin(&ring, 1, i);
			put++;
		}
		ck_assert_uint_le(in_ring(), SMALL);
		if ((seed >> 20) % 64 == 0)
			left = take_all(left);
	}
	while (depth-- > 0) {
		sm__trace_end(&ring, 1, 0);
		put++;
	}
	ck_assert_int_eq(take_all(left), 0);
	/* Each is in the ring's history or counted, and those that are dropped are whole pairs. */
	ck_assert_uint_eq(sm_load_relaxed(&ring.head) + sm_load_relaxed(&ring.dropped), put);
	ck_assert_uint_gt(sm_load_relaxed(&ring.dropped), 0);
	ck_assert_uint_eq(sm_load_relaxed(&ring.dropped) % 2, 0);
}
END_TEST

START_TEST(an_end_always_has_room)
{
	for (unsigned inner = 0; inner < 40; inner++) {
		new_ring(SMALL);
		sm__trace_begin(&ring, 1, 1);
		sm__trace_begin(&ring, 2, 2);
		for (unsigned i = 0; i < inner; i++) {
			sm__trace_begin(&ring, 3, 3);
			sm__trace_end(&ring, 3, 4);
			sm__trace_wait(&ring, SM_TRACE_CAUSE, 5, 1);
		}
		sm__trace_end(&ring, 2, 6);
		sm__trace_end(&ring, 1, 7);
		ck_assert_uint_eq(in_ring() + sm_load_relaxed(&ring.dropped), 4 + 3 * inner);
		ck_assert_int_eq(take_all(0), 0);
	}
}
END_TEST

/* A ring that is made inside a phase: its end is no event. */
START_TEST(an_end_without_a_begin_is_none)
{
	new_ring(SMALL);
	sm__trace_end(&ring, 1, 1);
	sm__trace_begin(&ring, 2, 2);
	sm__trace_end(&ring, 2, 3);
	ck_assert_uint_eq(in_ring(), 2);
	ck_assert_uint_eq(sm_load_relaxed(&ring.dropped), 0);
}
END_TEST

static volatile uint32_t head_at_write;

static void written_now(int sig)
{
	(void)sig;
	head_at_write = sm_load_relaxed(&ring.head);
	mprotect(ring.events, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
}

/* The window between the two is too short for a reader to be seen in it: so the first write to the
 * event faults, and the handler looks whether the event is published already. */
START_TEST(an_event_is_written_before_it_is_published)
{
	new_ring(SMALL);
	ring.events = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(ring.events != MAP_FAILED);
	head_at_write = 77;
	signal(SIGSEGV, written_now);
	sm__trace_wait(&ring, SM_TRACE_CAUSE, 5, 1);
	signal(SIGSEGV, SIG_DFL);
	ck_assert_uint_eq(head_at_write, 0);
	ck_assert_uint_eq(sm_load_relaxed(&ring.head), 1);
	ck_assert_uint_eq(ring.events[0].at, 5);
}
END_TEST

#define MANY 3000000u

static void *fill(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i <= MANY; i++)
		sm__trace_wait(&ring, SM_TRACE_CAUSE + i % 8, i * 3, i);
	return NULL;
}

/* What the writer reads is what was put, whole, in order: the number in an event goes up, and its
 * parts belong together. A lap ago the same place held another. */
START_TEST(the_writer_reads_what_was_put)
{
	uint64_t seen = 0, latest = 0;
	pthread_t owner;

	new_ring(64);
	ck_assert_int_eq(pthread_create(&owner, NULL, fill, NULL), 0);
	while (seen + sm_load_relaxed(&ring.dropped) < MANY) {
		uint32_t at = sm_load_relaxed(&ring.taken), head = sm_load_acquire(&ring.head);

		for (; at != head; at++, seen++) {
			struct sm_trace_event e = ring.events[at & ring.mask];

			ck_assert_msg(e.ns > latest && e.ns <= MANY, "after %llu came %llu",
				      (unsigned long long)latest, (unsigned long long)e.ns);
			latest = e.ns;
			ck_assert_msg(e.at == latest * 3 && e.code == SM_TRACE_CAUSE + latest % 8,
				      "torn: %llu", (unsigned long long)latest);
			ck_assert_int_eq(e.kind, SM_TRACE_WAIT);
			sm_store_release(&ring.taken, at + 1);
		}
	}
	pthread_join(owner, NULL);
	ck_assert_uint_eq(seen + sm_load_relaxed(&ring.dropped), MANY);
}
END_TEST

/* ---- a trace ------------------------------------------------------------------------------ */

static char dir[] = "/tmp/spanmark-trace-XXXXXX", path[64];

static int new_file(const struct sm_trace_format *f)
{
	int fd;

	snprintf(path, sizeof(path), "%s/t", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sm_trace_file_begin(f, fd), 0);
	return fd;
}

static off_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_size;
}

static const struct sm_trace_format *format_nr(int i)
{
	return i == 0 ? &sm__trace_perfetto : &sm__trace_chrome;
}

/* A burst into a ring of 16. */
static void burst(struct sm_trace *t, unsigned n)
{
	sm__trace_thread_start(t, "mutator", 0);
	for (unsigned i = 0; i < n; i++) {
		sm_phase_enter(SM_PHASE_REFILL);
		sm_phase_leave(SM_PHASE_REFILL);
	}
	sm_phase_waited(0, 10);
	sm__trace_thread_stop(t);
}

static void record(int fd, const struct sm_trace_format *f, unsigned n, struct sm_trace_totals *sum)
{
	struct sm_trace_to to = {.fd = fd, .format = f, .label = "a \"b\" \\ \xc3\xa4", .ring = 16};
	struct sm_trace *t;

	SM_CHECK(sm__trace_open(&to, &t) == 0);
	burst(t, n);
	sm__trace_close(t, sum);
}

START_TEST(each_event_is_written_or_counted)
{
	struct sm_trace_totals sum;
	int fd = new_file(format_nr(_i));

	record(fd, format_nr(_i), 100000, &sum);
	ck_assert_uint_eq(sum.events + sum.dropped, 200001);
	ck_assert_uint_gt(sum.dropped, 0);
	ck_assert_uint_gt(sum.events, 0);
	ck_assert_int_eq(sum.err, 0);
	ck_assert(sm__phase_hook == NULL);
	close(fd);
}
END_TEST

#define BORN 200 /* threads, at most 20 of them beside each other */

static void *live_shortly(void *trace)
{
	sm__trace_thread_start(trace, "mutator", 0);
	for (unsigned i = 0; i < 100; i++) {
		sm_phase_enter(SM_PHASE_REFILL);
		sm_phase_leave(SM_PHASE_REFILL);
	}
	sm__trace_thread_stop(trace);
	return NULL;
}

/* The writer comes upon threads that start, record and end; all of each is written, and its memory
 * goes. The list of CPUs was the caller's, who needs it no longer. */
START_TEST(threads_are_born_and_die)
{
	int fd = new_file(format_nr(_i)), *cpus = calloc(1, sizeof(*cpus));
	struct sm_trace_to to = {
		.fd = fd, .format = format_nr(_i), .label = "threads", .cpus = cpus, .ncpus = 1};
	struct sm_trace_totals sum;
	struct sm_trace *t;

	ck_assert_int_eq(sm__trace_open(&to, &t), 0);
	free(cpus);
	for (unsigned born = 0; born < BORN; born += 20) {
		pthread_t threads[20];

		for (unsigned i = 0; i < 20; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, live_shortly, t), 0);
		for (unsigned i = 0; i < 20; i++)
			pthread_join(threads[i], NULL);
	}
	sm__trace_close(t, &sum);
	ck_assert_int_eq(sum.err, 0);
	ck_assert_uint_eq(sum.events, BORN * 200);
	ck_assert_uint_eq(sum.dropped, 0);
	close(fd);
}
END_TEST

/* A heap that is there for less than the writer's sleep has its counter. */
START_TEST(a_heap_is_shown_that_came_and_went)
{
	const struct sm_trace_format *f = &sm__trace_chrome;
	struct sm_trace_totals sum;
	char text[16384];
	int fd = new_file(f);
	struct sm_trace_to to = {.fd = fd, .format = f, .label = "heap"};
	struct sm_trace *t;
	ssize_t n;

	ck_assert_ptr_nonnull(sm_malloc(100)); /* never freed: it has a heap */
	ck_assert_int_eq(sm__trace_open(&to, &t), 0);
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	sm__trace_watch(t, NULL, sm_malloc_heap());
	sm__trace_watch(t, NULL, NULL);
	sm__trace_close(t, &sum);
	n = pread(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(n, 0);
	text[n] = 0;
	ck_assert_ptr_nonnull(strstr(text, "\"name\":\"heap\",\"args\""));
	close(fd);
}
END_TEST

/* io_uring is refused from the start, later, or not at all: the file is the same length of whole
 * records. */
START_TEST(a_refused_ring_is_no_loss)
{
	const struct sm_trace_format *f = format_nr(_i % 2);
	struct sm_trace_totals sum;
	int fd = new_file(f);
	off_t begin = size_of(fd);

	if (_i >= 2)
		sm__os_inject(SM_OS_URING, -1, EPERM);
	record(fd, f, 3, &sum);
	sm__os_inject(SM_OS_URING, 0, 0);
	ck_assert_int_eq(sum.err, 0);
	ck_assert_int_gt(size_of(fd), begin);
	ck_assert_int_eq(sm_trace_file_mend(f, fd, begin), size_of(fd));
	close(fd);
}
END_TEST

START_TEST(what_a_killed_worker_left_in_part_is_cut_off)
{
	const struct sm_trace_format *f = format_nr(_i);
	struct sm_trace_totals sum;
	off_t begin, first, second, cut, mended;
	int fd = new_file(f);

	begin = size_of(fd);
	record(fd, f, 10, &sum);
	first = size_of(fd);
	record(fd, f, 10, &sum);
	second = size_of(fd);
	ck_assert_int_lt(first, second);
	for (cut = second - 1; cut >= first; cut--) {
		ck_assert_int_eq(ftruncate(fd, cut), 0);
		mended = sm_trace_file_mend(f, fd, first);
		ck_assert_int_le(mended, cut);
		ck_assert_int_ge(mended, first);
		ck_assert_int_eq(mended, size_of(fd));
		/* What is whole stays. */
		ck_assert_int_eq(sm_trace_file_mend(f, fd, begin), mended);
		cut = mended < cut ? mended : cut;
	}
	ck_assert_int_eq(size_of(fd), first);
	close(fd);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
	struct sm_trace_out o = {.label = "full", .sequence = 1};
	int fd = open("/dev/full", O_RDWR);

	ck_assert_int_ge(fd, 0);
	if (_i == 1)
		sm__os_inject(SM_OS_URING, -1, EPERM);
	ck_assert_int_eq(sm__sink_open(&o, fd), 0);
	memset(sm__sink_room(&o), 'x', 1000);
	o.len = 1000;
	sm__sink_close(&o);
	sm__os_inject(SM_OS_URING, 0, 0);
	ck_assert_int_eq(o.err, -ENOSPC);
	close(fd);
}
END_TEST

START_TEST(formats_go_by_extension)
{
	ck_assert_str_eq(sm_trace_format_name(sm_trace_format_of("a.json")), "chrome");
	ck_assert_str_eq(sm_trace_format_name(sm_trace_format_of("a.json.gz")), "perfetto");
	ck_assert_str_eq(sm_trace_format_name(sm_trace_format_of(".json")), "perfetto");
	ck_assert_str_eq(sm_trace_format_name(sm_trace_format_of("a.pftrace")), "perfetto");
	ck_assert_ptr_eq(sm_trace_format_find("chrome"), &sm__trace_chrome);
	ck_assert_ptr_null(sm_trace_format_find("json"));
}
END_TEST

/* ---- the same events in both formats, for tests/cli/test_trace.sh ------------------------- */

static void write_same(const struct sm_trace_format *f, int fd, unsigned sample)
{
	static const struct sm_trace_track timed = {SM_TRACK_TIMED, 1L << 23};
	const struct sm_trace_track whole = {SM_TRACK_SAMPLE, 0},
				    mutator = {SM_TRACK_THREADS, 100 + sample},
				    waits = {SM_TRACK_THREADS + 1, (100 + sample) | 1L << 22};
	struct sm_trace_out o = {.pid = (pid_t)(7 + sample),
				 .base = (uint64_t)1 << 50 | sample << 10,
				 .sequence = 1u << 31 | sample};
	char label[40];
	unsigned seed = sample + 1, depth = 0;
	uint64_t ns = 1234567890123456;

	snprintf(label, sizeof(label), "\"quoted\" \\ sample %u", sample);
	o.label = label;
	SM_CHECK(sm__sink_open(&o, fd) == 0);
	f->sample(&o);
	f->track(&o, &timed, "timed part", &whole);
	f->track(&o, &mutator, "mutator 0", NULL);
	f->track(&o, &waits, "waits", &mutator);
	f->slice(&o, &timed, true, SM_TRACE_TIMED, ns);
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 1664525 + 1013904223;
		ns += seed >> 20;
		if ((seed >> 10) % 3 == 0 && depth < 9) {
			depth++;
			f->slice(&o, &mutator, true, (seed >> 12) % SM_PHASE_COUNT, ns);
		} else if (depth > 0) {
			depth--;
			f->slice(&o, &mutator, false, 0, ns);
		}
		if (i % 7 == 0)
			f->wait(&o, &waits, SM_TRACE_CAUSE + i % 8, ns + 1, ns + 3);
		if (i % 11 == 0)
			f->counter(&o, i % SM_TRACE_NCOUNTERS, (uint64_t)seed << (i % 20), ns);
		if (i % 1000 == 999)
			f->dropped(&o, &mutator, i, ns);
		ns += 3;
	}
	for (; depth > 0; depth--)
		f->slice(&o, &mutator, false, 0, ns);
	f->slice(&o, &timed, false, SM_TRACE_TIMED, ns);
	sm__sink_close(&o);
	SM_CHECK(o.err == 0);
}

static int print_same(const char *folder)
{
	for (int i = 0; i < 2; i++) {
		const struct sm_trace_format *f = format_nr(i);
		struct sm_trace_totals sum;
		char name[4096];
		int fd;

		for (int drops = 0; drops < 2; drops++) {
			snprintf(name, sizeof(name), "%s/%s.%s", folder, drops ? "dropped" : "same",
				 i ? "json" : "pftrace");
			fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
			if (fd < 0 || sm_trace_file_begin(f, fd) != 0)
				return 1;
			if (drops) {
				record(fd, f, 100000, &sum);
				printf("%s %llu\n", name, (unsigned long long)sum.dropped);
			}
			for (unsigned sample = 0; !drops && sample < 2; sample++)
				write_same(f, fd, sample);
			if (sm_trace_file_end(f, fd) != 0)
				return 1;
			close(fd);
		}
	}
	return 0;
}

static void make_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	snprintf(path, sizeof(path), "%s/t", dir);
	unlink(path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--print") == 0)
		return print_same(argv[2]);
	return SM_SUITE_ONCE("trace", 60, make_dir, remove_dir, SM_T(what_finds_no_room_is_counted),
			     SM_T(what_is_left_of_a_full_ring_is_nested),
			     SM_T(an_end_always_has_room), SM_T(an_end_without_a_begin_is_none),
			     SM_T(an_event_is_written_before_it_is_published),
			     SM_T(the_writer_reads_what_was_put),
			     SM_LOOP(each_event_is_written_or_counted, 0, 2),
			     SM_LOOP(threads_are_born_and_die, 0, 2),
			     SM_T(a_heap_is_shown_that_came_and_went),
			     SM_LOOP(a_refused_ring_is_no_loss, 0, 4),
			     SM_LOOP(what_a_killed_worker_left_in_part_is_cut_off, 0, 2),
			     SM_LOOP(a_full_disk_is_told, 0, 2), SM_T(formats_go_by_extension));
}
