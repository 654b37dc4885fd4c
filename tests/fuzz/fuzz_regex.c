/* The first line is an expression, the rest a text: groups lie within the match, the match within
 * the text, and asking whether gives what asking where gives. */
#include <stdlib.h>
#include <string.h>

#include "regex/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct regex_source source;
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t n = line ? (size_t)(line - data) : size;
    const char *text = line ? (const char *)line + 1 : "";
    size_t length = line ? size - n - 1 : 0;
    if (!regex_compile(&source, (const char *)data, n)) {
        if (!source.why[0]) {
            abort();
        }
        return 0;
    }
    struct regex *r = regex_pack(&source, malloc(regex_size(&source)));
    struct regex_span spans[REGEX_GROUPS];
    int found = regex_match(r, text, length, spans);
    if (regex_match(r, text, length, NULL) != found && found >= 0) {
        abort();
    }
    for (int i = 0; found > 0 && i < REGEX_GROUPS; i++) {
        if (spans[i].begin > spans[i].end || spans[i].end > (int32_t)length || spans[0].begin < 0 ||
            (spans[i].begin >= 0 &&
             (spans[i].begin < spans[0].begin || spans[i].end > spans[0].end))) {
            abort();
        }
    }
    free(r);
    return 0;
}
