/* Whatever a record holds, its line is within the size given, without control characters, and in
 * JSON it ends as an object does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/logline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct log_text take(const uint8_t **data, size_t *size) {
    size_t n = *size ? **data % (*size) : 0;
    struct log_text text = {(const char *)*data, n};
    *data += n;
    *size -= n;
    return text;
}

static void check(const char *line, size_t n, size_t room) {
    if (n > room) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    size_t room = 1024 + (size_t)data[0] * 8;
    struct log_field fields[4];
    memset(fields, 0, sizeof fields);
    struct log_record record = {
        .level = (enum log_level)(data[1] % 5), .fields = fields, .count = 4};
    data += 2;
    size -= 2;
    record.part = take(&data, &size);
    for (size_t i = 0; i < 4; i++) {
        fields[i].key = take(&data, &size);
        fields[i].value = take(&data, &size);
    }
    record.message = (struct log_text){(const char *)data, size};
    char *line = malloc(room);
    if (!line) {
        return 0;
    }
    check(line, logline_body(LOG_TEXT, &record, line, room), room);
    size_t n = logline_body(LOG_JSON, &record, line, room);
    check(line, n, room);
    if (n < 2 || line[n - 1] != '}') {
        abort();
    }
    free(line);
    return 0;
}
