/*
 * oslimit.c: how much memory this process's control group may have.
 *
 * /proc/self/cgroup names the group, as "0::/path" (version 2) or "4:memory:/path" (version 1); its
 * limit, or that of any group above it, holds. Inside of a container the path may name nothing
 * here: then the mount's root is the group. System calls only: this runs before the first malloc,
 * which may be ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/syscall.h"
#include "allocator/os/os.h"

/* "max", or a number so large that it means the same, is no limit. */
static size_t limit_in(const char *dir, const char *file)
{
	char path[700], text[64];
	unsigned long long n;
	char *end;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path) ||
	    sm__sys_read_text(path, text, sizeof(text)) < 0)
		return SIZE_MAX;
	n = strtoull(text, &end, 10);
	return end == text || n >= 1ull << 60 ? SIZE_MAX : (size_t)n;
}

/* The least limit of the group and of all above it. */
static size_t limit_of(const char *mount, const char *group, const char *file)
{
	char dir[600];
	size_t least = SIZE_MAX, base = strlen(mount);

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >= (int)sizeof(dir))
		return SIZE_MAX;
	for (;;) {
		size_t n = limit_in(dir, file);
		char *slash;

		least = n < least ? n : least;
		slash = strrchr(dir, '/');
		if (strlen(dir) <= base || slash == NULL)
			return least;
		*(slash < dir + base ? dir + base : slash) = '\0';
	}
}

size_t sm__os_memory_limit(const char *root)
{
	char path[400], mount[400], text[4096], *line, *rest = text;
	size_t least = SIZE_MAX, n;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (sm__sys_read_text(path, text, sizeof(text)) < 0)
		return SIZE_MAX;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *names = strchr(line, ':');
		char *group = names != NULL ? strchr(names + 1, ':') : NULL;

		if (group == NULL)
			continue;
		*group++ = '\0';
		if (names[1] == '\0') {
			snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
			n = limit_of(mount, group, "memory.max");
		} else if (strcmp(names + 1, "memory") == 0) {
			snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/memory", root);
			n = limit_of(mount, group, "memory.limit_in_bytes");
		} else {
			continue;
		}
		least = n < least ? n : least;
	}
	return least;
}
