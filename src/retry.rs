//! When to try again, and when to stop: the one room that knows the `backoff` crate.

use std::future::Future;
use std::time::Duration;

use backoff::Clock;
use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome};

/// How often, and after which pauses, something is tried again.
///
/// Pauses grow by half each time up to a bound; the upper half of each is random, drawn from the
/// client's seed, so that many clients do not come back in step.
///
/// ```
/// use std::time::Duration;
/// use znode::RetryPolicy;
///
/// let policy = RetryPolicy::exponential(Duration::from_millis(10), Duration::from_secs(1))
///     .attempts_max(5)
///     .elapsed_max(Duration::from_secs(10));
/// # let _ = policy;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a policy does nothing until it is run"]
pub struct RetryPolicy {
    pause_min: Duration,
    pause_max: Duration,
    attempts_max: Option<u32>,
    elapsed_max: Option<Duration>,
}

impl RetryPolicy {
    /// Pauses from `pause_min` up to `pause_max`, for ever.
    pub fn exponential(pause_min: Duration, pause_max: Duration) -> Self {
        Self { pause_min, pause_max, attempts_max: None, elapsed_max: None }
    }

    /// No more than so many attempts, the first one included.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = Some(attempts);
        self
    }

    /// No further attempt once so much time has passed since the first.
    pub fn elapsed_max(mut self, elapsed: Duration) -> Self {
        self.elapsed_max = Some(elapsed);
        self
    }

    /// Tries `op` until it succeeds, fails for good, or the policy is exhausted; returns the last
    /// result. Again is tried only what certainly did not take effect: see
    /// [`Error::is_safe_to_retry`].
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use std::time::Duration;
    /// use znode::{CreateMode, RetryPolicy};
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_millis(10), Duration::from_secs(1));
    /// let job = || client.create("/jobs/job-", "", CreateMode::PersistentSequential);
    /// let created = policy.attempts_max(5).run(&client, job).await?; // never made twice
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the last attempt.
    ///
    /// # Cancel safety
    /// As that of `op`: at most one attempt is under way.
    ///
    /// # Panics
    /// If it has to pause outside a tokio runtime with time enabled.
    pub async fn run<T, F>(&self, client: &Client, op: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.run_if(client, Error::is_safe_to_retry, op).await
    }

    /// As [`run`](Self::run), with a say in what is tried again: as after a lost connection, where
    /// doing `op` twice does no harm.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use std::time::Duration;
    /// use znode::{ErrorKind, RetryPolicy};
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_millis(10), Duration::from_secs(1));
    /// let is_lost = |error: &znode::Error| error.kind() == ErrorKind::ConnectionLoss;
    /// let read = || client.get_data("/rate");
    /// let patient = policy.elapsed_max(Duration::from_secs(5));
    /// let (rate, _) = patient.run_if(&client, is_lost, read).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the last attempt.
    ///
    /// # Cancel safety
    /// As that of `op`: at most one attempt is under way.
    ///
    /// # Panics
    /// If it has to pause outside a tokio runtime with time enabled.
    pub async fn run_if<T, F>(
        &self,
        client: &Client,
        mut again: impl FnMut(&Error) -> bool,
        mut op: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut backoff = self.backoff();
        let mut attempts = 1;
        loop {
            let error = match op().await {
                Err(error) if again(&error) => error,
                result => return result,
            };
            if self.attempts_max.is_some_and(|max| attempts >= max) {
                return Err(error);
            }
            attempts += 1;
            let Some(pause) = backoff.next_backoff() else {
                return Err(error);
            };
            tokio::time::sleep(jittered(pause, client.random())).await;
        }
    }

    fn backoff(&self) -> ExponentialBackoff<TokioClock> {
        let mut backoff = ExponentialBackoff {
            current_interval: self.pause_min,
            initial_interval: self.pause_min,
            // The crate would draw from a thread's generator, which no seed reaches.
            randomization_factor: 0.0,
            multiplier: 1.5,
            max_interval: self.pause_max,
            start_time: TokioClock.now(),
            max_elapsed_time: self.elapsed_max,
            clock: TokioClock,
        };
        backoff.reset();
        backoff
    }
}

impl Error {
    /// Whether the request certainly did not take effect and may succeed if made again: it was
    /// never sent, and the session is not over.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = znode::Client::connect("not a host").await.unwrap_err();
    /// assert!(!error.is_safe_to_retry(), "it was not sent, and will not be better next time");
    /// # }
    /// ```
    pub fn is_safe_to_retry(&self) -> bool {
        self.outcome() == Outcome::NotSent
            && matches!(self.kind(), ErrorKind::ConnectionLoss | ErrorKind::Overloaded)
    }
}

/// The lower half of a pause, and a random part of the upper.
fn jittered(pause: Duration, random: u64) -> Duration {
    let half = pause / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    half + Duration::from_nanos(random.checked_rem(nanos).unwrap_or(0))
}

/// tokio's clock, so that paused time holds for pauses too.
#[derive(Debug, Clone, Copy)]
struct TokioClock;

impl Clock for TokioClock {
    #[expect(clippy::disallowed_methods, reason = "this is a part of the shell")]
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_at_least_half_and_never_more_than_told() {
        let pause = Duration::from_millis(100);
        for random in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let jittered = jittered(pause, random);
            assert!(jittered >= pause / 2 && jittered <= pause, "{jittered:?}");
        }
        assert_eq!(jittered(Duration::ZERO, 7), Duration::ZERO);
    }
}
