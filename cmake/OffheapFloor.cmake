# SPDX-License-Identifier: Apache-2.0
#
# oh_host_floor(NAME [SOURCES ...] [LIBS ...] [LINK_OPTIONS ...])    a folder of preload/
# oh_tool_floor(NAME [SOURCES ...] [LIBS ...] [LINK_OPTIONS ...])    a folder of tools/
#
# Each makes one target NAME that carries its libraries and include roots along. A floor of
# preload/ is built a second time, as NAME_host, when liboffheap.so is not built as the unit tests
# are: without instrumentation, when the build has a sanitizer or coverage; optimized as one unit
# (which takes a seventh off what a recorded allocation costs), when it is a release. liboffheap.so
# is made of the objects of NAME_host, unit tests link NAME.

include(CheckIPOSupported)
set(oh_host_as_one_unit OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    check_ipo_supported(RESULT oh_host_as_one_unit OUTPUT unused LANGUAGES C)
endif()

function(oh_floor_target target roots)
    cmake_parse_arguments(PARSE_ARGV 2 floor "" "" "SOURCES;LIBS;FLAGS;LINK_OPTIONS")
    list(TRANSFORM roots PREPEND "${CMAKE_SOURCE_DIR}")
    if(floor_SOURCES)
        add_library(${target} STATIC ${floor_SOURCES})
        target_include_directories(${target} PUBLIC ${roots})
        target_link_libraries(${target} PUBLIC ${floor_LIBS} PRIVATE ${floor_FLAGS})
    else()
        add_library(${target} INTERFACE)
        target_include_directories(${target} INTERFACE ${roots})
        target_link_libraries(${target} INTERFACE ${floor_LIBS})
    endif()
    target_link_options(${target} INTERFACE ${floor_LINK_OPTIONS})
endfunction()

function(oh_host_floor name)
    cmake_parse_arguments(PARSE_ARGV 1 floor "" "" "SOURCES;LIBS;LINK_OPTIONS")
    set(rest SOURCES ${floor_SOURCES} LINK_OPTIONS ${floor_LINK_OPTIONS})
    set(roots /preload /include)
    oh_floor_target(${name} "${roots}" ${rest} LIBS ${floor_LIBS}
        FLAGS oh_flags oh_host_flags oh_instrumentation)
    if(OFFHEAP_SANITIZE OR OFFHEAP_COVERAGE OR oh_host_as_one_unit)
        oh_floor_target(${name}_host "${roots}" ${rest} LIBS ${floor_LIBS}
            FLAGS oh_flags oh_host_flags)
        set_target_properties(${name}_host PROPERTIES
            INTERPROCEDURAL_OPTIMIZATION ${oh_host_as_one_unit})
    else()
        add_library(${name}_host ALIAS ${name})
    endif()
endfunction()

function(oh_tool_floor name)
    cmake_parse_arguments(PARSE_ARGV 1 floor "" "" "SOURCES;LIBS;LINK_OPTIONS")
    set(roots /tools /preload /include)
    oh_floor_target(${name} "${roots}" SOURCES ${floor_SOURCES} LIBS ${floor_LIBS}
        LINK_OPTIONS ${floor_LINK_OPTIONS} FLAGS oh_flags oh_instrumentation)
endfunction()
