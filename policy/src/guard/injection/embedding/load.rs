//! A model from its folder, once.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant, SystemTime},
};

use super::{
    NotEmbedded, NotLoaded,
    head::{Head, PROBE},
    minilm::{Minilm, PIECES, TEXT_PIECES_MAX},
    pieces::Pieces,
    threads,
};

/// The longest file that is read as weights, in bytes: those of the model have 91 million.
const WEIGHTS_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// The longest file that is read as a vocabulary, in bytes.
const VOCABULARY_BYTES_MAX: u64 = 1024 * 1024;
/// How far the probe's margin may be off: another order of the same sums.
const PROBE_OFF_MAX: f32 = 0.01;
/// How long the probe may take before the model is refused.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

static HEAD: &[u8] = include_bytes!("head.bin");

/// An embedding model, and the head that judges what it makes.
pub struct EmbeddingModel {
    pieces: Pieces,
    minilm: Minilm,
    head: Head,
}

impl fmt::Debug for EmbeddingModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EmbeddingModel").finish_non_exhaustive()
    }
}

/// Models that are in use, by folder and by when their weights were written.
static LOADED: Mutex<Vec<(PathBuf, SystemTime, Weak<EmbeddingModel>)>> = Mutex::new(Vec::new());

impl EmbeddingModel {
    /// The model of a folder with `model.safetensors` and `vocab.txt`. One that is in use already is shared.
    pub fn load(folder: &Path) -> Result<Arc<Self>, NotLoaded> {
        let file = folder.join("model.safetensors");
        let written = fs::metadata(&file)
            .and_then(|metadata| metadata.modified())
            .map_err(|why| NotLoaded::Unreadable { file, why })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|(_, _, model)| model.strong_count() > 0);
        let in_use = loaded.iter().find(|(of, when, _)| of == folder && *when == written);
        if let Some(model) = in_use.and_then(|(_, _, model)| model.upgrade()) {
            return Ok(model);
        }
        let head = Head::parse(HEAD).ok_or_else(|| NotLoaded::Wrong {
            file: "head.bin".into(),
            why: "the head that is shipped is not whole".into(),
        })?;
        let model = Arc::new(Self::with_head(folder, head)?);
        Self::probe(&model, folder)?;
        loaded.push((folder.to_owned(), written, Arc::downgrade(&model)));
        Ok(model)
    }

    /// The model of a folder, with another head: what the trainer begins with.
    pub fn with_head(folder: &Path, head: Head) -> Result<Self, NotLoaded> {
        let (file, bytes) = read(folder, "vocab.txt", VOCABULARY_BYTES_MAX)?;
        let vocabulary = String::from_utf8(bytes).map_err(|error| error.to_string());
        let pieces = vocabulary
            .and_then(|vocabulary| Pieces::parse(&vocabulary, PIECES))
            .map_err(|why| NotLoaded::Wrong { file, why })?;
        let (file, bytes) = read(folder, "model.safetensors", WEIGHTS_BYTES_MAX)?;
        // An error has a first line that says it, and may have others about the program.
        let first_line = |error: candle_core::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
        let minilm = Minilm::parse(bytes).map_err(|error| NotLoaded::Wrong { file, why: first_line(error) })?;
        Ok(Self { pieces, minilm, head })
    }

    /// Whether these are the weights that the head was trained with.
    fn probe(model: &Arc<Self>, folder: &Path) -> Result<(), NotLoaded> {
        let probed = model.clone();
        let embedding = threads::run(Instant::now() + PROBE_TIMEOUT, move || probed.embed(PROBE)).flatten();
        match embedding.map(|embedding| model.head.margin(&embedding)) {
            Ok(margin) if (margin - model.head.probe).abs() < PROBE_OFF_MAX => Ok(()),
            _ => Err(NotLoaded::Wrong {
                file: folder.join("model.safetensors"),
                why: "it embeds a known sentence in another way than the weights the head was trained with".into(),
            }),
        }
    }

    /// The embedding of a text: what is like in meaning is near. What is longer than the model takes is cut.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, NotEmbedded> {
        self.minilm.embed(&self.pieces.cut(text, TEXT_PIECES_MAX)).map_err(|_| NotEmbedded::Failed)
    }

    /// The numbers of a text's pieces, as the model takes them.
    pub fn pieces(&self, text: &str) -> Vec<u32> {
        self.pieces.cut(text, TEXT_PIECES_MAX)
    }

    /// The score from which on a text counts as an attack where nobody says otherwise.
    pub fn threshold(&self) -> f32 {
        self.head.threshold
    }

    pub(super) fn second(&self, log_odds: f32, window: &str) -> Result<f32, NotEmbedded> {
        let value = self.head.score(log_odds, &self.embed(window)?);
        if value.is_finite() { Ok(value) } else { Err(NotEmbedded::Failed) }
    }
}

fn read(folder: &Path, name: &str, most: u64) -> Result<(PathBuf, Vec<u8>), NotLoaded> {
    let file = folder.join(name);
    match fs::metadata(&file).map(|metadata| metadata.len()) {
        Ok(length) if length > most => {
            return Err(NotLoaded::Wrong { file, why: format!("it has {length} bytes, more than {most}") });
        }
        _ => {}
    }
    match fs::read(&file) {
        Ok(bytes) => Ok((file, bytes)),
        Err(why) => Err(NotLoaded::Unreadable { file, why }),
    }
}
