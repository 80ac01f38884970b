// SPDX-License-Identifier: Apache-2.0
//
// The environment in which `offheap run` starts a program.

#include "cli/run_environment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"

static int set_number(const char *name, unsigned long long value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", value);
    return setenv(name, text, 1);
}

// The run writes the profiles: OFFHEAP_PROFILE of ours would have the library write others. A
// process that has it claims it by other letters behind "OFFHEAP_P" (preload/profile/outfile.h).
static void unset_profile(void)
{
    static const char stable[] = "OFFHEAP_P";
    static const size_t name_len = sizeof "OFFHEAP_PROFILE" - 1;
    for (char **entry = environ; *entry != NULL;) {
        if (strncmp(*entry, stable, sizeof stable - 1) == 0 && strcspn(*entry, "=") == name_len) {
            char name[sizeof "OFFHEAP_PROFILE"];
            memcpy(name, *entry, name_len);
            name[name_len] = '\0';
            (void)unsetenv(name);
            entry = environ;
        } else {
            entry++;
        }
    }
}

// Our own environment is the program's: we have no use for it any more, but for finding recordings,
// which is done with what was set here.
int oh_run_set_environment(const struct oh_run_options *o, const char *library, uint64_t token,
                           struct oh_err *err)
{
    const char *const others = getenv("LD_PRELOAD");
    char *const preload =
        oh_str_printf("%s%s%s%s%s", library, o->allocator != NULL ? ":" : "",
                      o->allocator != NULL ? o->allocator : "",
                      others != NULL && *others ? ":" : "", others != NULL ? others : "");
    int result = preload == NULL ? -1 : setenv("LD_PRELOAD", preload, 1);
    free(preload);
    result |= set_number("OFFHEAP_RUN_TOKEN", token);
    unset_profile();
    if (o->exact) {
        result |= setenv("OFFHEAP_EXACT", "1", 1);
        result |= unsetenv("OFFHEAP_MAX_OVERHEAD");
    }
    if (o->max_overhead != NULL) {
        result |= unsetenv("OFFHEAP_EXACT");
        result |= setenv("OFFHEAP_MAX_OVERHEAD", o->max_overhead, 1);
    }
    if (o->sample_bytes != 0) {
        result |= unsetenv("OFFHEAP_EXACT");
        result |= set_number("OFFHEAP_SAMPLE_BYTES", o->sample_bytes);
    }
    if (o->depth != 0) {
        result |= set_number("OFFHEAP_MAX_DEPTH", o->depth);
    }
    if (o->max_bytes != 0) {
        result |= set_number("OFFHEAP_MAX_BYTES", o->max_bytes);
    }
    return result == 0 ? 0 : oh_err_no_memory(err);
}

// The program's working directory may change, ours does not: the directory is named from the root.
int oh_run_set_dir(const char *dir, struct oh_err *err)
{
    char path[PATH_MAX];
    if (realpath(dir, path) == NULL) {
        return oh_err_set(err, -errno,
                          "there is no directory %s for recordings: %s\ntry: mkdir -p "
                          "%s",
                          dir, strerror(errno), dir);
    }
    return setenv("OFFHEAP_DIR", path, 1) == 0 ? 0 : oh_err_no_memory(err);
}

const char *oh_run_chosen_dir(void)
{
    const char *const dir = getenv("OFFHEAP_DIR");
    return dir != NULL && dir[0] != '\0' ? dir : NULL;
}

uint64_t oh_run_make_token(void)
{
    uint64_t token = 0;
    if (getrandom(&token, sizeof token, GRND_NONBLOCK) != (ssize_t)sizeof token) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        token = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
        token ^= (uint64_t)getpid() << 48;
    }
    return token != 0 ? token : 1;
}
