// SPDX-License-Identifier: Apache-2.0
//
// What makes the numbers of a recording less than complete, in words.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "reader/reader.h"

static const char *const off_texts[] = {
#define OH_OFF_REASON(id, text) text,
#include "offheap/offreasons.def"
#undef OH_OFF_REASON
};

static const char *const counter_texts[] = {
#define OH_COUNTER(id, text) text,
#include "offheap/counters.def"
#undef OH_COUNTER
};

static const char *ongoing_text(enum oh_owner owner, const char *alive)
{
    switch (owner) {
    case OH_OWNER_ALIVE: return alive;
    case OH_OWNER_REPLACED: return "replaced by exec";
    default: return "killed";
    }
}

int oh_reader_describe_state(const struct oh_format_header *header, enum oh_owner owner, char *out,
                             size_t size)
{
    int len = 0;
    switch (header->state) {
    case OH_STATE_STARTING: len = snprintf(out, size, "%s", ongoing_text(owner, "starting")); break;
    case OH_STATE_RECORDING:
        len = snprintf(out, size, "%s", ongoing_text(owner, "recording"));
        break;
    case OH_STATE_ENDED: len = snprintf(out, size, "ended"); break;
    case OH_STATE_OFF:
        len = snprintf(out, size, "off: %s%s%s%s",
                       header->off_reason < OH_OFF_REASON_COUNT ? off_texts[header->off_reason]
                                                                : "a reason of a newer version",
                       header->off_errno != 0 ? " (" : "",
                       header->off_errno != 0 ? strerror((int)header->off_errno) : "",
                       header->off_errno != 0 ? ")" : "");
        break;
    default: len = snprintf(out, size, "state %" PRIu32, header->state); break;
    }
    return len < 0 ? -EINVAL : 0;
}

// Counters that tell of calls the numbers do not hold; the others only explain.
static bool counter_is_a_loss(int counter)
{
    return counter != OH_COUNTER_nested_calls && counter != OH_COUNTER_early_calls;
}

int oh_reader_collect_warnings(const struct oh_reader *reader, struct oh_list *warnings)
{
    const struct oh_format_header *const header = reader->view.header;
    int result = 0;
    if (header->state == OH_STATE_OFF) {
        char state[256];
        (void)oh_reader_describe_state(header, OH_OWNER_GONE, state, sizeof state);
        result =
            oh_list_add(warnings, "the recording ends early, recording was switched %s", state);
    }
    for (int i = 0; i < OH_COUNTER_COUNT && result == 0; i++) {
        const uint64_t count = oh_view_counter(&reader->view, i);
        if (count != 0 && counter_is_a_loss(i)) {
            result = oh_list_add(warnings, "%" PRIu64 " %s", count, counter_texts[i]);
        }
    }
    for (size_t i = 0; i < OH_FORMAT_NOTES && result == 0; i++) {
        size_t length = 0;
        const char *const note = oh_view_text(&reader->view, header->notes[i], &length);
        if (length != 0) {
            result = oh_list_add(warnings, "%s", note);
        }
    }
    if (result == 0 && reader->view.damaged != 0) {
        result = oh_list_add(warnings, "%" PRIu64 " damaged entries of the recording were left out",
                             reader->view.damaged);
    }
    return result;
}
