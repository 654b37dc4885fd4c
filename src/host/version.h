/* What was built: filled in by the Makefile from git. */
#ifndef AGENT_HOST_VERSION_H
#define AGENT_HOST_VERSION_H

extern const char version_number[];
extern const char version_commit[];
extern const char version_branch[];
extern const char version_built[]; /* time of the commit, so that builds can be repeated */

#endif
