//! When ticks are due: at multiples of the interval from the start, on a clock that the caller reads.

use std::time::Duration;

/// The due times of ticks.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: Duration,
    interval: Duration,
    /// The number of the next tick.
    next: u64,
}

impl Schedule {
    /// Ticks at multiples of the interval from `start`, of which number `next` is the next one.
    pub fn from(start: Duration, interval: Duration, next: u64) -> Self {
        Self { start, interval, next }
    }

    /// When the next tick is due.
    pub fn due(&self) -> Duration {
        self.start.saturating_add(times(self.interval, self.next))
    }

    /// Ends the tick that was due, at `now`. Gives how many ticks after it were missed meanwhile; they are left out.
    pub fn ticked(&mut self, now: Duration) -> u64 {
        let gone = now.saturating_sub(self.start).as_nanos() / self.interval.as_nanos().max(1);
        let next = u64::try_from(gone).unwrap_or(u64::MAX).saturating_add(1).max(self.next + 1);
        let missed = next - self.next - 1;
        self.next = next;
        missed
    }
}

/// So many intervals.
fn times(interval: Duration, count: u64) -> Duration {
    let nanos = interval.as_nanos().saturating_mul(count.into());
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    // A remainder of a second fits.
    Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn ticks_do_not_drift() {
        let mut schedule = Schedule::from(ms(0), ms(100), 0);
        for tick in 0..1000 {
            assert_eq!(schedule.due(), ms(100 * tick));
            // Each takes a while, and begins a little late.
            assert_eq!(schedule.ticked(schedule.due() + ms(37)), 0);
        }
    }

    #[test]
    fn what_was_missed_is_left_out_and_counted() {
        let mut schedule = Schedule::from(ms(0), ms(100), 0);
        assert_eq!(schedule.ticked(ms(10)), 0);
        // Tick 1 took until 350: 2 and 3 were missed.
        assert_eq!(schedule.ticked(ms(350)), 2);
        assert_eq!(schedule.due(), ms(400));
        assert_eq!(schedule.ticked(ms(500)), 1);
        assert_eq!(schedule.due(), ms(600));
        // One that is over before it was due.
        assert_eq!(schedule.ticked(ms(590)), 0);
        assert_eq!(schedule.due(), ms(700));
        let mut schedule = Schedule::from(ms(640), ms(50), 1);
        assert_eq!(schedule.due(), ms(690));
        assert_eq!(schedule.ticked(ms(691)), 0);
        assert_eq!(schedule.due(), ms(740));
    }

    #[test]
    fn long_intervals_have_an_end() {
        let mut schedule = Schedule::from(ms(0), Duration::from_secs(u64::MAX), 0);
        assert_eq!(schedule.ticked(ms(1)), 0);
        assert_eq!(schedule.due().as_secs(), u64::MAX);
        assert_eq!(schedule.ticked(Duration::MAX), 0);
        assert!(schedule.due() > Duration::from_secs(u64::MAX - 1));
    }
}
