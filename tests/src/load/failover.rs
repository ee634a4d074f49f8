//! A carrier falls silent under load, and comes back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use super::carrier::{Carrier, Seen};
use super::{Goal, Load, Tally};

/// Between two looks at who takes calls.
const LOOK: Duration = Duration::from_millis(50);

/// Longest wait until a carrier that is back is used again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user whose calls go out, with the password.
pub const CALLER: (&str, &str) = ("1001", "secret-one");

/// A menu for `ivr-menu` that connects each call to the same number outside.
pub const MENU: &str = "start = { transfer = \"021-5550-1234\", timeout_s = 30, failed = { menu = \"end\" } }\n\
     [menu.end]\nprompt = { pause_ms = 100 }\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";

/// The numbers and trunks of a tenant with these carriers: the second is for when the first is not
/// there. Both are asked every second whether they are.
pub fn trunks(carriers: &[SocketAddr]) -> String {
    let numbers = "\n[tenant.numbers]\ncountry = \"86\"\narea = \"21\"\nnational_prefix = \"0\"\n\
                   international_prefix = \"00\"\n";
    let trunk = |(priority, address): (usize, &SocketAddr)| {
        format!(
            "[[tenant.trunk]]\nid = \"carrier{priority}\"\naddress = \"{address}\"\n\
             prefixes = [\"+86\"]\npriority = {priority}\nhealth_s = 1\n"
        )
    };
    let trunks: String = carriers.iter().enumerate().map(trunk).collect();
    format!("{numbers}{trunks}")
}

/// How long each part takes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// New calls a second.
    pub rate: f64,
    /// With both carriers.
    pub before: Duration,
    /// While the first is silent.
    pub silent: Duration,
    /// Once the first is used again.
    pub after: Duration,
}

/// How it went.
#[derive(Debug)]
pub struct Failover {
    /// The callers' calls.
    pub tally: Tally,
    /// What the two carriers had seen when the first fell silent.
    pub stopped: [Seen; 2],
    /// The same when it came back.
    pub resumed: [Seen; 2],
    /// The same at the end.
    pub end: [Seen; 2],
    /// From its return until it was used again.
    pub noticed: Duration,
}

impl Failover {
    /// What the carriers saw, for the report of a failure.
    pub fn told(&self) -> String {
        let line = |when: &str, seen: &[Seen; 2]| {
            let count = |it: &Seen| {
                let Seen {
                    taken,
                    talked,
                    over,
                    late,
                    missed,
                } = it;
                format!(
                    "{taken} taken, {talked} talked, {over} over, {} missed, {late} late",
                    missed.len()
                )
            };
            format!("{when}: {}; {}\n", count(&seen[0]), count(&seen[1]))
        };
        let callers = format!(
            "{} calls, failed: {}\n",
            self.tally.started,
            self.tally.reasons()
        );
        callers
            + &line("stopped", &self.stopped)
            + &line("resumed", &self.resumed)
            + &line("end", &self.end)
    }
}

/// Calls go by the first carrier; it falls silent; it comes back and is used again; all calls end.
///
/// # Errors
/// If it is not used again.
pub fn run(
    load: &mut Load,
    carriers: [&Carrier; 2],
    course: Course,
    patience: Duration,
) -> anyhow::Result<Failover> {
    let seen = || carriers.map(Carrier::seen);
    load.take_tally();
    load.set_goal(Goal::Rate(course.rate));
    load.run_for(course.before);
    carriers[0].stop();
    let stopped = seen();
    load.run_for(course.silent);
    let resumed = seen();
    carriers[0].resume();
    let begun = load.now();
    loop {
        load.run_for(LOOK);
        let now = carriers[0].seen();
        // Calls that were sent again are not new ones.
        if now.taken - now.late > resumed[0].taken {
            break;
        }
        ensure!(
            load.now().since(begun) < PATIENCE,
            "the carrier is back, and nobody calls: {now:?}"
        );
    }
    let noticed = load.now().since(begun);
    load.run_for(course.after);
    load.set_goal(Goal::Nothing);
    load.run_until_idle(patience);
    Ok(Failover {
        tally: load.take_tally(),
        stopped,
        resumed,
        end: seen(),
        noticed,
    })
}
