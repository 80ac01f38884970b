// SPDX-License-Identifier: Apache-2.0
//
// runtime.MemStats of a running program.

#include "process/gostats.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "process/http.h"

enum { OH_GOSTATS_TIMEOUT_S = 5 };

// The number of "# Name = 1" or, with second, of "# Name = 1 / 2".
static bool find(const char *text, const char *name, bool second, uint64_t *value)
{
    const size_t length = strlen(name);
    for (const char *at = strstr(text, "\n# "); at != NULL; at = strstr(at + 1, "\n# ")) {
        const char *const word = at + 3;
        if (strncmp(word, name, length) != 0 || strncmp(word + length, " = ", 3) != 0) {
            continue;
        }
        char *end = NULL;
        *value = strtoull(word + length + 3, &end, 10);
        if (second && strncmp(end, " / ", 3) == 0) {
            *value = strtoull(end + 3, NULL, 10);
        }
        return true;
    }
    return false;
}

int oh_gostats_parse(const char *text, struct oh_gostats *stats)
{
    static const char *const metadata[] = {"MSpan", "MCache", "BuckHashSys", "GCSys", "OtherSys"};
    struct oh_gostats found = {0};
    if (!find(text, "Sys", false, &found.sys) || !find(text, "HeapSys", false, &found.heap_sys) ||
        !find(text, "HeapReleased", false, &found.heap_released)) {
        return -EINVAL;
    }
    (void)find(text, "HeapAlloc", false, &found.heap_alloc);
    (void)find(text, "HeapIdle", false, &found.heap_idle);
    (void)find(text, "HeapInuse", false, &found.heap_inuse);
    (void)find(text, "Stack", true, &found.stack_sys);
    (void)find(text, "NextGC", false, &found.next_gc);
    for (size_t i = 0; i < sizeof metadata / sizeof metadata[0]; i++) {
        uint64_t value = 0;
        (void)find(text, metadata[i], true, &value);
        found.metadata += value;
    }
    *stats = found;
    return 0;
}

int oh_gostats_fetch(const char *url, struct oh_gostats *stats, struct oh_err *err)
{
    const char *const host = strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    const char *const path = host != NULL ? strchr(host, '/') : NULL;
    const bool is_whole = host == NULL || (path != NULL && path[1] != '\0');
    char *const whole =
        is_whole ? strdup(url)
                 : oh_str_printf("%s%sdebug/pprof/heap?debug=1", url, path != NULL ? "" : "/");
    char *body = NULL;
    if (whole == NULL) {
        return oh_err_no_memory(err);
    }
    int result = oh_http_get(whole, OH_GOSTATS_TIMEOUT_S, &body, err);
    if (result == 0 && oh_gostats_parse(body, stats) < 0) {
        result = oh_err_set(err, -EINVAL,
                            "%s: the answer has no runtime.MemStats\ntry: the address of "
                            "net/http/pprof, as in http://localhost:6060, or with "
                            "/debug/pprof/heap?debug=1",
                            whole);
    }
    free(body);
    free(whole);
    return result;
}

uint64_t oh_gostats_held(const struct oh_gostats *stats)
{
    return stats->sys > stats->heap_released ? stats->sys - stats->heap_released : 0;
}
