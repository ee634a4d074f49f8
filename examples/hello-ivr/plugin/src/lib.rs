//! The smallest IVR plugin: a greeting, one digit, and which one it was.

use jackfield::{Call, Error, config, log};

#[jackfield::ivr]
fn run(call: &Call) -> Result<(), Error> {
    call.answer()?;
    let greeting = config::text("greeting").unwrap_or_else(|| "hello".to_owned());
    let pressed = call
        .gather()
        .audio(greeting)
        .timeout_s(8)
        .barge_in()
        .run()?;
    log::info!("gather ended: {:?}", pressed.end);
    match pressed.as_str() {
        "" => call.play().audio("no_input").run()?,
        digit => call.play().audio("you_pressed").digits(digit).run()?,
    }
    call.play().audio("goodbye").run()
}
