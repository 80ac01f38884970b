// SPDX-License-Identifier: Apache-2.0
//
// What several commands say and name alike.

#include "cli/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/path.h"
#include "cli/cli.h"

const char *oh_words_exe(const struct oh_view *view)
{
    size_t length = 0;
    const char *const base = oh_path_base(oh_view_text(view, view->header->exe, &length));
    return base[0] != '\0' ? base : "program";
}

char *oh_words_default_profile(const struct oh_reader *reader)
{
    const struct oh_view *const view = &reader->view;
    const unsigned pid = reader->pid != 0 ? (unsigned)reader->pid : view->header->pid;
    return oh_str_printf("offheap.%s.%u.pb.gz", oh_words_exe(view), pid);
}

char *oh_words_quote(const char *word)
{
    static const char *const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_-+=:,./@%^";
    if (word[0] != '\0' && word[0] != '-' && word[strspn(word, plain)] == '\0') {
        return strdup(word);
    }
    // The worst case: every character is a quote, written as '\''.
    char *const quoted = malloc(4 * strlen(word) + sizeof "./''");
    if (quoted == NULL) {
        return NULL;
    }
    char *at = stpcpy(quoted, word[0] == '-' ? "./'" : "'");
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            at = stpcpy(at, "'\\''");
        } else {
            *at++ = *word;
        }
    }
    (void)stpcpy(at, "'");
    return quoted;
}

char *oh_words_totals(const struct oh_profile *profile)
{
    if (profile->sample_count == 0) {
        return strdup(profile->period > 1
                          ? "empty: no allocation was sampled, --exact sees them all"
                          : "empty: no allocation was recorded");
    }
    double bytes = 0;
    double objects = 0;
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        const struct oh_profile_sample *const sample = &profile->samples[i];
        // Reservations are address space, and not memory.
        if (strcmp(oh_profile_text(profile, sample->labels[OH_LABEL_KIND]), "reserve") != 0) {
            bytes += (double)sample->values[OH_VALUE_INUSE_SPACE];
            objects += (double)sample->values[OH_VALUE_INUSE_OBJECTS];
        }
    }
    char size[OH_HUMAN_BYTES];
    char count[OH_HUMAN_BYTES];
    oh_human_format_bytes(bytes, size);
    oh_human_format_count(objects, count);
    return oh_str_printf("%s in use in %s object%s", size, count, objects == 1 ? "" : "s");
}

void oh_words_tell_profile(const char *path, const struct oh_profile *profile, size_t warning_count)
{
    char *const quoted = oh_words_quote(path);
    char *const totals = oh_words_totals(profile);
    char warnings[64] = "";
    if (warning_count > 0) {
        (void)snprintf(warnings, sizeof warnings, "; %zu warning%s, see offheap report",
                       warning_count, warning_count == 1 ? "" : "s");
    }
    oh_cli_note("%s (%s%s): go tool pprof -http=: %s", path, totals != NULL ? totals : "", warnings,
                quoted != NULL ? quoted : path);
    free(quoted);
    free(totals);
}

int oh_words_check_kinds(const struct oh_cli_command *command, const char *kinds)
{
    static const char *const known = "malloc,thread,mmap,reserve,shm,file";
    char word[sizeof "reserve"];
    for (const char *at = kinds;; at++) {
        const size_t len = strcspn(at, ",");
        const size_t kept = len < sizeof word - 1 ? len : sizeof word - 1;
        memcpy(word, at, kept);
        word[kept] = '\0';
        if (len != kept || !oh_str_in_list(known, word)) {
            (void)oh_cli_usage(command,
                               "--kind %s: it must be a list of malloc, thread, mmap, reserve, "
                               "shm and file, with commas between them",
                               kinds);
            return -1;
        }
        at += len;
        if (*at == '\0') {
            return 0;
        }
    }
}
