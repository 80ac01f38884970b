// SPDX-License-Identifier: Apache-2.0
//
// The command's files and C names for preload/profile/symbols.h.

#include "pprof/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"
#include "symbol/csym.h"
#include "symbol/find.h"

// What was found for one module, linked for the end.
struct oh_source_module {
    struct oh_source_module *next;
    struct oh_find_result files;
    struct oh_csym *csym;
    bool csym_tried;
};

struct oh_source {
    struct oh_symbol_source ops;
    struct oh_find *find;
    struct oh_source_module *modules;
    pid_t pid;
};

struct oh_map_search {
    const struct oh_symbol_module *module;
    uint64_t start;
    uint64_t end;
};

static int match_module_map(void *arg, const struct oh_proc_map *map)
{
    struct oh_map_search *const search = arg;
    const struct oh_format_module *const raw = &search->module->raw;
    if (map->inode == 0 || map->start < raw->start || map->end > raw->end ||
        strcmp(map->path, search->module->path) != 0) {
        return 0;
    }
    search->start = map->start;
    search->end = map->end;
    return 1;
}

// The file of a module that its process still runs although its name is gone or names another
// file: the kernel's own link to it. NULL when there is none that we may open.
static char *find_running_file(const struct oh_source *source,
                               const struct oh_symbol_module *module)
{
    if (source->pid == 0 || module->raw.last_epoch != UINT64_MAX) {
        return NULL;
    }
    struct oh_map_search search = {.module = module};
    if (oh_proc_each_map(source->pid, match_module_map, &search) != 1) {
        return NULL;
    }
    char *path = NULL;
    if ((module->raw.flags & OH_MODULE_MAIN) != 0) {
        path = oh_str_printf("/proc/%d/exe", (int)source->pid);
    } else {
        path = oh_str_printf("/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)source->pid,
                             search.start, search.end);
    }
    struct stat info;
    if (path != NULL && stat(path, &info) == 0 && access(path, R_OK) == 0 &&
        (module->raw.file_inode == 0 || module->raw.file_inode == (uint64_t)info.st_ino)) {
        return path;
    }
    free(path);
    return NULL;
}

static struct oh_source_module *get_module(struct oh_source *source,
                                           struct oh_symbol_module *module)
{
    if (module->source_data != NULL) {
        return module->source_data;
    }
    struct oh_source_module *const made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    const struct oh_find_module wanted = {
        .path = module->path,
        .build_id = module->raw.build_id,
        .build_id_len = module->raw.build_id_kind == OH_ID_NONE ? 0 : module->raw.build_id_bytes,
        .size = module->raw.file_bytes,
        .inode = module->raw.file_inode,
        .mtime_ns = module->raw.file_mtime_ns,
    };
    if (oh_find_module(source->find, &wanted, &made->files, NULL) < 0) {
        free(made);
        return NULL;
    }
    if (made->files.verdict != OH_FIND_OK) {
        made->files.binary = find_running_file(source, module);
        if (made->files.binary != NULL) {
            made->files.verdict = OH_FIND_OK;
        }
    }
    made->next = source->modules;
    source->modules = made;
    module->source_data = made;
    return made;
}

static enum oh_symbol_verdict verdict_of(const struct oh_source_module *found)
{
    switch (found->files.verdict) {
    case OH_FIND_OK:
        return access(found->files.binary, R_OK) == 0 ? OH_VERDICT_OK : OH_VERDICT_UNREADABLE;
    case OH_FIND_REPLACED: return OH_VERDICT_REPLACED;
    case OH_FIND_MISSING:
    case OH_FIND_VERDICT_COUNT: break;
    }
    return OH_VERDICT_MISSING;
}

static const char *find_file(void *self, struct oh_symbol_module *module,
                             enum oh_symbol_verdict *verdict)
{
    const struct oh_source_module *const found = get_module(self, module);
    if (found == NULL) {
        *verdict = OH_VERDICT_UNREADABLE;
        return NULL;
    }
    *verdict = verdict_of(found);
    return *verdict == OH_VERDICT_OK ? found->files.binary : NULL;
}

struct oh_emit {
    oh_symbol_emit_fn *emit;
    void *arg;
};

static int emit_c_frame(void *arg, const struct oh_csym_frame *frame)
{
    const struct oh_emit *const to = arg;
    const char *const system_name = frame->system_name != NULL ? frame->system_name : frame->name;
    const struct oh_symbol_frame out = {
        .name = frame->name,
        .system_name = system_name,
        .file = frame->file,
        .name_len = strlen(frame->name),
        .system_name_len = strlen(system_name),
        .file_len = frame->file != NULL ? strlen(frame->file) : 0,
        .line = frame->line,
        .flags = frame->is_inlined ? OH_FRAME_INLINED : 0,
    };
    return to->emit(to->arg, &out);
}

static int c_frames(void *self, struct oh_symbol_module *module, uint64_t address,
                    oh_symbol_emit_fn *emit, void *arg)
{
    struct oh_source_module *const found = get_module(self, module);
    if (found == NULL || (found->files.binary == NULL && found->files.debug == NULL)) {
        return 0;
    }
    if (!found->csym_tried) {
        found->csym_tried = true;
        struct oh_csym *csym = NULL;
        if (oh_csym_create(found->files.binary, found->files.debug, oh_symbols_go_span(module),
                           &csym, NULL) == 0) {
            found->csym = csym;
        }
    }
    if (found->csym == NULL) {
        return 0;
    }
    struct oh_emit to = {.emit = emit, .arg = arg};
    return oh_csym_frames(found->csym, address, emit_c_frame, &to);
}

// A process sees its own files; ours may be others when it runs in a container.
static char *root_of(pid_t pid)
{
    return pid == 0 ? NULL : oh_str_printf("/proc/%d/root", (int)pid);
}

int oh_source_create(const char *const *dirs, size_t dir_count, pid_t pid,
                     struct oh_source **source, struct oh_err *err)
{
    struct oh_source *const made = calloc(1, sizeof *made);
    if (made == NULL) {
        return oh_err_no_memory(err);
    }
    char *const root = root_of(pid);
    const int result = oh_find_create(dirs, dir_count, root, &made->find, err);
    free(root);
    if (result < 0) {
        free(made);
        return result;
    }
    made->pid = pid;
    made->ops = (struct oh_symbol_source){
        .self = made, .find_file = find_file, .c_frames = c_frames, .asks_without_file = true};
    *source = made;
    return 0;
}

const struct oh_symbol_source *oh_source_ops(const struct oh_source *source)
{
    return &source->ops;
}

void oh_source_destroy(struct oh_source *source)
{
    if (source == NULL) {
        return;
    }
    while (source->modules != NULL) {
        struct oh_source_module *const module = source->modules;
        source->modules = module->next;
        oh_find_result_fini(&module->files);
        if (module->csym != NULL) {
            oh_csym_destroy(module->csym);
        }
        free(module);
    }
    oh_find_destroy(source->find);
    free(source);
}
