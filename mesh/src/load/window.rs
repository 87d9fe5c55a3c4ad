//! What our clocks and the engine's page say of one label over the last seconds, joined into a report.
//!
//! Pure: what was counted and when is pushed in, `now` is an argument. Nothing is said that is not known: a rate needs two
//! moments, a ratio needs compute time and requests that ended, and what an engine said counts only while it is fresh.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    engine::{EngineReading, EngineSample, Quantity},
    measure::{Measure, Totals},
    report::LoadReport,
};

/// Rates are over this time, as far as it is known.
pub const RATE_WINDOW: Duration = Duration::from_secs(10);
/// The ratio of queue and compute is over this time, since engines count a request only when it ends.
pub const RATIO_WINDOW: Duration = Duration::from_secs(30);
/// Requests that must have ended in it.
pub const RATIO_REQUESTS_MIN: f64 = 5.0;
/// Moments that are remembered of each source; of those that come closer together, the newest.
pub const MOMENTS_MAX: usize = 64;
/// Means of latencies forget with this time constant.
pub const SMOOTHING: Duration = Duration::from_secs(5);
/// What an engine said is old after so many of the times in which it is asked.
pub const STALE_PERIODS: u32 = 3;

/// What a report needs to be told besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setting {
    /// How many exchanges may be in flight, if that is bounded here.
    pub in_flight_max: Option<u32>,
    /// How often the engine is asked.
    pub engine_period: Duration,
    /// No more is taken.
    pub is_draining: bool,
}

/// Time that requests waited and were worked on, so that several servers' can be added up before they are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueueCompute {
    /// Seconds that requests waited, with us or with the engine.
    pub queue_seconds: f64,
    /// Seconds that they were worked on.
    pub compute_seconds: f64,
    /// Requests that ended.
    pub requests: f64,
}

impl QueueCompute {
    /// Queue by compute; `None` where too little was worked on to say.
    pub fn ratio(&self) -> Option<f64> {
        let is_known = self.compute_seconds > 0.0 && self.requests >= RATIO_REQUESTS_MIN;
        is_known.then(|| self.queue_seconds / self.compute_seconds)
    }
}

/// The last seconds of one label.
#[derive(Debug, Clone, Default)]
pub struct Window {
    own: Moments<Totals>,
    engine: Moments<EngineSample>,
    first_token: Smoothed,
    gap: Smoothed,
    sequence: u64,
}

impl Window {
    /// What our clocks have counted until `now`. More often than ten times a second is of no use.
    pub fn push(&mut self, totals: Totals, now: Instant) {
        if let Some((at, before)) = self.own.newest() {
            let passed = now.saturating_duration_since(at);
            let less = |one: Duration, other: Duration| one.saturating_sub(other).as_secs_f64();
            let answered = totals.answered().saturating_sub(before.answered());
            let waited = less(totals.first_token_time(), before.first_token_time());
            self.first_token.take(waited, answered, passed);
            let gaps = totals.gaps().saturating_sub(before.gaps());
            self.gap.take(less(totals.gap_time(), before.gap_time()), gaps, passed);
        }
        self.own.push(totals, now);
        self.sequence += 1;
    }

    /// What the engine says about `label`. A page that says nothing about it is none.
    pub fn push_engine(&mut self, reading: &EngineReading, label: &str) {
        let Some(sample) = reading.sample(label) else { return };
        if self.engine.newest().is_some_and(|(_, before)| has_begun_again(before, sample)) {
            // Counters went back: the engine was started again, and what was before tells nothing about it.
            self.engine.clear();
        }
        self.engine.push(*sample, reading.at());
    }

    /// Exchanges that ended a second, and of them those that failed; clients that went away are neither. `None` as long as
    /// there was no time in which any could.
    pub fn rates(&self, now: Instant) -> Option<(f64, f64)> {
        let (seconds, before, last) = self.own.over(RATE_WINDOW, now)?;
        let more = |of: fn(&Totals) -> u64| of(last).saturating_sub(of(before)) as f64;
        let answered = more(Totals::ended) - more(Totals::cancelled);
        Some((answered.max(0.0) / seconds, more(Totals::failed) / seconds))
    }

    /// Time that was waited and worked over the last seconds: the engine's where it tells and is fresh, else ours. What was
    /// held here is waiting in any case.
    pub fn queue_compute(&self, setting: &Setting, now: Instant) -> QueueCompute {
        let own = self.own.over(RATIO_WINDOW, now);
        let held = own.map_or(0.0, |(_, before, last)| seconds(last.queue_time(), before.queue_time()));
        let engine = self.fresh(setting, now).and_then(|_| self.engine_queue_compute(now));
        let from = engine.or_else(|| {
            let (_, before, last) = own?;
            let worked =
                seconds(last.prefill_time(), before.prefill_time()) + seconds(last.decode_time(), before.decode_time());
            let requests = last.ended().saturating_sub(before.ended()) as f64;
            Some(QueueCompute { queue_seconds: 0.0, compute_seconds: worked, requests })
        });
        let from = from.unwrap_or_default();
        QueueCompute { queue_seconds: from.queue_seconds + held, ..from }
    }

    fn engine_queue_compute(&self, now: Instant) -> Option<QueueCompute> {
        let (_, before, last) = self.engine.over(RATIO_WINDOW, now)?;
        let more = |of: &dyn Fn(&EngineSample) -> Option<f64>| Some((of(last)? - of(before)?).max(0.0));
        Some(QueueCompute {
            queue_seconds: more(&|sample| sample.value(Quantity::QueueSeconds)).unwrap_or_default(),
            compute_seconds: more(&EngineSample::compute_seconds)?,
            requests: more(&EngineSample::ended)?,
        })
    }

    /// What the engine said last, if that is not too long ago.
    pub fn fresh(&self, setting: &Setting, now: Instant) -> Option<(Duration, &EngineSample)> {
        let (at, sample) = self.engine.newest()?;
        let age = now.saturating_duration_since(at);
        (age <= setting.engine_period.saturating_mul(STALE_PERIODS)).then_some((age, sample))
    }

    /// The report of this label; `measure` is where the totals came from.
    pub fn report(&self, measure: &Measure, setting: &Setting, now: Instant) -> LoadReport {
        let own = self.own.newest().map(|(_, totals)| *totals).unwrap_or_default();
        let engine = self.fresh(setting, now);
        let sample = engine.map(|(_, sample)| *sample).unwrap_or_default();
        let load = Load::of(&own, &sample, setting);
        let mut report = LoadReport { application_utilization: load.utilization(), ..LoadReport::default() };
        if let Some((rps, eps)) = self.rates(now) {
            (report.rps_fractional, report.eps) = (Some(rps), Some(eps));
        }
        let shares = [("kv_cache", load.kv_usage), ("slots", load.slots.map(|slots| slots.min(1.0)))];
        let prefill_rate = self.prefill_rate(setting, now);
        let age = |age: Option<Duration>| age.map(|age| age.as_secs_f64());
        let named = [
            ("num_requests_waiting", Some(load.waiting)),
            ("num_requests_running", Some(load.running)),
            ("in_flight", Some(own.in_flight() as f64)),
            ("prefill", Some(own.prefill() as f64)),
            ("decode", Some(own.decode() as f64)),
            ("slots_max", load.in_flight_max),
            ("queue_to_compute_ratio", self.queue_compute(setting, now).ratio()),
            ("oldest_waiting_s", age(measure.oldest_waiting_age(&own, now))),
            ("ttft_ewma_s", self.first_token.mean),
            ("tpot_ewma_s", self.gap.mean),
            ("prefill_rate", prefill_rate),
            ("max_token_capacity", sample.kv_tokens()),
            ("kv_free_tokens", sample.kv_tokens_free()),
            ("engine_age_s", age(engine.map(|(age, _)| age))),
            ("draining", setting.is_draining.then_some(1.0)),
            ("seq", Some(self.sequence as f64)),
        ];
        for (name, value) in shares {
            if let Some(value) = value {
                report.utilization.set(name, value);
            }
        }
        for (name, value) in named {
            if let Some(value) = value {
                report.named_metrics.set(name, value);
            }
        }
        report
    }

    /// Tokens that no cache had, read in a second of reading: the engine's figures, else ours.
    fn prefill_rate(&self, setting: &Setting, now: Instant) -> Option<f64> {
        let of_engine = || {
            self.fresh(setting, now)?;
            let (_, before, last) = self.engine.over(RATIO_WINDOW, now)?;
            let more = |quantity| Some((last.value(quantity)? - before.value(quantity)?).max(0.0));
            let cached = more(Quantity::CachedTokens).unwrap_or_default();
            quotient((more(Quantity::InputTokens)? - cached).max(0.0), more(Quantity::PrefillSeconds)?)
        };
        let of_ours = || {
            let (_, before, last) = self.own.over(RATIO_WINDOW, now)?;
            let uncached = |totals: &Totals| totals.input_tokens().saturating_sub(totals.cached_tokens());
            let tokens = uncached(last).saturating_sub(uncached(before)) as f64;
            quotient(tokens, seconds(last.prefill_time(), before.prefill_time()))
        };
        of_engine().or_else(of_ours)
    }
}

/// How full a server is now.
#[derive(Debug, Clone, Copy)]
struct Load {
    waiting: f64,
    running: f64,
    kv_usage: Option<f64>,
    in_flight_max: Option<f64>,
    /// What is in flight, as a share of what may be; more than 1 where it waits.
    slots: Option<f64>,
}

impl Load {
    fn of(own: &Totals, engine: &EngineSample, setting: &Setting) -> Self {
        let engine_waits = engine.value(Quantity::Waiting);
        let sent = (own.prefill() + own.decode()) as f64;
        let waiting = own.held() as f64 + engine_waits.unwrap_or_default();
        let running = engine.value(Quantity::Running).unwrap_or((sent - engine_waits.unwrap_or_default()).max(0.0));
        let in_flight_max = setting.in_flight_max.map(f64::from).or(engine.value(Quantity::RunningMax));
        // Others may ask the engine past us.
        let in_flight = (own.in_flight() as f64).max(waiting + running);
        let slots = in_flight_max.and_then(|max| quotient(in_flight, max));
        Self { waiting, running, kv_usage: engine.kv_usage(), in_flight_max, slots }
    }

    /// The fullest of what can be full: the cache, the slots, and the queue as a share of all there is to do. Whoever knows
    /// neither cache nor slots and has no queue does not know.
    fn utilization(&self) -> Option<f64> {
        let pressure = quotient(self.waiting, self.waiting + self.running).filter(|pressure| *pressure > 0.0);
        [self.kv_usage, self.slots, pressure].into_iter().flatten().reduce(f64::max)
    }
}

fn quotient(one: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| one / by)
}

fn seconds(last: Duration, before: Duration) -> f64 {
    last.saturating_sub(before).as_secs_f64()
}

/// Whether what only grows has become less.
fn has_begun_again(before: &EngineSample, now: &EngineSample) -> bool {
    use Quantity::{ComputeSeconds, Failed, Finished, InputTokens, OutputTokens, PrefillSeconds, QueueSeconds, Queued};
    let counted = [Finished, Failed, Queued, QueueSeconds, ComputeSeconds, PrefillSeconds, InputTokens, OutputTokens];
    counted.into_iter().any(|quantity| match (before.value(quantity), now.value(quantity)) {
        (Some(before), Some(now)) => now < before,
        _ => false,
    })
}

/// What was counted at which moment: one that is as old as the longest window, and all since.
#[derive(Debug, Clone)]
struct Moments<T>(VecDeque<(Instant, T)>);

impl<T> Default for Moments<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Moments<T> {
    fn newest(&self) -> Option<(Instant, &T)> {
        self.0.back().map(|(at, value)| (*at, value))
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn push(&mut self, value: T, now: Instant) {
        // Of three in a row, the first and the last are so far apart: room for the window, and some to spare.
        let apart = RATIO_WINDOW * 2 / (MOMENTS_MAX as u32 - 4);
        let mut latest = self.0.iter().rev().map(|(at, _)| *at);
        if let (Some(last), Some(before)) = (latest.next(), latest.next())
            && (now.saturating_duration_since(before) < apart || now <= last)
        {
            self.0.pop_back();
        }
        self.0.push_back((now, value));
        while self.0.len() > MOMENTS_MAX
            || self.0.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= RATIO_WINDOW)
        {
            self.0.pop_front();
        }
    }

    /// The newest, and the one before it by as much as `window`, or by as much as there is; with the seconds between them.
    /// `None` if the newest is itself older than that.
    fn over(&self, window: Duration, now: Instant) -> Option<(f64, &T, &T)> {
        let (last_at, last) = self.newest()?;
        if now.saturating_duration_since(last_at) > window {
            return None;
        }
        let from = last_at.checked_sub(window);
        let begun = from.map_or(0, |from| self.0.partition_point(|(at, _)| *at <= from).saturating_sub(1));
        let (at, before) = self.0.get(begun)?;
        let seconds = last_at.saturating_duration_since(*at).as_secs_f64();
        (seconds > 0.0).then_some((seconds, before, last))
    }
}

/// A mean that forgets.
#[derive(Debug, Clone, Copy, Default)]
struct Smoothed {
    mean: Option<f64>,
}

impl Smoothed {
    /// `count` values that are `sum` together, in the time that has passed.
    fn take(&mut self, sum: f64, count: u64, passed: Duration) {
        if count == 0 {
            return;
        }
        let mean = sum / count as f64;
        let weight = 1.0 - (-passed.as_secs_f64() / SMOOTHING.as_secs_f64()).exp();
        self.mean = Some(self.mean.map_or(mean, |held| held + (mean - held) * weight));
    }
}

#[cfg(test)]
mod tests;
