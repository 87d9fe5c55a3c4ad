//! Two logistic regressions: the embedding's weights, and what they and the linear model count for.

use portcullis_policy::guard::injection::embedding::head::Head;

use super::Seen;

const PASSES: usize = 3000;
/// An embedding's numbers are small, so the steps are not.
const RATE: f64 = 20.0;
const DECAY: f64 = 2e-5;

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The weights of an embedding. Each kind counts for half.
pub(crate) fn weights(learnt: &[Seen]) -> Vec<f32> {
    let mut weights = vec![0.0_f64; learnt[0].embedding.len()];
    let mut bias = 0.0;
    let attacks = learnt.iter().filter(|seen| seen.attack).count() as f64;
    let share = |seen: &Seen| 0.5 / if seen.attack { attacks } else { learnt.len() as f64 - attacks };
    for pass in 0..PASSES {
        let mut slopes: Vec<f64> = weights.iter().map(|weight| weight * DECAY).collect();
        let mut lift = 0.0;
        for seen in learnt {
            let margin: f64 =
                seen.embedding.iter().zip(&weights).map(|(value, weight)| f64::from(*value) * weight).sum();
            let error = (probability(margin + bias) - f64::from(u8::from(seen.attack))) * share(seen);
            for (slope, value) in slopes.iter_mut().zip(&seen.embedding) {
                *slope += error * f64::from(*value);
            }
            lift += error;
        }
        for (weight, slope) in weights.iter_mut().zip(&slopes) {
            *weight -= RATE * slope;
        }
        bias -= lift;
        if pass % 500 == 0 {
            eprintln!("pass {pass}: bias {bias:.3}");
        }
    }
    weights.into_iter().map(|weight| weight as f32).collect()
}

/// Scales the weights, and says what the linear model counts for, what is added and from where on a text counts as an attack.
pub(crate) fn calibrate(head: &mut Head, chosen: &[Seen]) {
    let inputs: Vec<([f64; 2], bool)> = chosen
        .iter()
        .map(|seen| ([f64::from(head.margin(&seen.embedding)), f64::from(seen.log_odds)], seen.attack))
        .collect();
    let attacks = inputs.iter().filter(|(_, attack)| *attack).count() as f64;
    let (mut factors, mut bias) = ([0.5_f64, 0.5], 0.0);
    for _ in 0..20_000 {
        let (mut slopes, mut lift) = ([0.0; 2], 0.0);
        for (input, attack) in &inputs {
            let of = if *attack { attacks } else { inputs.len() as f64 - attacks };
            let log_odds = input[0] * factors[0] + input[1] * factors[1] + bias;
            let error = (probability(log_odds) - f64::from(u8::from(*attack))) / of;
            slopes[0] += error * input[0];
            slopes[1] += error * input[1];
            lift += error;
        }
        factors[0] -= 0.05 * slopes[0];
        factors[1] -= 0.05 * slopes[1];
        bias -= 0.05 * lift;
    }
    head.weights.iter_mut().for_each(|weight| *weight *= factors[0] as f32);
    head.probe *= factors[0] as f32;
    (head.linear, head.bias) = (factors[1] as f32, bias as f32);
    // As the linear model: a person's request is stopped for being among the one in two hundred.
    let ordinary = chosen.iter().filter(|seen| !seen.attack);
    head.threshold = quantile(ordinary.map(|seen| head.score(seen.log_odds, &seen.embedding)), 0.005);
}

/// The value that so large a share of these is above.
pub(crate) fn quantile(values: impl Iterator<Item = f32>, share: f32) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(|one, other| other.total_cmp(one));
    values.get((values.len() as f32 * share) as usize).copied().unwrap_or(0.0)
}
