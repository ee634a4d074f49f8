//! Keys that come as INFO.

use expect_test::expect;
use vocab::call::{Command, GatherSpec};
use vocab::{Pii, SessionId};

use crate::far::Far;
use crate::reoffer::{leave, up};
use crate::world::{World, ms, s};

fn press(world: &mut World, far: &mut Far, content_type: &str, body: &str) {
    far.next();
    let text = far.request("INFO", body);
    world.send(far.at, &text.replace("application/sdp", content_type));
    world.run(ms(50));
}

#[test]
fn keys_come_as_info_and_are_gathered() {
    let (mut world, mut far, leg) = up();
    press(
        &mut world,
        &mut far,
        "application/dtmf-relay",
        "Signal=7\r\nDuration=100\r\n",
    );
    press(&mut world, &mut far, "application/dtmf", "8");
    press(&mut world, &mut far, "text/plain", "9");
    let spec = GatherSpec {
        min: 1,
        max: 9,
        terminators: "#".into(),
        first_timeout: s(5),
        inter_timeout: s(5),
        barge_in: true,
    };
    let clips = Vec::new();
    world.command(Command::Gather { leg, clips, spec });
    press(
        &mut world,
        &mut far,
        "application/dtmf-relay",
        "Signal=1\r\n",
    );
    // The same press comes as media, too; then the key is pressed again.
    for _ in 0..2 {
        let (session, digit) = (SessionId(1), Pii::new('1'));
        world.inject(0, media::Event::Digit { session, digit });
    }
    press(
        &mut world,
        &mut far,
        "application/dtmf-relay",
        "Signal=11\r\n",
    );
    world.check(expect![[r#"
        0.120   far → home: INFO (application/dtmf-relay)
        0.130   home → far: 200 OK (INFO)
        0.130     Digit A1 7
        0.170   far → home: INFO (application/dtmf)
        0.180   home → far: 200 OK (INFO)
        0.180     Digit A1 8
        0.220   far → home: INFO (text/plain)
        0.230   home → far: 200 OK (INFO)
        0.270   > Gather A1
        0.270   far → home: INFO (application/dtmf-relay)
        0.280   home → far: 200 OK (INFO)
        0.320   far → home: INFO (application/dtmf-relay)
        0.330   home → far: 200 OK (INFO)
        0.330     Gathered A1 "11" Terminator
    "#]]);
    leave(world, far);
}
