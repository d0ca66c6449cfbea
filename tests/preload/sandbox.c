/* A sandboxed program (file(1), dhcpcd, sshd's pre-auth child, browsers' renderers): after start a
 * filter allows what libc's malloc and stdio need and kills for all else. */
#include <malloc.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **a)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	int allow[] = {SCMP_SYS(read),
		       SCMP_SYS(write),
		       SCMP_SYS(close),
		       SCMP_SYS(fstat),
		       SCMP_SYS(newfstatat),
		       SCMP_SYS(lseek),
		       SCMP_SYS(brk),
		       SCMP_SYS(mmap),
		       SCMP_SYS(munmap),
		       SCMP_SYS(mremap),
		       SCMP_SYS(mprotect),
		       SCMP_SYS(madvise),
		       SCMP_SYS(futex),
		       SCMP_SYS(rt_sigreturn),
		       SCMP_SYS(rt_sigprocmask),
		       SCMP_SYS(getrandom),
		       SCMP_SYS(clock_gettime),
		       SCMP_SYS(getpid),
		       SCMP_SYS(gettid),
		       SCMP_SYS(exit),
		       SCMP_SYS(exit_group),
		       SCMP_SYS(sched_yield),
		       SCMP_SYS(clock_nanosleep),
		       SCMP_SYS(rseq),
		       SCMP_SYS(set_robust_list),
		       SCMP_SYS(clone3),
		       SCMP_SYS(clone)};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	for (unsigned i = 0; i < sizeof allow / sizeof *allow; i++)
		seccomp_rule_add(f, SCMP_ACT_ALLOW, allow[i], 0);
	if (c > 1 && !strcmp(a[1], "first"))
		;
	else
		free(malloc(10));
	if (seccomp_load(f))
		return 9;
	static void *v[6000];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 6000; i++) {
			v[i] = malloc(i % 7 ? 300 : 100000);
			memset(v[i], 1, 300);
		}
		for (int i = 0; i < 6000; i += 2)
			free(v[i]);
		sleep(1);
		for (int i = 1; i < 6000; i += 2)
			free(v[i]);
	}
	puts("small and middle: ok");
	for (int i = 0; i < 3000; i++) {
		v[i] = malloc(100000);
		memset(v[i], 1, 100000);
	}
	for (int i = 0; i < 3000; i += 2)
		free(v[i]);
	sleep(1);
	for (int i = 1; i < 3000; i += 2)
		free(v[i]);
	puts("300 MB freed: ok");
	return 0;
}
