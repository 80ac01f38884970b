// SPDX-License-Identifier: Apache-2.0
//
// The table of commands, and what is done with the first word.

#include <string.h>

#include "cli/cli.h"

typedef const struct oh_cli_command *oh_cli_entry_fn(void);

static oh_cli_entry_fn *const entries[] = {
    oh_cmd_run,  oh_cmd_export, oh_cmd_report,  oh_cmd_memory,
    oh_cmd_list, oh_cmd_help,   oh_cmd_version,
};

const struct oh_cli_command *oh_cli_command_at(size_t i)
{
    return i < sizeof entries / sizeof entries[0] ? entries[i]() : NULL;
}

const struct oh_cli_command *oh_cli_find_command(const char *name)
{
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        if (strcmp(oh_cli_command_at(i)->name, name) == 0) {
            return oh_cli_command_at(i);
        }
    }
    return NULL;
}

int oh_cli_main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (word[0] == '\0') {
        oh_cli_note("no command is given\ntry: offheap help");
        return OH_EXIT_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        word = "help";
    } else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        word = "version";
    }
    const struct oh_cli_command *const command = oh_cli_find_command(word);
    if (command == NULL) {
        oh_cli_note("unknown %s %s\ntry: offheap help", word[0] == '-' ? "option" : "command",
                    word);
        return OH_EXIT_USAGE;
    }
    const int status = command->run(command, argc - 1, argv + 1);
    if (fflush(stdout) != 0 && status == OH_EXIT_OK) {
        oh_cli_note("the output could not be written");
        return OH_EXIT_FAILED;
    }
    return status;
}
