// SPDX-License-Identifier: Apache-2.0
#include "support/scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void oh_scratch_make(char path[OH_SCRATCH_BYTES], const char *parent)
{
    (void)snprintf(path, OH_SCRATCH_BYTES, "%s/oh-test-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

void oh_scratch_remove(const char *path)
{
    enum { OPEN_DIRECTORIES = 8 };
    (void)nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void oh_scratch_run(oh_child_fn *fn)
{
    char path[OH_SCRATCH_BYTES];
    oh_scratch_make(path, NULL);
    int status = oh_child_run(fn, path);
    oh_scratch_remove(path);
    oh_child_judge(status);
}

int oh_scratch_list(const char *path, char *found)
{
    DIR *dir = opendir(path);
    int count = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(found, OH_SCRATCH_BYTES, "%.120s/%.120s", path, entry->d_name);
        count++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}
