//! The page that the tables are written into, each between its markers.

use std::{fs, process::Command};

use crate::Failure;

/// The page with a table in the place of the one that stands there.
pub(crate) fn with(page: &str, name: &str, table: &str) -> Result<String, Failure> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let lacks = || format!("the page lacks `{}`", begin.trim());
    let (before, rest) = page.split_once(&begin).ok_or_else(lacks)?;
    let (_, after) = rest.split_once(&end).ok_or_else(lacks)?;
    Ok(format!("{before}{begin}{}\n{end}{after}", table.trim_end()))
}

/// When, where and on which commit the tables were made.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    format!(
        "{}, `just guard-scorecard` at {}, {cores} cores of {}, {} GiB.",
        first_line("date", &["-u", "+%F"]),
        first_line("git", &["rev-parse", "--short", "HEAD"]),
        model.unwrap_or("an unnamed CPU"),
        kib / 1_048_576
    )
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").to_owned()
}

/// `hits` of `all` as a share of one.
pub(crate) fn share(hits: usize, all: usize) -> String {
    if all == 0 { "-".to_owned() } else { format!("{:.3}", hits as f64 / all as f64) }
}
