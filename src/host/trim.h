/* Gives back memory that only the start of the process needed. */
#ifndef AGENT_HOST_TRIM_H
#define AGENT_HOST_TRIM_H

/* Unmaps the code and constants of all loaded objects, which come back from the page cache one by
 * one as they are used again, and returns free heap to the system. For processes that live long. */
void host_trim(void);

#endif
