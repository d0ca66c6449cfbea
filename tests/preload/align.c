/* usage: al2: the least alignment at which the contract of posix_memalign is broken */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
	for (unsigned b = 4; b < 40; b++) {
		void *p;
		if (posix_memalign(&p, (size_t)1 << b, 4096)) {
			printf("2^%u refused\n", b);
			break;
		}
		if ((uintptr_t)p & (((size_t)1 << b) - 1)) {
			printf("posix_memalign(align 2^%u = %zu MiB, 4096) = %p: not aligned\n", b,
			       ((size_t)1 << b) >> 20, p);
			return 1;
		}
		free(p);
	}
	puts("ok");
}
