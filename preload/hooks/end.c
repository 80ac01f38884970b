// SPDX-License-Identifier: Apache-2.0
#include "hooks/end.h"

#include "recording/recording.h"

void oh_end_init(const struct oh_config *config)
{
    (void)config;
}

void oh_end_run(int code)
{
    (void)code;
    oh_recording_set_state(OH_STATE_ENDED, OH_OFF_none);
}
