//! What is measured: the answers within a span of time, how long each took, and what they cost.

use std::fs;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;
use znode_examples::Error;

use crate::options::Options;
use crate::report::Figures;

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// From when to when what happens counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    begin: Instant,
    end: Instant,
}

/// What has happened in a span.
pub(crate) struct Times {
    span: Span,
    counted: Counted,
}

/// How often something happened, and how long it took, each in nanoseconds.
pub(crate) struct Counted {
    pub(crate) done: u64,
    pub(crate) latencies: Histogram<u64>,
}

/// What a process has used up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    own_cpu: f64,
    servers_cpu: f64,
}

/// Processor seconds of this process and of the servers; no number where Linux does not tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) own_cpu: f64,
    pub(crate) servers_cpu: f64,
}

impl Span {
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    pub(crate) fn after_warmup(options: &Options) -> Self {
        let begin = Instant::now() + options.warmup();
        Self { begin, end: begin + options.measured() }
    }

    pub(crate) fn has_begun(self, now: Instant) -> bool {
        now >= self.begin
    }

    pub(crate) fn is_over(self, now: Instant) -> bool {
        now >= self.end
    }

    /// Has each task do its work for as long, and sums up what they have measured.
    pub(crate) async fn measure(
        self,
        options: &Options,
        mut tasks: JoinSet<Result<Times, Error>>,
    ) -> Result<Figures, Error> {
        tokio::time::sleep_until(self.begin).await;
        let before = Used::by_now(options);
        let mut all = Counted::nothing()?;
        while let Some(times) = tasks.join_next().await {
            let counted = times??.counted;
            all.done += counted.done;
            all.latencies.add(counted.latencies)?;
        }
        let cost = before.until_now(options);
        Ok(Figures::new(self.end - self.begin, cost, &all))
    }
}

impl Times {
    pub(crate) fn of(span: Span) -> Result<Self, Error> {
        Ok(Self { span, counted: Counted::nothing()? })
    }

    /// Something that began at `asked` is done; whether the span goes on. What ends in the span
    /// counts, and how long it took if it has also begun there: so those that take long are not
    /// counted less often than they happen.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    pub(crate) fn record(&mut self, asked: Instant) -> Result<bool, Error> {
        let now = Instant::now();
        let Span { begin, end } = self.span;
        if begin <= now && now <= end {
            self.counted.done += 1;
            if begin <= asked {
                self.counted.latencies.record(nanos(now - asked)?)?;
            }
        }
        Ok(!self.span.is_over(now))
    }

    /// Something that was due at a moment is done. Whatever was due in the span is timed, however
    /// late it comes: the worst would be missed otherwise.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    pub(crate) fn record_due(&mut self, due: Instant) -> Result<(), Error> {
        let now = Instant::now();
        let Span { begin, end } = self.span;
        self.counted.done += u64::from(begin <= now && now <= end);
        if begin <= due && due < end {
            self.counted.latencies.record(nanos(now - due)?)?;
        }
        Ok(())
    }
}

impl Counted {
    /// Nothing so far.
    pub(crate) fn nothing() -> Result<Self, Error> {
        Ok(Self { done: 0, latencies: Histogram::new(DIGITS)? })
    }

    /// So many things more are done, each of which took as long.
    pub(crate) fn note(&mut self, took: Duration, done: usize) -> Result<(), Error> {
        let done = u64::try_from(done)?;
        self.done += done;
        Ok(self.latencies.record_n(nanos(took)?, done)?)
    }
}

impl Used {
    pub(crate) fn by_now(options: &Options) -> Self {
        let servers = options.server_pid.iter().map(|pid| cpu_seconds(&pid.to_string()));
        let servers_cpu = servers.reduce(|sum, each| sum + each).unwrap_or(f64::NAN);
        Self { own_cpu: cpu_seconds("self"), servers_cpu }
    }

    pub(crate) fn until_now(self, options: &Options) -> Cost {
        let now = Self::by_now(options);
        Cost {
            own_cpu: now.own_cpu - self.own_cpu,
            servers_cpu: now.servers_cpu - self.servers_cpu,
        }
    }
}

/// A duration as histograms take it.
fn nanos(duration: Duration) -> Result<u64, Error> {
    Ok(u64::try_from(duration.as_nanos())?)
}

/// Processor time that a process has used, user and system.
fn cpu_seconds(pid: &str) -> f64 {
    // Fields 14 and 15, in ticks of a hundredth of a second; the name before them may hold
    // anything but ends at the last parenthesis.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| {
        after_name.split_whitespace().nth(field).and_then(|ticks| ticks.parse::<f64>().ok())
    };
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => (user + system) / 100.0,
        _ => f64::NAN,
    }
}

/// What of a process is in memory, in MiB.
pub(crate) fn resident_mib(pid: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
