//! What a table must say about where it was made.

use std::{fs, path::Path, process::Command};

use crate::peers;

/// The first line that a command prints, on either stream.
fn first_line(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return "not found".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// The commit that is checked out, `+` if files differ from it.
pub(crate) fn commit() -> String {
    let id = first_line("git", &["rev-parse", "--short", "HEAD"]);
    let changed = !first_line("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if changed { format!("{id}+") } else { id }
}

/// Today, UTC.
pub(crate) fn date() -> String {
    first_line("date", &["-u", "+%F"])
}

/// The machine in one line.
pub(crate) fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    let kernel = first_line("uname", &["-r"]);
    format!("{cores} cores of {}, {} GiB, Linux {kernel}", model.unwrap_or("an unnamed CPU"), kib / 1_048_576)
}

/// What was compared, and with what.
pub(crate) fn versions() -> Vec<String> {
    let ours = peers::portcullis().map_or_else(|_| "not built".to_owned(), |path| first_line(path, &["--version"]));
    let envoy = first_line("envoy", &["--version"]);
    // `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
    let envoy = envoy.split('/').skip(1).step_by(3).collect::<Vec<_>>().join(", ");
    vec![
        ours,
        first_line(Path::new("/usr/sbin/nginx"), &["-v"]).replace("nginx version: ", ""),
        first_line(Path::new("/usr/sbin/haproxy"), &["-v"]).split(" - ").next().unwrap_or_default().to_owned(),
        format!("Envoy {envoy}"),
        first_line("openssl", &["version"]),
        first_line("wrk", &["-v"]).split(" [").next().unwrap_or_default().to_owned(),
        first_line("h2load", &["--version"]),
        first_line("rustc", &["--version"]),
    ]
}
