#include "host/version.h"

#ifndef AGENT_VERSION
#define AGENT_VERSION "unknown"
#define AGENT_COMMIT  "unknown"
#define AGENT_BRANCH  "unknown"
#define AGENT_BUILT   "unknown"
#endif

const char version_number[] = AGENT_VERSION;
const char version_commit[] = AGENT_COMMIT;
const char version_branch[] = AGENT_BRANCH;
const char version_built[] = AGENT_BUILT;
