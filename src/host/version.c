#include "host/version.h"

const char version_number[] = AGENT_VERSION;
const char version_commit[] = AGENT_COMMIT;
const char version_branch[] = AGENT_BRANCH;
const char version_built[] = AGENT_BUILT;
