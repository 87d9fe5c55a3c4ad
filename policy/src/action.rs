//! What a request does, by protocol, method and path: the verbs of roles. [`TABLES`] say it row by row.

mod paths;
mod tables;

use std::fmt;

use http::Method;

use self::paths::{AS_WRITTEN, LOWER_CASE, gravest};
pub use self::tables::{Row, TABLES, Table};
use crate::snapshot::Dialect;

/// What a request does. `infer` is only what asks a model for an answer; whatever changes a server is never that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// Asks a model for an answer.
    Infer,
    /// Lists models.
    ListModels,
    /// Reads what a server or a model says of itself: metadata, configuration, health.
    ReadMetadata,
    /// Loads or unloads a model or an adapter.
    LoadModel,
    /// Reads statistics.
    Metrics,
    /// Stores, reads or deletes files, batches and fine-tuning jobs.
    Files,
    /// Changes a server in any other way, or does what nobody here knows on an inference server.
    Admin,
    /// Anything at a backend that is no inference server.
    Access,
}

impl Action {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 8] = [
        Self::Infer,
        Self::ListModels,
        Self::ReadMetadata,
        Self::LoadModel,
        Self::Metrics,
        Self::Files,
        Self::Admin,
        Self::Access,
    ];

    /// As documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::ListModels => "list-models",
            Self::ReadMetadata => "read-metadata",
            Self::LoadModel => "load-model",
            Self::Metrics => "metrics",
            Self::Files => "files",
            Self::Admin => "admin",
            Self::Access => "access",
        }
    }

    /// How much it takes to be allowed to, relative to the others.
    const fn gravity(self) -> u8 {
        match self {
            Self::Access => 0,
            Self::ListModels => 1,
            Self::ReadMetadata => 2,
            Self::Metrics => 3,
            Self::Infer => 4,
            Self::Files => 5,
            Self::LoadModel => 6,
            Self::Admin => 7,
        }
    }

    /// As documents write it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

/// What a request does, at a backend that speaks `dialect` (`None`: it is no inference server), by its canonical path.
///
/// Whatever the tables do not know is [`Action::Admin`] on an inference server, whose engines have paths that nobody here
/// has heard of, and [`Action::Access`] elsewhere. Engines take a path as it is: vLLM and SGLang redirect what ends with a
/// slash to what does not, Triton answers 404 to everything that differs by a letter's case. Paths that differ so are
/// therefore unknown on an inference server; elsewhere they are what they resemble, because who knows what serves them.
pub fn classify(dialect: Option<Dialect>, method: &Method, path: &str) -> Action {
    let inside = path.strip_prefix('/').unwrap_or(path);
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let is_server = dialect.is_some();
    if let Some(rows) = AS_WRITTEN.find(inside) {
        return of_rows(rows, method, is_server);
    }
    if is_server {
        return Action::Admin;
    }
    let segments: Vec<&str> = inside.split('/').filter(|segment| !segment.is_empty()).collect();
    let rows = LOWER_CASE.find(&segments.join("/").to_ascii_lowercase());
    rows.map_or(Action::Access, |rows| of_rows(rows, method, is_server))
}

fn of_rows(rows: &[&'static Row], method: &Method, is_server: bool) -> Action {
    if let Some(row) = rows.iter().find(|row| row.takes(method)) {
        return row.2;
    }
    let gravest = gravest(rows).unwrap_or(Action::Admin);
    match gravest {
        // A question about what could be done needs the right to do it: some servers do not look at methods.
        _ if *method == Method::OPTIONS => gravest,
        _ if is_server => Action::Admin,
        Action::Admin | Action::LoadModel => gravest,
        _ => Action::Access,
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ActionSet(u16);

impl ActionSet {
    /// Every action.
    pub const EVERY: Self = Self(u16::MAX);
    /// What `anonymous: {}` means: everything that does not change a server.
    pub const HARMLESS: Self = Self(!(1 << Action::LoadModel as u16 | 1 << Action::Admin as u16));

    /// Whether it has this one.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u16) != 0
    }

    /// Adds one.
    pub fn insert(&mut self, action: Action) {
        self.0 |= 1 << action as u16;
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::default();
        actions.into_iter().for_each(|action| set.insert(action));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: Option<Dialect> = Some(Dialect::OpenAi);
    const KSERVE: Option<Dialect> = Some(Dialect::KserveV2);

    fn check(dialect: Option<Dialect>, method: &str, path: &str, expected: Action) {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        assert_eq!(classify(dialect, &method, path), expected, "{method} {path}");
    }

    #[test]
    fn what_asks_a_model_is_inference_and_nothing_else_is() {
        for path in ["/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/rerank"]
        {
            check(OPENAI, "POST", path, Action::Infer);
            check(None, "POST", path, Action::Infer);
        }
        for path in ["/v2/models/m/infer", "/v2/models/m/versions/1/infer", "/v2/models/m/generate_stream"] {
            check(KSERVE, "POST", path, Action::Infer);
            check(KSERVE, "GET", path, Action::Admin);
            check(None, "GET", path, Action::Access);
        }
        check(KSERVE, "POST", "/inference.GRPCInferenceService/ModelStreamInfer", Action::Infer);
        check(OPENAI, "GET", "/v1/completions", Action::Admin);
        check(OPENAI, "GET", "/v1/realtime", Action::Infer);
        check(OPENAI, "CONNECT", "/v1/realtime", Action::Infer);
    }

    #[test]
    fn what_changes_a_server_is_never_inference_whatever_the_method() {
        let admin = [
            "/v2/systemsharedmemory/region/x/register",
            "/v2/systemsharedmemory/unregister",
            "/v2/cudasharedmemory/status",
            "/v2/logging",
            "/v2/trace/setting",
            "/v2/models/m/trace/setting",
            "/inference.GRPCInferenceService/LogSettings",
            "/sleep",
            "/wake_up",
            "/reset_prefix_cache",
            "/collective_rpc",
            "/flush_cache",
            "/get_server_info",
            "/update_weights_from_disk",
            "/start_profile",
        ];
        let load = [
            "/v2/repository/models/m/load",
            "/v2/repository/models/m/unload",
            "/v2/repository/r/models/m/unload",
            "/inference.GRPCInferenceService/RepositoryModelLoad",
            "/v1/load_lora_adapter",
            "/unload_lora_adapter",
        ];
        let both =
            admin.map(|path| (path, Action::Admin)).into_iter().chain(load.map(|path| (path, Action::LoadModel)));
        for (path, action) in both {
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
                for dialect in [OPENAI, KSERVE, Some(Dialect::Anthropic), None] {
                    check(dialect, method, path, action);
                }
            }
        }
        check(OPENAI, "DELETE", "/v1/models/ft:m", Action::LoadModel);
        check(OPENAI, "POST", "/v1/models/m/load", Action::LoadModel);
    }

    #[test]
    fn what_nobody_knows_is_closed_on_an_inference_server() {
        for path in ["/", "/v1", "/v1/nothing", "/v2/models/m/nothing", "/admin", "*", "", "/v1/chat/completions/x/y"] {
            check(OPENAI, "POST", path, Action::Admin);
            check(KSERVE, "GET", path, Action::Admin);
            check(None, "GET", path, Action::Access);
        }
        check(None, "POST", "/gateway_api.Echo/Echo", Action::Access);
    }

    #[test]
    fn variants_are_never_less_than_what_they_resemble() {
        check(OPENAI, "POST", "/v1/chat/completions/", Action::Infer);
        check(OPENAI, "POST", "/v1//chat/completions", Action::Admin);
        check(OPENAI, "POST", "/V1/Chat/Completions", Action::Admin);
        check(OPENAI, "GET", "/v1/models/", Action::ListModels);
        check(KSERVE, "GET", "/metrics/", Action::Metrics);
        check(KSERVE, "POST", "/v2/repository//models/m/load", Action::Admin);
        for path in ["/Sleep", "/sleep/", "//sleep", "/SLEEP//"] {
            check(None, "POST", path, Action::Admin);
        }
        check(None, "POST", "/V2/Repository/Models/M/Load", Action::LoadModel);
        check(None, "POST", "/inference.grpcinferenceservice/repositorymodelload", Action::LoadModel);
    }

    #[test]
    fn models_have_slashes_in_their_names() {
        check(OPENAI, "GET", "/v1/models", Action::ListModels);
        check(OPENAI, "HEAD", "/v1/models", Action::ListModels);
        check(OPENAI, "GET", "/v1/models/meta-llama/Llama-3.1-8B", Action::ReadMetadata);
        check(OPENAI, "GET", "/v1/models/meta-llama//x", Action::Admin);
        check(KSERVE, "GET", "/v2/models/stats", Action::Metrics);
        check(KSERVE, "GET", "/v2/models/m", Action::ReadMetadata);
        check(KSERVE, "POST", "/v2/repository/index", Action::ListModels);
    }

    #[test]
    fn files_are_stored_read_and_deleted() {
        check(OPENAI, "GET", "/v1/chat/completions", Action::Files);
        check(OPENAI, "GET", "/v1/responses/resp_1", Action::Files);
        check(OPENAI, "POST", "/v1/responses/resp_1/cancel", Action::Infer);
        check(OPENAI, "POST", "/v1/files", Action::Files);
        check(OPENAI, "DELETE", "/v1/files/f", Action::Files);
        check(OPENAI, "POST", "/v1/vector_stores/v/search", Action::Files);
        check(OPENAI, "PUT", "/v1/files/f", Action::Admin);
    }

    #[test]
    fn every_row_is_reached_and_no_two_contradict_each_other() {
        let rows = || TABLES.iter().flat_map(|table| table.rows);
        for row in rows() {
            let path = row.1.replace("{model…}", "a/b").replace("{path…}", "a/b").replace('{', "x-").replace('}', "");
            let methods = if row.0.is_empty() { &[Method::GET, Method::POST][..] } else { row.0 };
            for method in methods {
                assert_eq!(classify(KSERVE, method, &path), row.2, "{method} {path}");
                let literal = |other: &&Row| other.1 == row.1 && other.takes(method);
                assert_eq!(rows().filter(literal).count(), 1, "{method} {} stands twice", row.1);
            }
        }
    }
}
