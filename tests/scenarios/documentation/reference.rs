//! The reference of documents is what the types say. `BLESS=1 cargo test` writes it anew.

use std::{env, fmt::Write as _, fs};

use portcullis_policy::{
    documents::kinds::{KINDS, KindInfo, api_version},
    schema,
};
use serde_json::Value;

use super::{read, repository};

const FILE: &str = "docs/reference.md";
const HEAD: &str = "\
# Every field of every document

Printed from the types that read the documents, so it is complete: a field that is not here is an error. What the kinds are
for, and which of them are enforced, is in [documents.md](documents.md). Fields of the standard's kinds mean what
[the Gateway API](https://gateway-api.sigs.k8s.io/reference/spec/) and Kubernetes say. **Bold**: must be there. `[]`: a list.
Every document has `apiVersion`, `kind` and `metadata` besides.
";

#[test]
fn the_reference_is_current() {
    let printed = print();
    if env::var_os("BLESS").is_some() {
        fs::write(repository().join(FILE), &printed).unwrap();
    }
    assert!(read(FILE) == printed, "{FILE} is not what the types say: `BLESS=1 cargo test` writes it anew");
}

#[test]
fn every_kind_is_explained() {
    let page = read("docs/documents.md");
    for info in KINDS {
        assert!(page.contains(&format!("`{}`", info.kind)), "docs/documents.md says nothing of {}", info.kind);
    }
}

fn print() -> String {
    let schemas = schema::json_schema();
    let mut text = HEAD.to_owned();
    for info in KINDS {
        let _ = write!(text, "\n## {}\n\n`{}`\n\n", info.kind, versions(info).join("`, `"));
        let schema = &schemas["$defs"][info.kind];
        if let Some(description) = schema["description"].as_str() {
            let _ = write!(text, "{}\n\n", one_line(description));
        }
        text += "| field | type | meaning |\n|---|---|---|\n";
        properties(schema, "", &mut text);
    }
    text
}

fn versions(info: &KindInfo) -> Vec<String> {
    info.versions.iter().map(|version| api_version(info.group, version)).collect()
}

fn properties(schema: &Value, above: &str, text: &mut String) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if above.is_empty() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        let property = not_null(property);
        let items = property.get("items").map(not_null);
        let path = format!("{above}{name}{}", if items.is_some() { "[]" } else { "" });
        let inner = items.unwrap_or(property);
        let shown = if required(name) { format!("**`{path}`**") } else { format!("`{path}`") };
        let meaning = property["description"].as_str().map(one_line).unwrap_or_default();
        let _ = writeln!(text, "| {shown} | {} | {meaning} |", type_of(inner));
        // The same filters as those of the rule.
        if path.ends_with("backendRefs[].filters[]") {
            continue;
        }
        properties(inner, &format!("{path}."), text);
    }
}

/// The schema itself, where it also allows for nothing.
fn not_null(schema: &Value) -> &Value {
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    choices.clone().find(|choice| choice["type"] != "null").filter(|_| choices.count() == 2).unwrap_or(schema)
}

fn type_of(schema: &Value) -> String {
    let choices = |schema: &Value| -> Vec<String> {
        let words = schema["enum"].as_array().into_iter().flatten();
        let constants = schema["oneOf"].as_array().into_iter().flatten().map(|choice| &choice["const"]);
        let all: Vec<&Value> = words.chain(constants).filter(|value| value.is_string()).collect();
        all.iter().map(|value| format!("`{}`", value.as_str().unwrap_or_default())).collect()
    };
    let words = choices(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    if let Some(format) = schema["format"].as_str().filter(|format| !format.starts_with("uint") && *format != "double")
    {
        return format.replace('-', " ");
    }
    match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let names: Vec<_> = names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect();
            names.join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
