// SPDX-License-Identifier: Apache-2.0
//
// The program.

#include <signal.h>

#include "cli/cli.h"

static void take_no_notice(int signal)
{
    (void)signal;
}

int main(int argc, char **argv)
{
    // A file that may not become so large is an error to be told, not our end. By a handler: what
    // is ignored stays so in a program that we execute.
    struct sigaction inherited;
    if (sigaction(SIGXFSZ, NULL, &inherited) == 0 && inherited.sa_handler == SIG_DFL) {
        (void)sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = take_no_notice}, NULL);
    }
    return oh_cli_main(argc, argv);
}
