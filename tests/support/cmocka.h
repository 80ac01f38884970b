// SPDX-License-Identifier: Apache-2.0
//
// cmocka with the headers that it wants before it.

#ifndef OH_SUPPORT_CMOCKA_H
#define OH_SUPPORT_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
