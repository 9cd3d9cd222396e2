//! What the operating system says of the process, under the names that every Prometheus exporter uses. Linux tells it in `/proc`;
//! what cannot be read is left out.

use std::fs;

use crate::clock::Timestamp;
use crate::telemetry::metrics::{Kind, Page};

/// Clock ticks a second in what `/proc` tells: `USER_HZ`, which is part of Linux' interface.
const TICKS: f64 = 100.0;

pub(super) fn write(started: Timestamp, page: &mut Page) {
    let help = "When the process started, in Unix seconds.";
    page.family("process_start_time_seconds", Kind::Gauge, help).sample(&[], started.as_secs());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, key, help) in [
        ("process_resident_memory_bytes", "VmRSS:", "Memory in use."),
        ("process_virtual_memory_bytes", "VmSize:", "Address space in use."),
    ] {
        if let Some(kib) = number_after(&status, key) {
            page.family(name, Kind::Gauge, help).sample(&[], kib * 1024);
        }
    }
    if let Some(threads) = number_after(&status, "Threads:") {
        page.family("process_threads", Kind::Gauge, "Threads.").sample(&[], threads);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // Without the one that reads the folder.
        page.family("process_open_fds", Kind::Gauge, "Open file descriptors.")
            .sample(&[], files.count().saturating_sub(1));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = number_after(&limits, "Max open files") {
        page.family("process_max_fds", Kind::Gauge, "Most file descriptors that may be open.").sample(&[], most);
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        page.family("process_cpu_seconds_total", Kind::Counter, "Time spent on processors.").sample(&[], seconds);
    }
}

/// The number that follows `key` at the beginning of a line.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time: fields 14 and 15, counted from behind the program's name, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map_while(|field| field.parse::<u32>().ok());
    Some((f64::from(ticks.next()?) + f64::from(ticks.next()?)) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_whatever_the_program_is_called() {
        let stat = "1 (a) b (c)) S 1 1 1 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 3 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(cpu_seconds("1 (a"), None);
        assert_eq!(number_after("VmSize:\t  20 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(number_after("Max open files            1024                 4096", "Max open files"), Some(1024));
        assert_eq!(number_after("Max open files            unlimited", "Max open files"), None);
    }
}
