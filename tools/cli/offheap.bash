# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Completion of the command's words for bash. A test checks that it names every command and option.

_offheap()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words='' i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='run export report memory list help version'
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$current")
        return
    fi
    case $previous in
    --sort) words='inuse_space inuse_objects alloc_space alloc_objects' ;;
    --phase) words='init main unknown' ;;
    --allocator) words='jemalloc' ;;
    --kind) words='malloc thread mmap reserve shm file' ;;
    --dir | --binary)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    -o | --output)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    if [ -z "$words" ]; then
        case $command in
        run)
            # The first word that is no option begins the program.
            for ((i = 2; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                -o | --output | --sample | --max-overhead | --depth | --max-bytes | --dir | --allocator) i=$((i + 1)) ;;
                --)
                    mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
                    return
                    ;;
                -*) ;;
                *)
                    mapfile -t COMPREPLY < <(compgen -f -- "$current")
                    return
                    ;;
                esac
            done
            words='-o --output --exact --sample --max-overhead --depth --max-bytes --dir --keep --allocator --help --'
            ;;
        export) words='-o --output --kind --binary --help' ;;
        report) words='--sort --phase --kind --focus --limit --diff --resident --growth --span --binary --help' ;;
        memory) words='--watch --trim --go --json --help' ;;
        help) words='run export report memory list version' ;;
        *) words='--help' ;;
        esac
        case $current in
        -*) ;;
        *)
            if [ "$command" != help ]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _offheap offheap
