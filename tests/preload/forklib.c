/* A library of the program: its constructor registers fork handlers that use the heap (as OpenBLAS,
 * perl, libuv, fontconfig and others do). */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static void *p;
static void prep(void)
{
	for (int i = 0; i < 2000; i++) {
		void *q = malloc(200);
		memset(q, 1, 200);
		free(p);
		p = q;
	}
	free(malloc(300000));
}
static void after(void)
{
	free(malloc(300000));
	void *v[3000];
	for (int i = 0; i < 3000; i++)
		v[i] = malloc(500);
	for (int i = 0; i < 3000; i++)
		free(v[i]);
}
__attribute__((constructor)) static void init(void)
{
	pthread_atfork(prep, after, after);
}
void touch(void)
{
}
