//! Much traffic, and how it is spread.

use std::{collections::BTreeMap, future::Future};

use futures_util::{StreamExt as _, stream};

/// Requests of one sample.
const REQUESTS: usize = 500;
/// Requests at a time.
const CONCURRENT: usize = 10;
/// How far a share may be from what was asked for.
const TOLERANCE: f64 = 0.05;
/// Samples of a fair gateway are outside of the tolerance now and then; not this often in a row.
const SAMPLES_MAX: usize = 10;
/// Samples of mirrored traffic.
const MIRRORED_SAMPLES_MAX: usize = 5;
/// How many standard deviations the number of mirrored requests may be from what was asked for.
const DEVIATIONS: f64 = 3.0;

/// Sends a sample of requests; what `send` gives is the pod that answered.
pub(super) async fn sample<F: Future<Output = String>>(send: impl Fn() -> F) -> Vec<String> {
    stream::iter(0..REQUESTS).map(|_| send()).buffer_unordered(CONCURRENT).collect().await
}

/// Demands that backends get their shares.
pub(super) async fn expect_shares<F: Future<Output = String>>(expected: &[(&str, f64)], send: impl Fn() -> F) {
    let mut fault = String::new();
    for _ in 0..SAMPLES_MAX {
        match check_shares(expected, &sample(&send).await) {
            Ok(()) => return,
            Err(found) => fault = found,
        }
    }
    panic!("{SAMPLES_MAX} samples, the last of them: {fault}");
}

fn check_shares(expected: &[(&str, f64)], pods: &[String]) -> Result<(), String> {
    let mut seen = BTreeMap::<&str, usize>::new();
    for pod in pods {
        // A pod is called as its Deployment, and two words more.
        let backend = pod.rsplitn(3, '-').nth(2).unwrap_or(pod);
        *seen.entry(backend).or_default() += 1;
    }
    if let Some(stranger) = seen.keys().find(|backend| !expected.iter().any(|(name, _)| name == *backend)) {
        return Err(format!("`{stranger}` gets requests"));
    }
    for (backend, share) in expected {
        let got = seen.get(backend).copied().unwrap_or_default() as f64 / pods.len() as f64;
        if (got - share).abs() > TOLERANCE || (*share == 0.0 && got > 0.0) {
            return Err(format!("{backend} gets {got}, not {share}"));
        }
    }
    Ok(())
}

/// Demands that a share of requests is mirrored. `send_sample` sends a sample and counts the copies.
pub(super) async fn expect_mirrored<F: Future<Output = usize>>(share: f64, send_sample: impl Fn() -> F) {
    let expected = REQUESTS as f64 * share;
    let margin = DEVIATIONS * (expected * (1.0 - share)).sqrt();
    let mut counts = Vec::new();
    for _ in 0..MIRRORED_SAMPLES_MAX {
        let count = send_sample().await;
        if (count as f64 - expected).abs() <= margin {
            return;
        }
        counts.push(count);
    }
    panic!("of {REQUESTS} requests {counts:?} are mirrored, not {expected} ± {margin:.0}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_from_others() {
        let pods = |a: usize, b: usize| {
            let of = |name: &str, count| vec![format!("{name}-7d9f-0"); count];
            [of("backend-a", a), of("backend-b", b)].concat()
        };
        let expected = [("backend-a", 0.7), ("backend-b", 0.3), ("backend-c", 0.0)];
        assert_eq!(check_shares(&expected, &pods(70, 30)), Ok(()));
        assert_eq!(check_shares(&expected, &pods(66, 34)), Ok(()));
        assert!(check_shares(&expected, &pods(60, 40)).is_err());
        assert!(check_shares(&expected[..1], &pods(70, 30)).is_err());
    }
}
