//! Finds processes that a suite left behind.

use std::{fs, process};

use super::cluster::dir_prefix;

/// Describes each child of this process, and each process that works in the folder of one of its clusters (a
/// server whose guard is gone has no parent). Empty where there is no /proc.
pub(crate) fn processes() -> Vec<String> {
    let me = process::id();
    let folder = dir_prefix();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != me)
        .filter_map(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let ours = parent(pid)? == me || command.contains(&folder);
            ours.then(|| format!("process {pid}: {command}"))
        })
        .collect()
}

/// A zombie has no command line but a parent.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ppid ..", and the name may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
