//! What a process takes of the machine.

use std::time::Duration;

/// Processor time so far. Linux counts it in hundredths of a second (`USER_HZ`, `proc(5)`).
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, words) = stat.rsplit_once(')').unwrap();
    // After the name comes the state, which is the third; user and system time are 14 and 15.
    let words: Vec<_> = words.split_whitespace().collect();
    let ticks: u64 = words[11..13].iter().map(|word| word.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory, in MB.
pub(crate) fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// The middle one; of an even number the later of the two.
pub(crate) fn median<T: PartialOrd + Copy>(all: &[T]) -> T {
    let mut all = all.to_vec();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all[all.len() / 2]
}

/// The value that so large a share does not exceed.
pub(crate) fn quantile(all: &[Duration], share: f64) -> Duration {
    let mut all = all.to_vec();
    all.sort_unstable();
    all[((all.len() - 1) as f64 * share).round() as usize]
}
