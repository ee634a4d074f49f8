//! Prompts that are uploaded while calls are up.

use std::sync::Arc;

use expect_test::expect;
use jackfield_node::{Input, Prompts};
use vocab::Clip;
use vocab::flow::{Op, Prompt};

use crate::world::{World, s};

/// One prompt, which is heard by another name so that it is told apart.
fn upload(world: &mut World, language: &str, name: &str, heard: &str) {
    let clip = Clip::new(heard, vec![0; 8_000]);
    let names = [(name.to_owned(), clip)].into();
    let uploaded: Prompts = Arc::new([(language.to_owned(), names)].into());
    give(world, uploaded);
}

fn give(world: &mut World, uploaded: Prompts) {
    let tenant = "demo".parse().expect("a tenant's name");
    world.feed(Input::Prompts { tenant, uploaded });
}

fn play(world: &mut World, name: &str) {
    let prompts = vec![Prompt::Audio(name.into())];
    world.op(Op::Play { prompts });
    world.run(s(2));
}

#[test]
fn a_call_that_is_up_hears_what_is_uploaded() {
    let mut world = World::new();
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.skip_ladder();
    play(&mut world, "welcome");
    upload(&mut world, "zh-CN", "welcome", "welcome, 2nd version");
    play(&mut world, "welcome");
    upload(&mut world, "common", "news", "news");
    play(&mut world, "news");
    play(&mut world, "welcome");
    give(&mut world, Prompts::default());
    play(&mut world, "news");
    world.check(expect![[r#"
        3.00    A flow.asked play
        3.00        ann hears welcome
        4.00    flow is told Ok(Done)
        4.00        ann hears nothing
        5.00    A flow.asked play
        5.00        ann hears welcome, 2nd version
        6.00    flow is told Ok(Done)
        6.00        ann hears nothing
        7.00    A flow.asked play
        7.00        ann hears news
        8.00    flow is told Ok(Done)
        8.00        ann hears nothing
        9.00    A flow.asked play
        9.00        ann hears welcome
        10.00   flow is told Ok(Done)
        10.00       ann hears nothing
        11.00   flow is told Err(NotFound("no prompt named news in zh-CN or common"))
        11.00   A flow.asked play
    "#]]);
    world.returns("done");
    world.settle();
}

#[test]
fn what_is_uploaded_outlives_a_new_configuration() {
    let mut world = World::new();
    world.install();
    upload(&mut world, "de", "welcome", "willkommen");
    world.reconfigure(|tenant| tenant.language = "de".into());
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.skip_ladder();
    play(&mut world, "welcome");
    world.check(expect![[r#"
        3.00    A flow.asked play
        3.00        ann hears willkommen
        4.00    flow is told Ok(Done)
        4.00        ann hears nothing
    "#]]);
    world.returns("done");
    world.settle();
}
