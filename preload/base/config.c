// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <string.h>

#include "base/text.h"
#include "offheap/bytes.h"
#include "offheap/percent.h"

enum {
    PROFILE_NAME_BYTES = 15,  // "OFFHEAP_PROFILE"
    PROFILE_STABLE_BYTES = 9, // "OFFHEAP_P": what a claim leaves of it.
};

static const uint64_t default_sample_bytes = UINT64_C(512) << 10;
static const uint64_t default_max_bytes = UINT64_C(128) << 20;
static const uint32_t default_max_depth = 128;

// Indices into the table of values, and the names to look for: both from env.def.
enum variable {
#define OH_ENV(id, name, fallback, meaning) VARIABLE_##id,
#include "offheap/env.def"
#undef OH_ENV
    VARIABLE_COUNT
};

static const char *const variable_names[VARIABLE_COUNT] = {
#define OH_ENV(id, name, fallback, meaning) name,
#include "offheap/env.def"
#undef OH_ENV
};

static const char *value_of(const char *entry, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0 || entry[length] != '=')
        return NULL;
    return entry + length + 1;
}

static void note_bad_value(struct oh_config *config, enum variable variable, const char *value,
                           const char *expected)
{
    enum { SHOWN_BYTES = 60 };
    if (config->note_count == OH_CONFIG_NOTES)
        return;
    struct oh_text text;
    oh_text_init(&text, config->notes[config->note_count++], OH_CONFIG_NOTE_BYTES);
    oh_text_add(&text, variable_names[variable]);
    oh_text_add(&text, "=");
    oh_text_add_bytes(&text, value, strnlen(value, SHOWN_BYTES));
    oh_text_add(&text, " is not ");
    oh_text_add(&text, expected);
    oh_text_add(&text, ": the default was used");
}

static bool read_switch(struct oh_config *config, enum variable variable, const char *value)
{
    if (value == NULL || *value == '\0' || strcmp(value, "0") == 0)
        return false;
    if (strcmp(value, "1") != 0)
        note_bad_value(config, variable, value, "0 or 1");
    return strcmp(value, "1") == 0;
}

static void note_bad_number(struct oh_config *config, enum variable variable, const char *value,
                            const char *kind, uint64_t min, uint64_t max)
{
    char expected[120];
    struct oh_text text;
    oh_text_init(&text, expected, sizeof expected);
    oh_text_add(&text, "a number ");
    oh_text_add(&text, kind);
    oh_text_add(&text, "from ");
    oh_text_add_u64(&text, min);
    oh_text_add(&text, " to ");
    oh_text_add_u64(&text, max);
    note_bad_value(config, variable, value, expected);
}

static uint64_t read_number(struct oh_config *config, enum variable variable, const char *value,
                            uint64_t min, uint64_t max, uint64_t fallback)
{
    uint64_t number;
    if (value == NULL || *value == '\0')
        return fallback;
    if (oh_text_parse_u64(value, &number) && number >= min && number <= max)
        return number;
    note_bad_number(config, variable, value, "", min, max);
    return fallback;
}

static uint64_t read_bytes(struct oh_config *config, enum variable variable, const char *value,
                           uint64_t min, uint64_t max, uint64_t fallback)
{
    uint64_t bytes;
    if (value == NULL || *value == '\0')
        return fallback;
    if (oh_bytes_parse(value, &bytes) == 0 && bytes >= min && bytes <= max)
        return bytes;
    note_bad_number(config, variable, value, "of bytes (K, M and G are understood) ", min, max);
    return fallback;
}

// A budget is a share of the time of samples, which exact mode does not take.
static uint32_t read_budget(struct oh_config *config, const char *value)
{
    uint32_t ppm;
    if (value == NULL || *value == '\0')
        return 0;
    if (!oh_percent_parse(value, &ppm) || ppm < OH_PERCENT_LEAST_PPM || ppm > OH_PERCENT_MOST_PPM) {
        note_bad_value(config, VARIABLE_max_overhead, value, "a share from 0.01% to 50%");
        return 0;
    }
    if (config->exact && config->note_count < OH_CONFIG_NOTES) {
        struct oh_text text;
        oh_text_init(&text, config->notes[config->note_count++], OH_CONFIG_NOTE_BYTES);
        oh_text_add(&text, "OFFHEAP_MAX_OVERHEAD was not used: OFFHEAP_EXACT=1 records every "
                           "allocation, and has no mean that could be raised");
    }
    return config->exact ? 0 : ppm;
}

static const char *read_path(struct oh_config *config, enum variable variable, const char *value)
{
    enum { LONGEST = 3000 }; // Leaves room for a file's name below PATH_MAX.
    if (value == NULL || *value == '\0')
        return NULL;
    if (strnlen(value, LONGEST + 1) <= LONGEST)
        return value;
    note_bad_value(config, variable, value, "shorter than 3000 bytes");
    return NULL;
}

static bool is_profile_entry(const char *entry)
{
    return strncmp(entry, variable_names[VARIABLE_profile], PROFILE_STABLE_BYTES) == 0 &&
           strnlen(entry, PROFILE_NAME_BYTES + 1) > PROFILE_NAME_BYTES &&
           entry[PROFILE_NAME_BYTES] == '=' && memchr(entry, '=', PROFILE_NAME_BYTES) == NULL;
}

// A name that the user gave counts more than one that a parent's claim left behind.
static bool is_given_profile(const char *entry)
{
    return value_of(entry, variable_names[VARIABLE_profile]) != NULL;
}

static void find_values(struct oh_config *config, char **environment,
                        const char *values[VARIABLE_COUNT])
{
    for (char **entry = environment; entry != NULL && *entry != NULL; entry++) {
        const char *tmp = value_of(*entry, "TMPDIR");
        if (tmp != NULL && *tmp == '/')
            config->tmp_dir = tmp;
        if (strncmp(*entry, "OFFHEAP_", 8) != 0)
            continue;
        if (is_profile_entry(*entry) && (config->profile_entry == NULL || is_given_profile(*entry)))
            config->profile_entry = *entry;
        for (int i = 0; i < VARIABLE_COUNT; i++) {
            const char *value = value_of(*entry, variable_names[i]);
            if (value != NULL)
                values[i] = value;
        }
    }
}

void oh_config_read(struct oh_config *config, char **environment)
{
    const char *values[VARIABLE_COUNT] = {NULL};
    memset(config, 0, sizeof *config);
    find_values(config, environment, values);
    config->disabled = read_switch(config, VARIABLE_disable, values[VARIABLE_disable]);
    config->exact = read_switch(config, VARIABLE_exact, values[VARIABLE_exact]);
    config->timeline =
        read_number(config, VARIABLE_timeline, values[VARIABLE_timeline], 0, 1, 1) != 0;
    config->sample_bytes = read_bytes(config, VARIABLE_sample_bytes, values[VARIABLE_sample_bytes],
                                      1, UINT64_C(1) << 30, default_sample_bytes);
    config->max_overhead_ppm = read_budget(config, values[VARIABLE_max_overhead]);
    config->max_bytes = read_bytes(config, VARIABLE_max_bytes, values[VARIABLE_max_bytes],
                                   UINT64_C(2) << 20, UINT64_C(64) << 30, default_max_bytes);
    config->max_depth = (uint32_t)read_number(
        config, VARIABLE_max_depth, values[VARIABLE_max_depth], 8, 512, default_max_depth);
    config->run_token =
        read_number(config, VARIABLE_run_token, values[VARIABLE_run_token], 0, UINT64_MAX, 0);
    config->dir = read_path(config, VARIABLE_dir, values[VARIABLE_dir]);
    if (config->dir != NULL && config->dir[0] != '/') {
        note_bad_value(config, VARIABLE_dir, config->dir, "an absolute path");
        config->dir = NULL;
    }
}
