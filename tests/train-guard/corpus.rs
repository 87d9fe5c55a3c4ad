//! Texts with labels, and what two of them have in common.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

use portcullis_policy::guard::injection::normalise;
use serde::Deserialize;

/// A text, and whether it is an attack.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) attack: u8,
    #[serde(default)]
    pub(crate) channel: String,
    #[serde(default, skip)]
    pub(crate) corpus: usize,
}

/// Corpora, by name.
pub(crate) type Corpora = Vec<(String, Vec<Row>)>;

/// The corpora of a part.
pub(crate) fn read(folder: &Path, part: &str) -> io::Result<Corpora> {
    let mut corpora = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(folder.join(part))?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let rows: Result<Vec<Row>, _> = text.lines().map(serde_json::from_str).collect();
        corpora.push((name, rows?));
    }
    Ok(corpora)
}

/// The words of a text as the score reads them, without signs.
fn words(text: &str) -> Vec<u64> {
    let normal = normalise(text);
    normal
        .text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
            })
        })
        .collect()
}

fn join(words: &[u64]) -> u64 {
    words.iter().fold(17, |hash: u64, word| hash.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word)
}

/// Runs of five words; a shorter text is one run.
pub(crate) fn shingles(text: &str) -> HashSet<u64> {
    const WORDS: usize = 5;
    let words = words(text);
    if words.len() <= WORDS { HashSet::from([join(&words)]) } else { words.windows(WORDS).map(join).collect() }
}

/// Texts that were seen, by what they share.
#[derive(Default)]
pub(crate) struct Seen {
    texts: Vec<u32>,
    by_shingle: HashMap<u64, Vec<u32>>,
}

impl Seen {
    /// Whether this text shares more than `share` of the runs of the shorter of the two with one that was seen.
    pub(crate) fn like(&self, shingles: &HashSet<u64>, share: f32) -> bool {
        let mut common: HashMap<u32, u32> = HashMap::new();
        for shingle in shingles {
            for text in self.by_shingle.get(shingle).into_iter().flatten() {
                *common.entry(*text).or_default() += 1;
            }
        }
        common.into_iter().any(|(text, count)| {
            let shorter = (shingles.len() as u32).min(self.texts.get(text as usize).copied().unwrap_or(1)).max(1);
            count as f32 / shorter as f32 > share
        })
    }

    /// Remembers a text.
    pub(crate) fn add(&mut self, shingles: &HashSet<u64>) {
        let text = self.texts.len() as u32;
        self.texts.push(shingles.len() as u32);
        for shingle in shingles {
            let texts = self.by_shingle.entry(*shingle).or_default();
            // Phrases that everybody uses tell nothing and cost much.
            if texts.len() < 64 {
                texts.push(text);
            }
        }
    }
}
