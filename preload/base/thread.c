// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

OH_THREAD_LOCAL struct oh_thread oh_thread_self OH_HIDDEN __attribute__((aligned(64)));
