/* See faketree.h. */
#include "tests/support/faketree.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void die(const char *what)
{
	perror(what);
	abort();
}

void faketree_init(struct faketree *t)
{
	strcpy(t->root, "/tmp/sm_treeXXXXXX");
	if (!mkdtemp(t->root))
		die("mkdtemp");
}

void faketree_write(const struct faketree *t, const char *path, const char *text)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", t->root, path);
	for (char *p = full + strlen(t->root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	if (!f)
		die(full);
	fprintf(f, "%s\n", text);
	fclose(f);
}

void faketree_pmu(const struct faketree *t, const char *name, int type, const char *file,
		  const char *cpus)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/type", name);
	snprintf(text, sizeof(text), "%d", type);
	faketree_write(t, path, text);
	if (!file)
		return;
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/%s", name, file);
	faketree_write(t, path, cpus);
}

void faketree_x86(const struct faketree *t, const char *vendor, int family, int model)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "processor\t: 0\nvendor_id\t: %s\ncpu family\t: %d\nmodel\t\t: %d\nmodel name\t: "
		 "Test "
		 "9000\n\nprocessor\t: 1\n"
		 "vendor_id\t: %s\ncpu family\t: %d\nmodel\t\t: %d\n",
		 vendor, family, model, vendor, family, model);
	faketree_write(t, "/proc/cpuinfo", text);
	faketree_write(t, "/sys/devices/system/cpu/online", "0-3");
	faketree_pmu(t, "cpu", 4, NULL, NULL);
}

static int drop(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
	(void)sb;
	(void)type;
	(void)ftw;
	return remove(path);
}

void faketree_remove(struct faketree *t)
{
	nftw(t->root, drop, 16, FTW_DEPTH | FTW_PHYS);
}
