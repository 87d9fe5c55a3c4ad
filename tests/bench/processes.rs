//! What the kernel says about a tree of processes: its CPU time and its memory. And how to stop one, or let it go on.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// A process and its descendants, as they are now.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // `ID (NAME) STATE PARENT …`; the name may hold spaces and brackets, so count from the last bracket.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        if let Some(parent) = after_name.split(' ').nth(1).and_then(|field| field.parse().ok()) {
            parents.push((id, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// The time that all threads of a tree have spent on a CPU, in nanoseconds, as the scheduler counts it.
pub(crate) fn cpu_ns(root: u32) -> u64 {
    let mut total = 0;
    for id in tree(root) {
        for thread in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let line = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            total += line.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    total
}

/// The memory of a tree in KiB, pages that its processes share counted once.
pub(crate) fn resident_kib(root: u32) -> u64 {
    let of_one = |id: u32| {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)
    };
    tree(root).into_iter().map(of_one).sum()
}

/// Sends a signal to every process of a tree.
pub(crate) fn signal(root: u32, signal: Signal) -> io::Result<()> {
    for id in tree(root) {
        if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal)?;
        }
    }
    Ok(())
}
