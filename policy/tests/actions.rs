//! The page of actions is what the tables say. `BLESS=1 cargo test` writes it anew.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{env, fmt::Write as _, fs, path::Path};

use portcullis_policy::action::{Row, TABLES};

const HEAD: &str = "\
# Which action a request is

Printed from the tables that decide it. Roles and AccessPolicies name these actions; `*` is all of them.

| action | what it means |
|---|---|
| `infer` | asks a model for an answer |
| `list-models` | lists models |
| `read-metadata` | reads what a server or a model says of itself: metadata, configuration, health |
| `metrics` | reads statistics |
| `files` | stores, reads or deletes files, batches, fine-tuning jobs and answers that are kept |
| `load-model` | loads or unloads a model or an adapter |
| `admin` | changes a server in any other way, **or does what no table knows on an inference server** |
| `access` | anything else at a backend that is no inference server (a Service without `protocol`) |

A path that is here with another method is `admin` on an inference server; `HEAD` counts as `GET`; `OPTIONS` needs the
gravest action of its path. `{model}` stands for one segment of a path, `{model…}` for one or more. One slash at the end
does not matter. On an inference server, a path with empty segments or in another case is `admin`.
";

#[test]
fn the_page_of_actions_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/actions.md");
    let mut page = HEAD.to_owned();
    for table in TABLES {
        let _ = write!(page, "\n## {}\n\n| method | path | action |\n|---|---|---|\n", table.name);
        for Row(methods, path, action) in table.rows {
            let methods: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
            let methods = if methods.is_empty() { "any".to_owned() } else { methods.join(", ") };
            let _ = writeln!(page, "| {methods} | `{path}` | `{action}` |");
        }
    }
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == page,
        "docs/actions.md: `BLESS=1 cargo test` writes it anew"
    );
}
