//! The process, under the names that every exporter has, and the disks it writes to.
//!
//! Not the `process` feature of `prometheus` 0.14: it counts processor time in whole seconds.

use std::path::Path;

use parking_lot::Mutex;
use prometheus::{Counter, IntGauge, IntGaugeVec};

use super::Maker;

/// Processor, memory, files and disks.
#[derive(Debug)]
pub struct SystemMetrics {
    cpu: Counter,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_files: IntGauge,
    max_files: IntGauge,
    threads: IntGauge,
    started: IntGauge,
    disk_free: IntGaugeVec,
    disk_size: IntGaugeVec,
    cpu_seen: Mutex<f64>,
}

impl SystemMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let disk = |name, help| maker.gauges(name, help, &["folder"]);
        Self {
            cpu: maker.fraction_counter(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            ),
            resident: maker
                .gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            virtual_memory: maker
                .gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            open_files: maker.gauge("process_open_fds", "Number of open file descriptors."),
            max_files: maker.gauge("process_max_fds", "Maximum number of open file descriptors."),
            threads: maker.gauge("process_threads", "Number of OS threads in the process."),
            started: maker.gauge(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            ),
            disk_free: disk(
                "hub_registry_disk_free_bytes",
                "What the disk of a folder of ours has left for us.",
            ),
            disk_size: disk("hub_registry_disk_size_bytes", "How large the disk of a folder is."),
            cpu_seen: Mutex::default(),
        }
    }

    /// Measures the process; what the system does not tell stays as it was.
    #[cfg(target_os = "linux")]
    pub fn measure(&self) {
        use procfs::process::{LimitValue, Process};
        let Ok(process) = Process::myself() else { return };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second() as f64;
            let cpu = (stat.utime + stat.stime) as f64 / ticks;
            let before = std::mem::replace(&mut *self.cpu_seen.lock(), cpu);
            self.cpu.inc_by((cpu - before).max(0.0));
            self.resident.set((stat.rss * procfs::page_size()) as i64);
            self.virtual_memory.set(stat.vsize as i64);
            self.threads.set(stat.num_threads);
            if let Ok(boot) = procfs::boot_time_secs() {
                self.started.set(boot as i64 + (stat.starttime as f64 / ticks) as i64);
            }
        }
        if let Ok(count) = process.fd_count() {
            self.open_files.set(count as i64);
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            self.max_files.set(most as i64);
        }
    }

    /// Other systems tell it in other ways.
    #[cfg(not(target_os = "linux"))]
    pub fn measure(&self) {}

    /// Measures the disk of a folder, which may not be there.
    pub fn measure_disk(&self, name: &'static str, folder: &Path) {
        if let Ok(disk) = rustix::fs::statvfs(folder) {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let size = disk.f_blocks.saturating_mul(disk.f_frsize);
            self.disk_free.with_label_values(&[name]).set(free as i64);
            self.disk_size.with_label_values(&[name]).set(size as i64);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn this_process_is_measured() {
        let registry = Registry::new();
        let system = SystemMetrics::new(&Maker::new(&registry));
        let mut sum = 0_u64;
        // Until the system has counted a tick of ours.
        while system.cpu.get() <= 0.0 {
            sum = (0..1_000_000).fold(sum, |sum, number| sum.wrapping_mul(31) ^ number);
            system.measure();
        }
        system.measure_disk("data", Path::new("."));
        assert!(system.resident.get() > 1 << 20, "{sum}");
        assert!(system.virtual_memory.get() >= system.resident.get());
        assert!(system.open_files.get() >= 3 && system.max_files.get() >= system.open_files.get());
        let now = crate::clock::Clock::System.now().timestamp();
        assert!((now - 24 * 3600..=now + 2).contains(&system.started.get()));
        let disk = |disk: &IntGaugeVec| disk.with_label_values(&["data"]).get();
        assert!(disk(&system.disk_size) >= disk(&system.disk_free) && disk(&system.disk_free) > 0);
    }
}
