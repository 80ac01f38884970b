// SPDX-License-Identifier: Apache-2.0
#include "base/usage.h"

#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/sys.h"
#include "base/text.h"

enum {
    LINES = 4096, // Of the list of mounts.
    FIELD_ROOT = 3,
    FIELD_POINT = 4,
    PATH_TEXT = OH_USAGE_PATH_BYTES,
    DEFAULT_PAGE = 4096,
};

void oh_usage_init(struct oh_usage_source *source, const char *root)
{
    source->root = root;
    source->charge[0] = '\0';
}

static long open_below(const char *root, const char *path)
{
    char full[PATH_TEXT];
    struct oh_text text;
    oh_text_init(&text, full, sizeof full);
    oh_text_add(&text, root);
    oh_text_add(&text, path);
    return text.cut ? -1 : oh_sys_open(full, O_RDONLY, 0);
}

// --- Lines of a file, as long as they fit into the buffer

struct lines {
    int fd;
    off_t offset; // In the file, of what comes into the buffer next.
    char *buffer;
    size_t used;  // Bytes in it,
    size_t taken; // and those that were given out.
    bool ended;
};

// The next line, NUL-terminated; NULL at the end. Of a longer one than the buffer the rest is a
// line of its own, which nobody takes for what he looks for.
static char *next_line(struct lines *lines)
{
    for (;;) {
        char *line = lines->buffer + lines->taken;
        char *end = memchr(line, '\n', lines->used - lines->taken);
        bool full = lines->taken == 0 && lines->used == OH_USAGE_BUFFER_BYTES - 1;
        if (end != NULL || ((lines->ended || full) && lines->used > lines->taken)) {
            end = end != NULL ? end : lines->buffer + lines->used;
            *end = '\0';
            lines->taken = (size_t)(end - lines->buffer) + 1;
            if (lines->taken > lines->used)
                lines->taken = lines->used;
            return line;
        }
        if (lines->ended)
            return NULL;
        memmove(lines->buffer, line, lines->used - lines->taken);
        lines->used -= lines->taken;
        lines->taken = 0;
        long got = oh_sys_pread(lines->fd, lines->buffer + lines->used,
                                OH_USAGE_BUFFER_BYTES - 1 - lines->used, lines->offset);
        lines->ended = got <= 0;
        lines->used += got > 0 ? (size_t)got : 0;
        lines->offset += got > 0 ? got : 0;
    }
}

// Ends the field that begins at `at` with a NUL; the beginning of the next one.
static char *cut_field(char *at, char separator)
{
    char *end = strchr(at, separator);
    if (end == NULL)
        return at + strlen(at);
    *end = '\0';
    return end + 1;
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; *at != '\0';) {
        const char *end = strchr(at, ',');
        size_t found = end != NULL ? (size_t)(end - at) : strlen(at);
        if (found == length && memcmp(at, word, length) == 0)
            return true;
        at += found + (end != NULL ? 1 : 0);
    }
    return false;
}

// --- The control group

// The group's name below the mounted hierarchy, into source->group: the version, or 0.
static int find_group(struct oh_usage_source *source)
{
    int version = 0;
    long fd = open_below(source->root, "/proc/self/cgroup");
    if (fd < 0)
        return 0;
    struct lines lines = {.fd = (int)fd, .buffer = source->buffer};
    for (char *line = next_line(&lines); line != NULL && version != 1; line = next_line(&lines)) {
        char *controllers = cut_field(line, ':');
        char *name = cut_field(controllers, ':');
        int found = has_word(controllers, "memory") ? 1 : controllers[0] == '\0' ? 2 : 0;
        if (found == 0 || name[0] != '/' || strlen(name) >= sizeof source->group)
            continue;
        // Where both are there the controller is in one of them: v1 says so by its name.
        version = found;
        memcpy(source->group, name, strlen(name) + 1);
    }
    (void)oh_sys_close((int)fd);
    return version;
}

// The path of the group's file below a mount of the hierarchy's part `top`.
static bool make_path(struct oh_usage_source *source, int version, const char *top,
                      const char *point)
{
    struct oh_text text;
    size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
    const char *group = source->group;
    bool below =
        strncmp(group, top, length) == 0 && (group[length] == '/' || group[length] == '\0');
    oh_text_init(&text, source->charge, sizeof source->charge);
    oh_text_add(&text, point);
    // A group outside of what is mounted here: of a container, whose mount shows its own group.
    if (below && strcmp(group, "/") != 0)
        oh_text_add(&text, group + length);
    oh_text_add(&text, version == 2 ? "/memory.current" : "/memory.usage_in_bytes");
    if (text.cut)
        source->charge[0] = '\0';
    return !text.cut;
}

// A line of the list of mounts: "36 35 0:30 ROOT POINT options ... - TYPE source SUPER".
static bool try_mount(struct oh_usage_source *source, int version, char *line)
{
    char *tail = strstr(line, " - ");
    char *fields[FIELD_POINT + 1];
    if (tail == NULL)
        return false;
    *tail = '\0';
    for (int i = 0; i <= FIELD_POINT; i++) {
        fields[i] = line;
        line = cut_field(line, ' ');
    }
    char *type = tail + strlen(" - ");
    char *super = cut_field(cut_field(type, ' '), ' ');
    bool fits = version == 2 ? strcmp(type, "cgroup2") == 0
                             : strcmp(type, "cgroup") == 0 && has_word(super, "memory");
    return fits && make_path(source, version, fields[FIELD_ROOT], fields[FIELD_POINT]);
}

static void find_charge(struct oh_usage_source *source)
{
    source->charge[0] = '\0';
    int version = find_group(source);
    long fd = version != 0 ? open_below(source->root, "/proc/self/mountinfo") : -1;
    if (fd < 0)
        return;
    struct lines lines = {.fd = (int)fd, .buffer = source->buffer};
    for (int i = 0; i < LINES; i++) {
        char *line = next_line(&lines);
        if (line == NULL || try_mount(source, version, line))
            break;
    }
    (void)oh_sys_close((int)fd);
}

// --- Numbers

// The number that begins at the n-th field of a short file.
static uint64_t read_number(struct oh_usage_source *source, const char *path, int field)
{
    long fd = open_below(source->root, path);
    if (fd < 0)
        return OH_USAGE_ABSENT;
    long got = oh_sys_pread((int)fd, source->buffer, OH_USAGE_BUFFER_BYTES - 1, 0);
    (void)oh_sys_close((int)fd);
    if (got <= 0)
        return OH_USAGE_ABSENT;
    source->buffer[got] = '\0';
    char *at = source->buffer;
    for (int i = 0; i < field; i++)
        at = cut_field(at, ' ');
    uint64_t value = 0;
    char *next = at;
    for (; *next >= '0' && *next <= '9'; next++)
        value = value * 10 + (uint64_t)(*next - '0');
    return next != at ? value : OH_USAGE_ABSENT;
}

void oh_usage_read(struct oh_usage_source *source, bool look, struct oh_usage *usage)
{
    uint64_t page = getauxval(AT_PAGESZ);
    uint64_t pages = read_number(source, "/proc/self/statm", 1);
    if (look)
        find_charge(source);
    usage->resident_bytes =
        pages != OH_USAGE_ABSENT ? pages * (page != 0 ? page : DEFAULT_PAGE) : OH_USAGE_ABSENT;
    usage->cgroup_bytes =
        source->charge[0] != '\0' ? read_number(source, source->charge, 0) : OH_USAGE_ABSENT;
}
