// SPDX-License-Identifier: Apache-2.0
//
// offheap help, offheap version.

#include "cli/cli.h"
#include "offheap/format.h"

static const struct oh_cli_option no_options[] = {{0}};

static void print_overview(void)
{
    (void)puts("usage: offheap COMMAND [OPTIONS] ...\n\n"
               "Shows the memory that C code holds in a program, by the call paths that hold it,\n"
               "through C and Go.\n");
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        (void)printf("  %-9s %s\n", oh_cli_command_at(i)->name, oh_cli_command_at(i)->help);
    }
    (void)puts("\nBegin with:  offheap run -- PROGRAM\n"
               "More:        offheap help COMMAND, man offheap");
}

static int run_help(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_cli_parse parse = {.command = command, .argc = argc, .argv = argv};
    const char *value = NULL;
    if (oh_cli_next(&parse, &value) < 0) {
        return parse.status;
    }
    if (parse.first == argc) {
        print_overview();
        return OH_EXIT_OK;
    }
    const struct oh_cli_command *const about = oh_cli_find_command(argv[parse.first]);
    if (about == NULL) {
        return oh_cli_usage(command, "unknown command %s", argv[parse.first]);
    }
    oh_cli_print_help(about, stdout);
    return OH_EXIT_OK;
}

static int run_version(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_cli_parse parse = {.command = command, .argc = argc, .argv = argv};
    const char *value = NULL;
    if (oh_cli_next(&parse, &value) < 0) {
        return parse.status;
    }
    (void)printf("offheap %s (recording format %d.%d)\n", OFFHEAP_VERSION, OH_FORMAT_MAJOR,
                 OH_FORMAT_MINOR);
    return OH_EXIT_OK;
}

static const struct oh_cli_command help_command = {
    .name = "help",
    .help = "Explain a command, or list them all",
    .synopsis = "[COMMAND]",
    .page = "offheap",
    .options = no_options,
    .run = run_help,
};

static const struct oh_cli_command version_command = {
    .name = "version",
    .help = "Print the version of the command and of the recordings it reads",
    .synopsis = "",
    .page = "offheap",
    .options = no_options,
    .run = run_version,
};

const struct oh_cli_command *oh_cmd_help(void)
{
    return &help_command;
}

const struct oh_cli_command *oh_cmd_version(void)
{
    return &version_command;
}
