// SPDX-License-Identifier: Apache-2.0
//
// clock [-n TIMES] [-e NAME=VALUE]... COMMAND [ARGUMENT...]
//
// Runs the command so many times (1) with the variables in its environment and its output thrown
// away, and prints one line: processor time of one run in nanoseconds (user and system, its
// children's too), the peak of its resident memory in KiB, and its wall time in nanoseconds.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double time_ns(struct timeval time)
{
    return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

static _Noreturn void child(char **variables, int count, char **command)
{
    for (int i = 0; i < count; i++)
        putenv(variables[i]);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    char *variables[16];
    int count = 0;
    long times = 1;
    int option;
    while ((option = getopt(argc, argv, "+n:e:")) != -1) {
        if (option == 'n')
            times = strtol(optarg, NULL, 10);
        else if (option == 'e' && count < 16)
            variables[count++] = optarg;
        else
            return 2;
    }
    if (optind == argc || times < 1)
        return 2;
    struct rusage usage;
    double start = wall_ns();
    for (long i = 0; i < times; i++) {
        pid_t pid = fork();
        if (pid == 0)
            child(variables, count, argv + optind);
        int status;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
    }
    double wall = wall_ns() - start;
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("%.0f %ld %.0f\n", (time_ns(usage.ru_utime) + time_ns(usage.ru_stime)) / (double)times,
           usage.ru_maxrss, wall / (double)times);
    return 0;
}
