/* What strict overcommit (vm.overcommit_memory=2) charges a process for is what it has mapped
 * writable and private, touched or not: VmData. A burst that was freed and trimmed is charged no
 * more. usage: commit [MIB] */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECT = 100000, MOST = 40000 };

static long charged_kib(void)
{
	char line[200];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmData: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	static char *v[MOST];
	int n = (int)((argc > 1 ? atol(argv[1]) : 200) * 1000000 / OBJECT);
	long before, most, after;

	free(malloc(OBJECT));
	before = charged_kib();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < n && i < MOST; i++) {
			v[i] = malloc(OBJECT);
			if (v[i] == NULL)
				return 2;
			memset(v[i], 1, OBJECT);
		}
		most = charged_kib();
		for (int i = 0; i < n && i < MOST; i++)
			free(v[i]);
		malloc_trim(0);
	}
	after = charged_kib();
	printf("charged %ld KiB, with the burst %ld, without %ld\n", before, most, after);
	return after - before > 8192;
}
