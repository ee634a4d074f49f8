//! Goal: over bad lines each INVITE has exactly one final answer, and nothing is left of any call.
//!
//! A million of them: `cargo xtask sim --calls 1000000`.

use jackfield_tests::crowd::run;

/// An unoptimized build takes a tenth of them.
const CALLS: u32 = if cfg!(debug_assertions) {
    2_000
} else {
    20_000
};

#[test]
fn each_invite_has_one_final_answer_and_nothing_is_left() {
    let report = run(1, CALLS, |_, _| {});
    assert!(report.invites > u64::from(CALLS), "far ends are called too");
    assert!(
        report.repeated > u64::from(CALLS) / 2,
        "the lines are bad: {report:?}"
    );
    let (first, last) = report.warm.expect("there was a time of full traffic");
    assert!(first.total() > 500 && last.total() > 500, "{first}; {last}");
    // Everything there is to do was done.
    let seen = [
        "answered",
        "bridged",
        "busy",
        "cancelled",
        "challenged",
        "gathered",
        "joined",
        "left",
        "moved",
        "no_answer",
        "normal",
        "not_found",
        "offered anew",
        "played",
        "rejected",
        "transferred elsewhere",
    ];
    for kind in seen {
        let count = report.seen.get(kind).copied().unwrap_or_default();
        assert!(count >= u64::from(CALLS) / 100, "{kind}: {count}");
    }
    let heard = [
        "answered anew",
        "cancelled",
        "confirmed",
        "gave up",
        "new offer refused",
        "transfer",
    ];
    for kind in heard {
        let count = report.heard.get(kind).copied().unwrap_or_default();
        assert!(count >= u64::from(CALLS) / 100, "{kind}: {count}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| run(seed, 100, |_, _| {});
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).fingerprint, run(8).fingerprint);
}
