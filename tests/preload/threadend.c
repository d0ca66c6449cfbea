/* The everyday form: bursts of 20 detached threads with default attributes that do a little work
 * without malloc. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static long rss(void)
{
	long a, b;
	FILE *f = fopen("/proc/self/statm", "r");
	if (fscanf(f, "%ld %ld", &a, &b) != 2)
		b = 0;
	fclose(f);
	return b * 4;
}
static void *w(void *x)
{
	usleep(2000);
	return x;
}
int main(int c, char **a)
{
	(void)c;
	long before = 0;
	pthread_attr_t at;
	pthread_attr_init(&at);
	pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < atoi(a[1]); i++) {
		if (i == 50)
			before = rss();
		for (int k = 0; k < 20; k++) {
			pthread_t t;
			pthread_create(&t, &at, w, 0);
		}
		usleep(6000);
	}
	usleep(100000);
	printf("%d threads: RSS grew by %ld KiB\n", atoi(a[1]) * 20, rss() - before);
	return rss() - before > 4096;
}
