/* the library opened late, used from threads, closed before they end (mimalloc #809, #147, jemalloc
 * #1249). usage: dl LIB [close] */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *(*m)(size_t);
static void (*f)(void *);
static pthread_barrier_t b;
static void *w(void *x)
{
	void *v[500];
	for (int i = 0; i < 500; i++)
		v[i] = m(100);
	for (int i = 0; i < 500; i++)
		f(v[i]);
	pthread_barrier_wait(&b);
	pthread_barrier_wait(&b);
	return x;
}
int main(int c, char **a)
{
	setvbuf(stdout, 0, _IONBF, 0);
	void *h = dlopen(a[1], RTLD_NOW | RTLD_LOCAL);
	if (!h) {
		puts(dlerror());
		return 2;
	}
	m = dlsym(h, c > 3 ? a[3] : "sm_malloc");
	f = dlsym(h, c > 4 ? a[4] : "sm_free");
	if (!m || !f) {
		puts("no symbol");
		return 3;
	}
	pthread_t t[4];
	pthread_barrier_init(&b, 0, 5);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], 0, w, 0);
	pthread_barrier_wait(&b);
	if (c > 2 && !strcmp(a[2], "close")) {
		int rc = dlclose(h);
		printf("dlclose %d, still mapped: %s\n", rc,
		       dlopen(a[1], RTLD_NOLOAD | RTLD_NOW) ? "yes" : "no");
	}
	pthread_barrier_wait(&b);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], 0);
	puts("threads ended");
	pid_t p = fork();
	if (p == 0)
		_exit(0);
	puts("forked");
	for (int i = 0; i < 50; i++) {
		h = dlopen(a[1], RTLD_NOW | RTLD_LOCAL);
		if (!h) {
			printf("open %d: %s\n", i, dlerror());
			return 5;
		}
		m = dlsym(h, c > 3 ? a[3] : "sm_malloc");
		f = dlsym(h, c > 4 ? a[4] : "sm_free");
		f(m(10));
		if (c > 2)
			dlclose(h);
	}
	puts("fifty times opened and closed");
	char vm[100] = "";
	FILE *fp = fopen("/proc/self/status", "r");
	while (fgets(vm, 100, fp))
		if (!strncmp(vm, "VmSize", 6))
			fputs(vm, stdout);
	return 0;
}
