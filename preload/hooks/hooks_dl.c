// SPDX-License-Identifier: Apache-2.0
//
// dlclose: after it, addresses may come to mean something else. The call itself is libc's.

#include "base/attr.h"
#include "capture/modules.h"
#include "recording/real.h"
#include "track/track.h"

OH_EXPORT int dlclose(void *handle);

OH_REALIGN int dlclose(void *handle)
{
    bool known = oh_track_state() == OH_TRACK_ON && !oh_track_is_child();
    if (oh_real.dlclose == NULL)
        (void)oh_real_resolve();
    if (known)
        oh_modules_unloading();
    int result = oh_real.dlclose(handle);
    if (known)
        oh_modules_unloaded();
    return result;
}
