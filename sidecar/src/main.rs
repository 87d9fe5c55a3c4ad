//! **What**, beside a server. Not built yet: until it is, it says so and does nothing, so that nobody believes in it.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("portcullis-sidecar is not built yet: nothing is encrypted, guarded or measured by this program");
    ExitCode::FAILURE
}
