/*
 * Runs a program under the system call filter that containers or services run with. usage: filtered
 * docker|systemd PROGRAM [ARGUMENT...]
 *
 * docker: what Docker's default profile does not allow without capabilities fails with EPERM
 * (docs.docker.com/engine/security/seccomp: significant calls blocked by the default profile;
 * io_uring since Docker 25, moby/moby pull request 46762). systemd: calls of the groups that many
 * units deny, SystemCallFilter=~@privileged @resources and so on, kill (systemd.exec(5)).
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int DOCKER[] = {SCMP_SYS(acct),
			     SCMP_SYS(add_key),
			     SCMP_SYS(bpf),
			     SCMP_SYS(clock_adjtime),
			     SCMP_SYS(clock_settime),
			     SCMP_SYS(create_module),
			     SCMP_SYS(delete_module),
			     SCMP_SYS(finit_module),
			     SCMP_SYS(get_kernel_syms),
			     SCMP_SYS(get_mempolicy),
			     SCMP_SYS(init_module),
			     SCMP_SYS(ioperm),
			     SCMP_SYS(iopl),
			     SCMP_SYS(kcmp),
			     SCMP_SYS(kexec_file_load),
			     SCMP_SYS(kexec_load),
			     SCMP_SYS(keyctl),
			     SCMP_SYS(lookup_dcookie),
			     SCMP_SYS(mbind),
			     SCMP_SYS(mount),
			     SCMP_SYS(move_pages),
			     SCMP_SYS(nfsservctl),
			     SCMP_SYS(open_by_handle_at),
			     SCMP_SYS(perf_event_open),
			     SCMP_SYS(pivot_root),
			     SCMP_SYS(process_vm_readv),
			     SCMP_SYS(process_vm_writev),
			     SCMP_SYS(ptrace),
			     SCMP_SYS(query_module),
			     SCMP_SYS(quotactl),
			     SCMP_SYS(reboot),
			     SCMP_SYS(request_key),
			     SCMP_SYS(set_mempolicy),
			     SCMP_SYS(setns),
			     SCMP_SYS(settimeofday),
			     SCMP_SYS(swapon),
			     SCMP_SYS(swapoff),
			     SCMP_SYS(sysfs),
			     SCMP_SYS(_sysctl),
			     SCMP_SYS(umount2),
			     SCMP_SYS(unshare),
			     SCMP_SYS(uselib),
			     SCMP_SYS(userfaultfd),
			     SCMP_SYS(ustat),
			     SCMP_SYS(io_uring_setup),
			     SCMP_SYS(io_uring_enter),
			     SCMP_SYS(io_uring_register)};

static const int SYSTEMD[] = {SCMP_SYS(ioprio_set),
			      SCMP_SYS(mbind),
			      SCMP_SYS(migrate_pages),
			      SCMP_SYS(move_pages),
			      SCMP_SYS(sched_setaffinity),
			      SCMP_SYS(sched_setattr),
			      SCMP_SYS(sched_setparam),
			      SCMP_SYS(sched_setscheduler),
			      SCMP_SYS(set_mempolicy),
			      SCMP_SYS(setpriority),
			      SCMP_SYS(setrlimit),
			      SCMP_SYS(bpf),
			      SCMP_SYS(perf_event_open),
			      SCMP_SYS(ptrace),
			      SCMP_SYS(process_vm_readv),
			      SCMP_SYS(process_vm_writev),
			      SCMP_SYS(userfaultfd),
			      SCMP_SYS(io_uring_setup),
			      SCMP_SYS(io_uring_enter),
			      SCMP_SYS(io_uring_register),
			      SCMP_SYS(mount),
			      SCMP_SYS(umount2),
			      SCMP_SYS(pivot_root),
			      SCMP_SYS(reboot),
			      SCMP_SYS(swapon),
			      SCMP_SYS(swapoff),
			      SCMP_SYS(keyctl),
			      SCMP_SYS(add_key)};

static int refuse(scmp_filter_ctx f, const int *calls, size_t n, uint32_t action)
{
	for (size_t i = 0; i < n; i++) {
		int e = seccomp_rule_add(f, action, calls[i], 0);

		/* A call that this kind of machine never had cannot be made either. */
		if (e != 0 && e != -EDOM && e != -EACCES)
			return e;
	}
	return 0;
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int e;

	if (argc < 3 || f == NULL)
		return 2;
	if (strcmp(argv[1], "docker") == 0)
		e = refuse(f, DOCKER, sizeof(DOCKER) / sizeof(DOCKER[0]), SCMP_ACT_ERRNO(EPERM));
	else
		e = refuse(f, SYSTEMD, sizeof(SYSTEMD) / sizeof(SYSTEMD[0]), SCMP_ACT_KILL_PROCESS);
	if (e == 0)
		e = seccomp_load(f);
	if (e != 0) {
		fprintf(stderr, "no filter: %s\n", strerror(-e));
		return 3;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
