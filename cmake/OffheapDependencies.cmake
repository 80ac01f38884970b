# SPDX-License-Identifier: Apache-2.0
#
# What we link, always statically: libunwind and the decoder of Zydis (our own builds), zlib,
# libbacktrace (it comes with gcc), libiberty. Each is an imported target; a missing one ends the configuration with the
# command that brings it.

set(oh_hint "run: sh tools/setup.sh")

function(oh_import target archive header_dir)
    add_library(${target} STATIC IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES
        IMPORTED_LOCATION "${archive}"
        INTERFACE_INCLUDE_DIRECTORIES "${header_dir}")
endfunction()

if(NOT EXISTS "${OFFHEAP_LIBUNWIND}/lib/libunwind.a")
    message(FATAL_ERROR "No libunwind.a in ${OFFHEAP_LIBUNWIND}/lib; ${oh_hint} "
        "(or name another static, position-independent build with -DOFFHEAP_LIBUNWIND=PREFIX)")
endif()
file(STRINGS "${OFFHEAP_LIBUNWIND}/lib/libunwind.a" oh_patched REGEX oh_libunwind_row LIMIT_COUNT 1)
if(NOT oh_patched)
    message(FATAL_ERROR "The libunwind in ${OFFHEAP_LIBUNWIND} is built without the patches of "
        "preload/capture/libunwind; ${oh_hint}")
endif()
oh_import(oh_libunwind "${OFFHEAP_LIBUNWIND}/lib/libunwind.a" "${OFFHEAP_LIBUNWIND}/include")

if(NOT EXISTS "${OFFHEAP_ZYDIS}/lib/libzydis.a")
    message(FATAL_ERROR "No libzydis.a in ${OFFHEAP_ZYDIS}/lib; ${oh_hint} "
        "(or name another build of its decoder with -DOFFHEAP_ZYDIS=PREFIX)")
endif()
oh_import(oh_libzydis "${OFFHEAP_ZYDIS}/lib/libzydis.a" "${OFFHEAP_ZYDIS}/include")
# As it was built: the headers give other types otherwise.
set_property(TARGET oh_libzydis PROPERTY INTERFACE_COMPILE_DEFINITIONS
    ZYAN_NO_LIBC ZYDIS_STATIC_BUILD ZYCORE_STATIC_BUILD ZYDIS_MINIMAL_MODE ZYDIS_DISABLE_KNC)

find_library(OFFHEAP_ZLIB libz.a)
find_path(OFFHEAP_ZLIB_INCLUDE zlib.h)
if(NOT OFFHEAP_ZLIB OR NOT OFFHEAP_ZLIB_INCLUDE)
    message(FATAL_ERROR "No libz.a with zlib.h; ${oh_hint}")
endif()
oh_import(oh_libz "${OFFHEAP_ZLIB}" "${OFFHEAP_ZLIB_INCLUDE}")

find_library(OFFHEAP_IBERTY libiberty.a)
find_path(OFFHEAP_IBERTY_INCLUDE libiberty/demangle.h)
if(NOT OFFHEAP_IBERTY OR NOT OFFHEAP_IBERTY_INCLUDE)
    message(FATAL_ERROR "No libiberty.a with libiberty/demangle.h; ${oh_hint}")
endif()
oh_import(oh_libiberty "${OFFHEAP_IBERTY}" "${OFFHEAP_IBERTY_INCLUDE}")

# libbacktrace stands in gcc's own directory, its header in the include directory below it.
execute_process(COMMAND "${CMAKE_C_COMPILER}" -print-file-name=libbacktrace.a
    OUTPUT_VARIABLE OFFHEAP_BACKTRACE OUTPUT_STRIP_TRAILING_WHITESPACE)
cmake_path(GET OFFHEAP_BACKTRACE PARENT_PATH oh_gcc_dir)
if(NOT EXISTS "${OFFHEAP_BACKTRACE}" OR NOT EXISTS "${oh_gcc_dir}/include/backtrace.h")
    message(FATAL_ERROR "No libbacktrace.a with backtrace.h in the directory of "
        "${CMAKE_C_COMPILER}; gcc 12 of Debian has them (${oh_hint})")
endif()
oh_import(oh_libbacktrace "${OFFHEAP_BACKTRACE}" "${oh_gcc_dir}/include")
