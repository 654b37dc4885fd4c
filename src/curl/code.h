/* libcurl's results as the few codes that callers tell apart. */
#ifndef AGENT_CURL_CODE_H
#define AGENT_CURL_CODE_H

#include <curl/curl.h>
#include <stdbool.h>

/* NULL for success. capped: one of our own limits ended the transfer. */
const char *code_of(CURLcode rc, bool capped);

#endif
