/* Thread churn, fork from threads, thread-local destructors, odd entry points: built and run by
 * test_preload.sh. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "churn: %s\n", what);
	exit(1);
}

static void *early; /* allocated before main */

__attribute__((constructor)) static void before_main(void)
{
	early = malloc(123);
	memset(early, 1, 123);
}

static void *work(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char *p[200] = {0};

	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = (unsigned)rand_r(&seed) % 200;
		size_t size = (size_t)rand_r(&seed) % (i % 50 ? 500 : 60000);

		free(p[k]);
		p[k] = i % 3 ? malloc(size) : calloc(1, size);
		if (p[k] == NULL)
			die("no memory");
		memset(p[k], (int)i, size);
	}
	for (unsigned i = 0; i < 200; i++)
		free(p[i]);
	return NULL;
}

static void *forker(void *arg)
{
	for (unsigned i = 0; i < 10; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			work((void *)(uintptr_t)i);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			die("a child failed");
	}
	return arg;
}

static void entry_points(void)
{
	volatile size_t huge = SIZE_MAX; /* or the compiler warns */
	void *p = NULL;

	if (posix_memalign(&p, 4096, 100) != 0 || (uintptr_t)p % 4096 != 0)
		die("posix_memalign");
	free(p);
	if (posix_memalign(&p, 24, 100) != EINVAL)
		die("posix_memalign takes 24");
	p = memalign(48, 10); /* rounded up to 64 */
	if ((uintptr_t)p % 64 != 0)
		die("memalign");
	free(p);
	p = valloc(1);
	if ((uintptr_t)p % 4096 != 0)
		die("valloc");
	free(p);
	p = pvalloc(1);
	if ((uintptr_t)p % 4096 != 0 || malloc_usable_size(p) < 4096)
		die("pvalloc");
	free(p);
	p = aligned_alloc(256, 512);
	if ((uintptr_t)p % 256 != 0)
		die("aligned_alloc");
	p = reallocarray(p, 100, 100);
	if (p == NULL || malloc_usable_size(p) < 10000)
		die("reallocarray");
	errno = 0;
	if (reallocarray(p, huge / 2, 3) != NULL || errno != ENOMEM)
		die("reallocarray takes an overflow");
	errno = E2BIG;
	free(p);
	if (errno != E2BIG)
		die("free changes errno");
	if (mallinfo2().arena == 0)
		die("mallinfo2 is not ours");
	malloc_trim(0);
}

int main(void)
{
	pthread_t t[8], f;

	entry_points();
	pthread_create(&f, NULL, forker, NULL);
	for (unsigned round = 0; round < 6; round++) {
		for (uintptr_t i = 0; i < 8; i++)
			if (pthread_create(&t[i], NULL, work, (void *)i) != 0)
				die("no thread");
		for (unsigned i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
	pthread_join(f, NULL);
	free(early);
	puts("churn: ok");
	return 0;
}
