//! What processes have used of the processor and of memory, as Linux tells it in /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The processor time that these processes have used until now, in user and kernel mode.
pub fn used(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| used_by(&pid.to_string())).sum()
}

/// The processor time that this process has used until now.
pub fn used_here() -> Result<Duration> {
    used_by("self")
}

/// The memory of a process that is not swapped out, in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most that it has been since the process was started.
pub fn most_resident(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib: u64 = line.with_context(|| format!("no {field} in {path}"))?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

fn used_by(process: &str) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not as in proc_pid_stat(5): {stat}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// utime and stime, the fields 14 and 15. The second field may hold blanks and brackets, so counting begins after its end.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let stat = "42 (a) R 7 (b)) S 1 42 42 0 -1 4194304 100 0 0 0 250 17 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(267));
    }

    #[test]
    fn this_process_has_used_something() {
        let mut sum = 0_u64;
        while used_here().unwrap() < Duration::from_millis(20) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
