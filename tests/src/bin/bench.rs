//! `cargo xtask bench`: see [`jackfield_tests::bench`].

use std::process::ExitCode;

fn main() -> ExitCode {
    match jackfield_tests::bench::main(std::env::args().skip(1)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
