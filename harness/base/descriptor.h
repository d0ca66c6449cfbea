/*
 * descriptor.h: descriptors for those who start processes.
 */
#ifndef SM_HARNESS_DESCRIPTOR_H
#define SM_HARNESS_DESCRIPTOR_H

#include <stddef.h>

/* Descriptors below this are targets of dup2 in a child that we fork; those made here lie above. */
#define SM_DESCRIPTOR_LEAST 10

/* The same file as fd, close-on-exec, from SM_DESCRIPTOR_LEAST on; fd is closed. -1 and errno. */
int sm_descriptor_lift(int fd);
/* As pipe2 with O_CLOEXEC, both ends lifted. 0 or -errno; then ends that are not open are -1. */
int sm_descriptor_pipe(int ends[2]);
/* All of it, whatever signals come between. 0 or -errno. */
int sm_descriptor_write(int fd, const void *data, size_t len);

#endif
