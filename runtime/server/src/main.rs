//! The command `jackfield`.

fn main() -> std::process::ExitCode {
    jackfield_server::cli::run()
}
