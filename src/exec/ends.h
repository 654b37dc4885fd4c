/* The descriptors between us and a child: its stdin, stdout, stderr and channel. */
#ifndef AGENT_EXEC_ENDS_H
#define AGENT_EXEC_ENDS_H

#include <stdbool.h>

#include "exec/spawn.h"

enum { IN, OUT, ERR, CHANNEL };

struct ends {
    int ours[SPAWN_FDS];   /* -1: none, or given away */
    int theirs[SPAWN_FDS]; /* what becomes 0…3 of the child; all above SPAWN_FDS, all close-on-exec
                            */
};

/* Opens pipes, the socket pair of a channel, and /dev/null for a child without input. false: errno
 * says why; what was opened is for ends_close() either way. */
bool ends_open(struct ends *e, bool input, bool channel);

/* Closes one side, and forgets it. */
void ends_close(int *fds);

#endif
