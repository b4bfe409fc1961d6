//! Traces with something wrong.

/// A trace that a check must refuse: the check, the trace that is changed, what the check says, and
/// the lines that change, each where it stands first, with what stands there instead.
pub type Broken =
    (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// For each check some.
pub const BROKEN: &[Broken] = &[
    (
        "orders",
        "MBX-11-publish-inline",
        "relaxed and not release",
        &[(
            "host store request.publish 0x00000001 release",
            "host store request.publish 0x00000001 relaxed",
        )],
    ),
    (
        "orders",
        "MBX-12-take-by-publish-word",
        "relaxed and not acquire",
        &[(
            "worker load request.publish 0x00000001 acquire",
            "worker load request.publish 0x00000001 relaxed",
        )],
    ),
    (
        "orders",
        "MBX-13-release-one",
        "relaxed and not release",
        &[(
            "worker store request.release 0x00000001 release",
            "worker store request.release 0x00000001 relaxed",
        )],
    ),
    (
        "orders",
        "ARN-5-arena-payload",
        "relaxed and not release",
        &[(
            "worker store request.free 0x00000001 release",
            "worker store request.free 0x00000001 relaxed",
        )],
    ),
    (
        "orders",
        "MBX-9-publish-stamped",
        "relaxed and not release",
        &[(
            "host store request.slot[0].stamp 0x00000001 release",
            "host store request.slot[0].stamp 0x00000001 relaxed",
        )],
    ),
    (
        "one writer",
        "MBX-13-release-one",
        "its writer loads it",
        &[(
            "worker store request.release 0x00000001 release",
            "worker load request.release 0x00000000 acquire\n\
         worker store request.release 0x00000001 release",
        )],
    ),
    (
        "one writer",
        "MBX-11-publish-inline",
        "its writer loads it",
        &[(
            "host store request.publish 0x00000001 release",
            "host load request.publish 0x00000000 acquire\n\
         host store request.publish 0x00000001 release",
        )],
    ),
    (
        "one writer",
        "WAKE-2-notify-parked",
        "the other side writes it",
        &[(
            "worker store worker_control.parked 0x00000000 relaxed",
            "host store worker_control.parked 0x00000000 relaxed",
        )],
    ),
    (
        "loads",
        "MBX-12-take-by-publish-word",
        "not what was stored",
        &[(
            "worker load request.slot[0].call 0x00000007 relaxed",
            "worker load request.slot[0].call 0x00000008 relaxed",
        )],
    ),
    (
        "loads",
        "MBX-12-take-by-publish-word",
        "not what was written",
        &[(
            "worker read request.slot[0].inline[0] 68656c6c6f",
            "worker read request.slot[0].inline[0] 68656c6c70",
        )],
    ),
    (
        "header",
        "SEG-4-created",
        "after the ready word",
        &[
            ("host store header.ready 0x80010000 release", ""),
            (
                "host store header.epoch 0x00000007 relaxed",
                "host store header.ready 0x80010000 release\n\
             host store header.epoch 0x00000007 relaxed",
            ),
        ],
    ),
    (
        "header",
        "SEG-7-attached",
        "a second time",
        &[(
            "worker load header.epoch 0x00000007 relaxed",
            "worker load header.epoch 0x00000007 relaxed\n\
         worker load header.epoch 0x00000007 relaxed",
        )],
    ),
    (
        "header",
        "SEG-7-attach-before-ready",
        "before the ready word",
        &[(
            "worker load header.ready 0x00000000 acquire",
            "worker load header.ready 0x00000000 acquire\n\
         worker load header.magic 0x00000000 relaxed",
        )],
    ),
    (
        "states",
        "LANE-5-host-announced",
        "too early, or no next state",
        &[
            ("host store host_control.epoch 0x00000007 relaxed", ""),
            (
                "host store host_control.state 0x00000001 release",
                "host store host_control.state 0x00000001 release\n\
             host store host_control.epoch 0x00000007 relaxed",
            ),
        ],
    ),
    (
        "states",
        "LANE-7-worker-opened",
        "before the host's state was seen",
        &[("worker load host_control.state 0x00000001 acquire", "")],
    ),
    (
        "states",
        "LANE-7-worker-opened",
        "too early, or no next state",
        &[
            ("worker store worker_control.features 0x00000009 relaxed", ""),
            (
                "worker store worker_control.state 0x00000001 release",
                "worker store worker_control.state 0x00000001 release\n\
             worker store worker_control.features 0x00000009 relaxed",
            ),
        ],
    ),
    (
        "states",
        "LANE-7-worker-opened",
        "epochs 7 ",
        &[(
            "worker store worker_control.epoch 0x00000007 relaxed",
            "worker store worker_control.epoch 0x00000008 relaxed",
        )],
    ),
    (
        "states",
        "LANE-12-closed",
        "too early, or no next state",
        &[("worker load host_control.state 0x00000002 acquire", "")],
    ),
    (
        "states",
        "LANE-12-closed-while-a-call-runs",
        "after its sender left",
        &[
            ("worker store worker_control.state 0x00000002 release", ""),
            (
                "worker store response.publish 0x00000001 release",
                "worker load host_control.state 0x00000002 acquire\n\
             worker store worker_control.state 0x00000002 release\n\
             worker store response.publish 0x00000001 release",
            ),
        ],
    ),
    (
        "features",
        "LANE-9-first-request",
        "before the features are locked",
        &[("host store host_control.features 0x00000009 relaxed", "")],
    ),
    (
        "features",
        "LANE-9-features-locked",
        "not what the open worker accepted, or a second time",
        &[(
            "host store host_control.features 0x00000009 relaxed",
            "host store host_control.features 0x00000008 relaxed",
        )],
    ),
    (
        "features",
        "LANE-9-features-locked",
        "not what the open worker accepted, or a second time",
        &[("host load worker_control.state 0x00000001 acquire", "")],
    ),
    (
        "features",
        "LANE-10-call-answered",
        "before the worker saw the features locked",
        &[("worker load host_control.features 0x00000009 relaxed", "")],
    ),
    (
        "slots",
        "MBX-11-publish-inline",
        "a header is not written before it",
        &[
            ("host store request.slot[0].tag 0x0000000f relaxed", ""),
            (
                "host store request.publish 0x00000001 release",
                "host store request.publish 0x00000001 release\n\
             host store request.slot[0].tag 0x0000000f relaxed",
            ),
        ],
    ),
    (
        "slots",
        "MBX-11-publish-inline",
        "the sender does not know the slot to be free",
        &[(
            "host store request.publish 0x00000001 release",
            "host store request.publish 0x00000001 release\n\
         host write request.slot[0].inline[0] 48",
        )],
    ),
    (
        "slots",
        "MBX-12-take-by-publish-word",
        "the receiver has not seen the slot pending",
        &[("worker load request.publish 0x00000001 acquire", "")],
    ),
    (
        "slots",
        "MBX-10-take-by-stamp",
        "the receiver has not seen the slot pending",
        &[("worker load request.slot[0].stamp 0x00000001 acquire", "")],
    ),
    (
        "slots",
        "MBX-13-release-one",
        "the receiver has not seen the slot pending",
        &[
            ("worker store request.release 0x00000001 release", ""),
            (
                "worker read request.slot[0].inline[0] 68656c6c6f",
                "worker store request.release 0x00000001 release\n\
             worker read request.slot[0].inline[0] 68656c6c6f",
            ),
        ],
    ),
    (
        "slots",
        "MBX-13-release-one",
        "it releases a slot that the receiver did not see pending",
        &[(
            "worker store request.release 0x00000001 release",
            "worker store request.release 0x00000003 release",
        )],
    ),
    (
        "slots",
        "MBX-14-mailbox-full",
        "the sender does not know the slot to be free",
        &[("host load request.release 0x00000001 acquire", "")],
    ),
    (
        "slots",
        "MBX-11-publish-inline",
        "it stays zero",
        &[(
            "host store request.slot[0].block 0x00000000 relaxed",
            "host store request.slot[0].block 0x00000000 relaxed\n\
         host store request.slot[0].scratch 0x00000001 relaxed",
        )],
    ),
    (
        "header words once",
        "MBX-12-take-by-publish-word",
        "it is loaded a second time",
        &[(
            "worker load request.slot[0].payload_len 0x00000005 relaxed",
            "worker load request.slot[0].payload_len 0x00000005 relaxed\n\
         worker load request.slot[0].payload_len 0x00000005 relaxed",
        )],
    ),
    (
        "stamps",
        "MBX-9-publish-stamped",
        "the slot was not published so often before",
        &[
            ("host store request.slot[0].stamp 0x00000001 release", ""),
            (
                "host store request.publish 0x00000001 release",
                "host store request.slot[0].stamp 0x00000001 release\n\
             host store request.publish 0x00000001 release",
            ),
        ],
    ),
    (
        "stamps",
        "MBX-3-second-use",
        "the slot was not published so often before",
        &[(
            "host store request.slot[0].stamp 0x00000002 release",
            "host store request.slot[0].stamp 0x00000001 release",
        )],
    ),
    (
        "stamps",
        "MBX-11-batch",
        "published",
        &[("host store request.slot[1].stamp 0x00000001 release", "")],
    ),
    (
        "calls",
        "LANE-10-call-answered",
        "no such call, or it is in flight already",
        &[(
            "worker store response.slot[0].call 0x00000000 relaxed",
            "worker store response.slot[0].call 0x00000001 relaxed",
        )],
    ),
    (
        "calls",
        "LANE-2-answers-in-another-order",
        "no such call, or it is in flight already",
        &[(
            "worker store response.slot[1].call 0x00000000 relaxed",
            "worker store response.slot[1].call 0x00000001 relaxed",
        )],
    ),
    (
        "blocks",
        "ARN-5-arena-payload",
        "the block is not live",
        &[("host store request.allocate 0x00000001 release", "")],
    ),
    (
        "blocks",
        "ARN-5-arena-payload",
        "no live block stands there",
        &[
            ("worker store request.free 0x00000001 release", ""),
            (
                "worker load request.publish 0x00000001 acquire",
                "worker load request.publish 0x00000001 acquire\n\
             worker store request.free 0x00000001 release",
            ),
        ],
    ),
    (
        "blocks",
        "ARN-5-arena-payload",
        "it frees no single live block",
        &[(
            "worker store request.free 0x00000001 release",
            "worker store request.free 0x00000001 release\n\
         worker store request.free 0x00000000 release",
        )],
    ),
    (
        "blocks",
        "ARN-7-block-reused",
        "a block that the sender does not know to be free stands there",
        &[("host load request.free 0x00000001 acquire", "")],
    ),
    (
        "blocks",
        "ARN-8-blocks-freed-in-any-order",
        "a block that the sender does not know to be free stands there",
        &[(
            "host write request.arena[128] 22222222222222222222",
            "host write request.arena[64] 22222222222222222222",
        )],
    ),
    (
        "blocks",
        "ARN-8-blocks-freed-in-any-order",
        "nothing is written at a multiple of 64 before it",
        &[(
            "host write request.arena[128] 22222222222222222222",
            "host write request.arena[132] 22222222222222222222",
        )],
    ),
    ("bells", "WAKE-2-notify-parked", "no store and then a fence before it", &[("host fence", "")]),
    (
        "bells",
        "WAKE-2-notify-parked",
        "nobody is parked, no state is new, or not the next",
        &[("host load worker_control.parked 0x00000001 relaxed", "")],
    ),
    (
        "bells",
        "WAKE-2-notify-parked",
        "nobody is woken after it",
        &[("host wake host_control.bell", "")],
    ),
    (
        "bells",
        "WAKE-2-notify-awake",
        "nobody is parked, no state is new, or not the next",
        &[(
            "host load worker_control.parked 0x00000000 relaxed",
            "host load worker_control.parked 0x00000000 relaxed\n\
         host store host_control.bell 0x00000001 release\n\
         host wake host_control.bell",
        )],
    ),
    ("parking", "WAKE-1-park-and-wait", "no fence after it", &[("worker fence", "")]),
    (
        "parking",
        "WAKE-1-park-and-wait",
        "not 1, or the bell was not loaded before",
        &[("worker load host_control.bell 0x00000000 acquire", "")],
    ),
    (
        "parking",
        "WAKE-1-park-and-wait",
        "another bell than was loaded, or no look before",
        &[("worker load request.publish 0x00000000 acquire", "")],
    ),
    (
        "parking",
        "WAKE-1-rung-before-the-wait",
        "another bell than was loaded, or no look before",
        &[("worker wait host_control.bell 0x00000001", "worker wait host_control.bell 0x00000000")],
    ),
    (
        "parking",
        "WAKE-2-notify-parked",
        "the flag is not 0 again after it",
        &[("worker store worker_control.parked 0x00000000 relaxed", "")],
    ),
    (
        "journal",
        "LANE-34-call-journaled",
        "not the next stage",
        &[("worker store extension.stage_journal[0] 0x00000001 relaxed", "worker fence")],
    ),
    (
        "journal",
        "LANE-34-call-journaled",
        "before the call was done",
        &[("worker store extension.stage_journal[0] 0x00000002 relaxed", "worker fence")],
    ),
    (
        "journal",
        "LANE-34-calls-journaled-side-by-side",
        "of another call",
        &[(
            "worker store extension.stage_journal[1] 0x00000001 relaxed",
            "worker store extension.stage_journal[1] 0x00000021 relaxed",
        )],
    ),
    (
        "journal",
        "LANE-34-call-journaled",
        "while the worker lives",
        &[("host fence", "host load extension.stage_journal[0] 0x00000001 relaxed")],
    ),
];
