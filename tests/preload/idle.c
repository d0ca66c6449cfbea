/* A burst is freed, then the program idles. How much stays resident? usage: idle SIZE TOTAL_MIB
 * THREADS SECONDS */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static size_t size, per;
static long rss(void)
{
	long a, b;
	FILE *f = fopen("/proc/self/statm", "r");
	if (fscanf(f, "%ld %ld", &a, &b) != 2)
		b = 0;
	fclose(f);
	return b * 4 / 1024;
}
static void *work(void *x)
{
	void **v = malloc(per * sizeof(*v));
	for (size_t i = 0; i < per; i++) {
		v[i] = malloc(size);
		memset(v[i], 1, size);
	}
	if (x)
		*(long *)x = rss();
	for (size_t i = 0; i < per; i++)
		free(v[i]);
	free(v);
	return 0;
}
int main(int c, char **a)
{
	(void)c;
	size = atol(a[1]);
	size_t total = atol(a[2]) << 20;
	int nt = atoi(a[3]), secs = atoi(a[4]);
	long peak = 0;
	per = total / size / nt;
	long before = rss();
	pthread_t t[64];
	if (nt == 1)
		work(&peak);
	else {
		for (int i = 0; i < nt; i++)
			pthread_create(&t[i], 0, work, 0);
		for (int i = 0; i < nt; i++)
			pthread_join(t[i], 0);
	}
	long freed = rss();
	for (int i = 0; i < secs; i++) {
		sleep(1);
		free(malloc(getenv("BIG") ? 100000 : 100));
	}
	printf("start %ld MiB, peak %ld, after free %ld, after %d s idle %ld MiB\n", before, peak,
	       freed, secs, rss());
	/* what is retained, and what the process has besides */
	return rss() > 160;
}
