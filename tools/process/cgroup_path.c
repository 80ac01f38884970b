// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/cgroup names a group relative to the root of its hierarchy, as seen from our cgroup
// namespace; a mount shows a part of the hierarchy, from the group that is the mount's root. So
// the files lie at the mount point, plus what the name has behind that root.

#include "process/cgroup_path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

enum { OH_CGROUP_FILE_MAX = 16 << 20 };

// The group's names of both kinds; NULL where there is none.
struct oh_cgroup_names {
    char *legacy;  // With the controller "memory".
    char *unified; // The line "0::".
};

static bool has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; *at != '\0'; at += strspn(at, ",")) {
        const size_t span = strcspn(at, ",");
        if (span == length && strncmp(at, word, span) == 0) {
            return true;
        }
        at += span;
    }
    return false;
}

// "hierarchy:controllers:name"; the name may hold colons.
static int parse_names(char *text, struct oh_cgroup_names *names)
{
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        char *const controllers = strchr(line, ':');
        char *const name = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (name == NULL) {
            continue;
        }
        *name = '\0';
        char **const taken = controllers[1] == '\0'                ? &names->unified
                             : has_word(controllers + 1, "memory") ? &names->legacy
                                                                   : NULL;
        if (taken != NULL && *taken == NULL) {
            *taken = strdup(name + 1);
            if (*taken == NULL) {
                return -ENOMEM;
            }
        }
    }
    return 0;
}

static void names_fini(struct oh_cgroup_names *names)
{
    free(names->legacy);
    free(names->unified);
}

static int read_names(const char *root, pid_t pid, struct oh_cgroup_names *names)
{
    char *const path = oh_str_printf("%s/proc/%d/cgroup", root, (int)pid);
    char *text = NULL;
    size_t length = 0;
    if (path == NULL) {
        return -ENOMEM;
    }
    int result = oh_file_read(path, OH_CGROUP_FILE_MAX, &text, &length);
    free(path);
    if (result < 0) {
        return result == -ENOENT ? -ESRCH : result;
    }
    result = parse_names(text, names);
    free(text);
    return result;
}

// Blanks and such are \ooo in mountinfo. In place.
static void unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; to++) {
        const bool is_escape = at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' &&
                               at[2] <= '7' && at[3] >= '0' && at[3] <= '7';
        *to = is_escape ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0')) : *at;
        at += is_escape ? 4 : 1;
    }
    *to = '\0';
}

struct oh_cgroup_mount {
    char *root;
    char *point;
};

// "id parent major:minor root point options [fields] - type source options": whether the line is a
// mount of the wanted kind.
static bool parse_mount(char *line, int version, struct oh_cgroup_mount *mount)
{
    char *const dash = strstr(line, " - ");
    if (dash == NULL) {
        return false;
    }
    char *words[3] = {dash + 3};
    for (size_t i = 1; i < 3; i++) {
        words[i] = words[i - 1] != NULL ? strchr(words[i - 1], ' ') : NULL;
        if (words[i] != NULL) {
            *words[i]++ = '\0';
        }
    }
    const bool is_wanted = version == 2 ? strcmp(words[0], "cgroup2") == 0
                                        : strcmp(words[0], "cgroup") == 0 && words[2] != NULL &&
                                              has_word(words[2], "memory");
    char *rest = line;
    for (int i = 0; i < 3; i++) {
        (void)strsep(&rest, " ");
    }
    mount->root = rest != NULL ? strsep(&rest, " ") : NULL;
    mount->point = rest != NULL ? strsep(&rest, " ") : NULL;
    if (!is_wanted || mount->point == NULL) {
        return false;
    }
    unescape(mount->root);
    unescape(mount->point);
    return true;
}

// What of the group's name lies below the mount's root; NULL: the group is not in this mount. Both
// are relative to our cgroup namespace. What lies above or beside it has "/.." in it: a step up that
// the mount's root has not made leads to a group whose name is not known.
static const char *below(const char *name, const char *mount_root)
{
    const size_t length = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
    if (strncmp(name, mount_root, length) != 0 || (name[length] != '/' && name[length] != '\0') ||
        strstr(name + length, "/..") != NULL) {
        return NULL;
    }
    return strcmp(name + length, "/") == 0 ? "" : name + length;
}

static bool has_files(const char *directory, int version)
{
    char *const file =
        oh_path_join(directory, version == 2 ? "memory.current" : "memory.usage_in_bytes");
    const bool is_there = file != NULL && access(file, F_OK) == 0;
    free(file);
    return is_there;
}

// The directory of the group in one mount; view stands before the mount point.
static int try_mount(const char *view, const struct oh_cgroup_mount *mount, const char *name,
                     struct oh_cgroup_path *found)
{
    const char *const rest = below(name, mount->root);
    if (rest == NULL) {
        return -ENOENT;
    }
    char *const directory = oh_str_printf("%s%s%s", view, mount->point, rest);
    if (directory == NULL) {
        return -ENOMEM;
    }
    if (!has_files(directory, found->version)) {
        free(directory);
        return -ENOENT;
    }
    found->directory = directory;
    found->top = strlen(view) + strlen(mount->point);
    return 0;
}

// view: what the mount points of this mountinfo are below.
static int try_mounts(const char *mountinfo, const char *view, const char *name,
                      struct oh_cgroup_path *found)
{
    char *text = NULL;
    size_t length = 0;
    int result = oh_file_read(mountinfo, OH_CGROUP_FILE_MAX, &text, &length);
    if (result < 0) {
        return result == -ENOMEM ? result : -ENOENT;
    }
    result = -ENOENT;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && result == -ENOENT;
         line = strsep(&rest, "\n")) {
        struct oh_cgroup_mount mount;
        if (parse_mount(line, found->version, &mount)) {
            result = try_mount(view, &mount, name, found);
        }
    }
    free(text);
    return result;
}

// Our own mounts show a group's files unless we stand in another container than it.
static int find_directory(const char *root, pid_t pid, const char *name,
                          struct oh_cgroup_path *found)
{
    char *const ours = oh_str_printf("%s/proc/self/mountinfo", root);
    char *const theirs = oh_str_printf("%s/proc/%d/mountinfo", root, (int)pid);
    char *const view = oh_str_printf("%s/proc/%d/root", root, (int)pid);
    int result = -ENOMEM;
    if (ours != NULL && theirs != NULL && view != NULL) {
        result = try_mounts(ours, root, name, found);
        if (result == -ENOENT) {
            result = try_mounts(theirs, view, name, found);
        }
    }
    free(ours);
    free(theirs);
    free(view);
    return result;
}

static int find_version(const char *root, pid_t pid, int version, const char *name,
                        struct oh_cgroup_path *found)
{
    *found = (struct oh_cgroup_path){.version = version};
    const int result = find_directory(root, pid, name, found);
    if (result < 0) {
        return result;
    }
    found->name = strdup(name);
    if (found->name == NULL) {
        oh_cgroup_path_fini(found);
        return -ENOMEM;
    }
    return 0;
}

int oh_cgroup_find(const char *root, pid_t pid, struct oh_cgroup_path *found, char *reason,
                   size_t reason_size)
{
    struct oh_cgroup_names names = {0};
    int result = read_names(root, pid, &names);
    if (result == 0) {
        result = -ENOENT;
        if (names.legacy != NULL) {
            result = find_version(root, pid, 1, names.legacy, found);
        }
        if (result == -ENOENT && names.unified != NULL) {
            result = find_version(root, pid, 2, names.unified, found);
        }
    }
    if (result == -ENOENT) {
        const char *const name = names.legacy != NULL ? names.legacy : names.unified;
        if (name == NULL) {
            (void)snprintf(reason, reason_size, "the kernel has no control groups");
        } else if (names.legacy == NULL && strcmp(name, "/") == 0) {
            (void)snprintf(reason, reason_size,
                           "the process is in the root group, which counts no memory");
        } else {
            (void)snprintf(reason, reason_size,
                           "no files of the memory controller for the group %s: it is gone, the "
                           "controller is off, or its mount cannot be seen from here",
                           name);
        }
    }
    names_fini(&names);
    return result;
}

void oh_cgroup_path_fini(struct oh_cgroup_path *path)
{
    free(path->name);
    free(path->directory);
    *path = (struct oh_cgroup_path){0};
}
