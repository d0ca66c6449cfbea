/*
 * Threads that end, by the thousand: what each left behind would add up. usage: threadend N MODE
 *
 *   plain    bursts of 20 detached threads that work without malloc: libc frees for them
 *   first    the last round of destructors is the first time that they allocate
 *   many     the same, a hundred sizes
 *   others   they only free what others allocated
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OBJECTS = 200, SIZES = 100, WARM = 50, BURST = 20 };

static pthread_key_t key;
static char **made;
static int sizes;

static long rss_kib(void)
{
	long a, b = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%ld %ld", &a, &b) != 2)
		exit(3);
	fclose(f);
	return b * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Round by round, until there is no other. */
static void destroy(void *x)
{
	long round = (long)x;

	if (round < sysconf(_SC_THREAD_DESTRUCTOR_ITERATIONS)) {
		pthread_setspecific(key, (void *)(round + 1));
		return;
	}
	for (int i = 0; i < sizes; i++)
		free(malloc((size_t)(100 + 50 * i)));
}

static void *work(void *x)
{
	if (sizes != 0)
		pthread_setspecific(key, (void *)1L);
	else if (made == NULL)
		usleep(2000);
	for (int i = 0; made != NULL && i < OBJECTS; i++)
		free(made[i]);
	return x;
}

static long threads(void)
{
	char line[200];
	long n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && n == 0 && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "Threads: %ld", &n);
	if (n == 0)
		exit(3);
	fclose(f);
	return n;
}

/* They live at the same time, and all have ended when it returns: else their stacks add up. */
static void burst_of_threads(void)
{
	pthread_attr_t at;
	pthread_t t;

	pthread_attr_init(&at);
	pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < BURST; i++)
		pthread_create(&t, &at, work, NULL);
	while (threads() > 1)
		usleep(1000);
}

static void one_thread(void)
{
	pthread_t t;

	for (int i = 0; made != NULL && i < OBJECTS; i++)
		made[i] = malloc((size_t)(100 + 20 * i));
	if (pthread_create(&t, NULL, work, NULL) == 0)
		pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[2] : "plain";
	int n = argc > 1 ? atoi(argv[1]) : 200;
	long before = 0, more;

	/* The heap is made, its key before ours. */
	free(malloc(10));
	pthread_key_create(&key, destroy);
	sizes = strcmp(mode, "first") == 0 ? 1 : strcmp(mode, "many") == 0 ? SIZES : 0;
	made = strcmp(mode, "others") == 0 ? calloc(OBJECTS, sizeof(*made)) : NULL;
	for (int i = 0; i < n; i++) {
		if (i == WARM)
			before = rss_kib();
		if (strcmp(mode, "plain") == 0)
			burst_of_threads();
		else
			one_thread();
	}
	usleep(100000);
	more = rss_kib() - before;
	printf("%s, %d: %ld KiB more\n", mode, n, more);
	return more > 4096;
}
