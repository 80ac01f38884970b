# SPDX-License-Identifier: Apache-2.0
#
# Flags of every target, and the two interface targets that carry the rest:
#   oh_flags             every target of ours
#   oh_instrumentation   what a sanitizer or coverage build adds; never on code of liboffheap.so

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_C_FLAGS_DEBUG "-Og -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")

add_library(oh_flags INTERFACE)
target_compile_definitions(oh_flags INTERFACE _GNU_SOURCE "OFFHEAP_VERSION=\"${PROJECT_VERSION}\"")
target_compile_options(oh_flags INTERFACE
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/="
    -fno-omit-frame-pointer
    -ffp-contract=off # offheap/weight.h: the library and the readers come to the same integer.
    $<$<COMPILE_LANGUAGE:C>:-Wall>
    $<$<COMPILE_LANGUAGE:C>:-Wextra>
    $<$<COMPILE_LANGUAGE:C>:-Wshadow>
    $<$<COMPILE_LANGUAGE:C>:-Wconversion>
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wvla>
    $<$<COMPILE_LANGUAGE:C>:-Wundef>
    $<$<COMPILE_LANGUAGE:C>:-Wformat=2>
    $<$<BOOL:${OFFHEAP_WERROR}>:-Werror>)

add_library(oh_instrumentation INTERFACE)
if(OFFHEAP_SANITIZE)
    target_compile_options(oh_instrumentation INTERFACE
        -fsanitize=${OFFHEAP_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(oh_instrumentation INTERFACE -fsanitize=${OFFHEAP_SANITIZE})
endif()
if(OFFHEAP_COVERAGE)
    target_compile_options(oh_instrumentation INTERFACE --coverage)
    target_link_options(oh_instrumentation INTERFACE --coverage)
endif()

# Code that runs inside the host: thread-local state is one load, no symbol of ours can be
# preempted, and the compiler may neither merge nor remove calls of the functions we stand for.
add_library(oh_host_flags INTERFACE)
target_compile_options(oh_host_flags INTERFACE
    -ftls-model=initial-exec
    -fno-semantic-interposition
    -fno-builtin-malloc
    -fno-builtin-calloc
    -fno-builtin-realloc
    -fno-builtin-free
    -fno-builtin-aligned_alloc
    -fno-stack-protector
    -ffunction-sections
    -fdata-sections
    -U_FORTIFY_SOURCE)
