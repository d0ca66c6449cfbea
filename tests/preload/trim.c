#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
	alarm(60);
	static void *v[2000];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2000; i++) {
			v[i] = malloc(100000);
			memset(v[i], 1, 100000);
		}
		for (int i = 0; i < 2000; i++)
			free(v[i]);
		malloc_trim(0);
	}
	puts("done");
}
