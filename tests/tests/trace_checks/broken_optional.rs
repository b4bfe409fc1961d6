//! Traces of withdrawals and deadlines with something wrong.

use super::broken::Broken;

/// For each check of them some.
pub const BROKEN_OPTIONAL: &[Broken] = &[
    (
        "withdrawal",
        "LANE-41-withdrawn-before-it-was-begun",
        "no fence after it",
        &[(
            "host store extension.withdrawn 0x00000002 relaxed",
            "host fence\n\
             host load extension.stage_journal[0] 0x00000001 acquire\n\
             host store extension.withdrawn 0x00000002 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-41-withdrawn-before-it-was-begun",
        "of a call that is not in flight",
        &[(
            "host store extension.withdrawn 0x00000002 relaxed",
            "host store extension.withdrawn 0x00000006 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-41-withdrawn-before-it-was-begun",
        "not what the bit of the call asks for",
        &[(
            "worker store response.slot[1].word0 0x00000002 relaxed",
            "worker store response.slot[1].word0 0x00000000 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-41-withdrawn-before-it-was-begun",
        "not what the bit of the call asks for",
        &[(
            "worker store response.slot[1].tag 0x00000005 relaxed",
            "worker store response.slot[1].tag 0x00000003 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-39-withdrawn-too-late",
        "not what the bit of the call asks for",
        &[(
            "worker store response.slot[0].word0 0x00000000 relaxed",
            "worker store response.slot[0].word0 0x00000002 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-39-withdrawn-too-late",
        "before the call was answered",
        &[(
            "host load response.slot[1].call 0x00000001 relaxed",
            "host store extension.withdrawn 0x00000000 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-40-fence-while-a-call-is-open",
        "no fence since the call was taken",
        &[(
            "worker store extension.stage_journal[1] 0x00000001 release",
            "worker fence\n\
             worker store extension.stage_journal[1] 0x00000001 release\n\
             worker load extension.withdrawn 0x00000004 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-40-fence-while-a-call-is-open",
        "no call was taken before it",
        &[(
            "worker store extension.stage_journal[0] 0x00000001 release",
            "worker load extension.withdrawn 0x00000000 relaxed",
        )],
    ),
    (
        "withdrawal",
        "LANE-42-calls-go-on-after-a-withdrawal",
        "the bit of the call is set",
        &[("host store extension.withdrawn 0x00000000 relaxed", "")],
    ),
    (
        "withdrawal",
        "LANE-41-found-not-begun-later",
        "before the worker looked",
        &[("worker load extension.withdrawn 0x00000002 relaxed", "")],
    ),
    (
        "journal orders",
        "LANE-41-found-not-begun-later",
        "relaxed and not acquire",
        &[(
            "host load extension.stage_journal[0] 0x00000001 acquire",
            "host load extension.stage_journal[0] 0x00000001 relaxed",
        )],
    ),
    (
        "journal orders",
        "LANE-40-fence-while-a-call-is-open",
        "relaxed and not release",
        &[(
            "worker store extension.stage_journal[1] 0x00000001 release",
            "worker store extension.stage_journal[1] 0x00000001 relaxed",
        )],
    ),
    (
        "deadlines",
        "LANE-46-call-with-a-deadline",
        "half of a deadline was stored",
        &[("host store extension.deadlines[1] 0x00000001 relaxed", "")],
    ),
    (
        "deadlines",
        "LANE-46-call-with-a-deadline",
        "while the call is in flight",
        &[(
            "host store request.publish 0x00000001 release",
            "host store request.publish 0x00000001 release\n\
             host store extension.deadlines[1] 0x00000001 relaxed",
        )],
    ),
    (
        "deadlines",
        "LANE-46-call-with-a-deadline",
        "before the request was taken",
        &[(
            "worker load request.publish 0x00000001 acquire",
            "worker load extension.deadlines[0] 0x00000005 relaxed",
        )],
    ),
    (
        "deadlines",
        "LANE-46-deadlines-side-by-side",
        "after its answer",
        &[(
            "worker store response.publish 0x00000001 release",
            "worker store response.publish 0x00000001 release\n\
             worker load extension.deadlines[0] 0xffffffff relaxed",
        )],
    ),
    (
        "deadlines",
        "LANE-48-worker-with-another-clock",
        "the feature is not in force",
        &[(
            "host store request.publish 0x00000001 release",
            "host store extension.deadlines[0] 0x00000005 relaxed",
        )],
    ),
];
