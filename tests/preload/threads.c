#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
static void *w(void *x)
{
	void *v[3000];
	for (int r = 0; r < 20; r++) {
		for (int i = 0; i < 3000; i++) {
			v[i] = malloc(i % 2000 + 1);
			memset(v[i], 1, 8);
		}
		for (int i = 0; i < 3000; i++)
			free(v[i]);
	}
	return x;
}
int main(void)
{
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], 0, w, 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], 0);
	malloc_trim(0);
	puts("ok");
}
