/* an error is reported after an allocation that succeeded */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int c, char **a)
{
	static void *v[3000];
	int seen[200] = {0};
	for (int i = 0; i < 3000; i++) {
		errno = ENOENT;
		v[i] = malloc(c > 1 ? 100 : 200000);
		if (v[i] && errno != ENOENT) {
			seen[errno]++;
		}
	}
	for (int i = 0; i < 3000; i++) {
		errno = ENOENT;
		free(v[i]);
		if (errno != ENOENT)
			seen[errno]++;
	}
	for (int i = 0; i < 3000; i++) {
		errno = ENOENT;
		v[i] = realloc(calloc(1, 100), 300000);
		if (v[i] && errno != ENOENT)
			seen[errno]++;
	}
	for (int i = 0; i < 200; i++)
		if (seen[i])
			printf("%d calls succeeded and left errno = %s\n", seen[i], strerror(i));
	puts("done");
	return 0;
}
