//! What editors and clusters want to know of our kinds: one JSON Schema, and CustomResourceDefinitions. Both come from
//! the types that read the documents, so that they cannot say anything else than [`check`](crate::check) does.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::documents::{
    KINDS, KindInfo, formats,
    kinds::{OUR_GROUP, api_version},
    words,
};

/// What the schema calls itself.
const SCHEMA_ID: &str = "https://portcullis.dev/schemas/documents.json";

/// How our kinds are called in a cluster: kind, plural, short names.
const NAMES: &[(&str, &str, &[&str])] = &[
    ("InferenceBackend", "inferencebackends", &["ib"]),
    ("Certificate", "certificates", &["pcert"]),
    ("IdentityProvider", "identityproviders", &["idp"]),
    ("AccessPolicy", "accesspolicies", &["acp"]),
    ("Role", "roles", &[]),
    ("RoleBinding", "rolebindings", &[]),
    ("GuardrailPolicy", "guardrailpolicies", &["guard"]),
    ("AuditSink", "auditsinks", &["sink"]),
    ("PolicyTest", "policytests", &["ptest"]),
    ("TransportPolicy", "transportpolicies", &["tpol"]),
    ("WorkloadPolicy", "workloadpolicies", &["wpol"]),
];

/// One JSON Schema (draft 2020-12) for files that hold documents of any kind that is read. Each kind's own schema stands
/// below `$defs`, by its name.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    for info in KINDS {
        definitions.insert(info.kind.to_owned(), definition(info));
        choices.push(json!({
            "if": {"properties": {"apiVersion": versions(info), "kind": {"const": info.kind}}},
            "then": {"$ref": format!("#/$defs/{}", info.kind)},
        }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Portcullis documents",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}},
        "allOf": choices,
        "$defs": definitions,
    })
}

/// The API versions of a kind, as a schema.
fn versions(info: &KindInfo) -> Value {
    let versions: Vec<String> = info.versions.iter().map(|version| api_version(info.group, version)).collect();
    json!({"enum": versions})
}

/// The schema of one kind: what the types say, with the kind's name, and patterns for the formats that are ours.
fn definition(info: &KindInfo) -> Value {
    let mut schema = (info.schema)().clone();
    with_patterns(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), info.kind.into());
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("apiVersion".into(), versions(info));
            properties.insert("kind".into(), json!({"const": info.kind}));
        }
    }
    schema
}

fn with_patterns(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(pattern) = pattern_of(object) {
                object.insert("pattern".into(), pattern.into());
            }
            // Fields that are read over are fields.
            if let Some(Value::Array(names)) = object.remove("x-passed-over")
                && let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut)
            {
                properties.extend(names.iter().filter_map(Value::as_str).map(|name| (name.to_owned(), true.into())));
            }
            object.values_mut().for_each(with_patterns);
        }
        Value::Array(items) => items.iter_mut().for_each(with_patterns),
        _ => {}
    }
}

fn pattern_of(schema: &Map<String, Value>) -> Option<&'static str> {
    schema.get("format").and_then(Value::as_str).and_then(formats::pattern)
}

/// A CustomResourceDefinition for each of our kinds, `apiextensions.k8s.io/v1`.
pub fn custom_resource_definitions() -> Vec<Value> {
    let ours = KINDS.iter().filter(|info| info.group == OUR_GROUP);
    ours.filter_map(|info| {
        let names = NAMES.iter().find(|(kind, ..)| *kind == info.kind)?;
        Some(custom_resource_definition(info, names.1, names.2))
    })
    .collect()
}

fn custom_resource_definition(info: &KindInfo, plural: &str, short_names: &[&str]) -> Value {
    let mut schema = structural((info.schema)());
    let has_status = schema.pointer("/properties/status").is_some();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        // The cluster judges metadata itself, and forbids to say more of it.
        properties.insert("metadata".into(), json!({"type": "object"}));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !matches!(name.as_str(), Some("apiVersion" | "kind" | "metadata")));
    }
    let versions: Vec<Value> = info
        .versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            let mut version = json!({
                "name": version,
                "served": true,
                "storage": index == 0,
                "schema": {"openAPIV3Schema": schema},
            });
            if has_status && let Some(version) = version.as_object_mut() {
                version.insert("subresources".into(), json!({"status": {}}));
            }
            version
        })
        .collect();
    let mut names = json!({
        "kind": info.kind,
        "listKind": format!("{}List", info.kind),
        "plural": plural,
        "singular": info.kind.to_lowercase(),
        "categories": ["portcullis"],
    });
    if !short_names.is_empty()
        && let Some(names) = names.as_object_mut()
    {
        names.insert("shortNames".into(), json!(short_names));
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{}", info.group)},
        "spec": {"group": info.group, "scope": "Namespaced", "names": names, "versions": versions},
    })
}

/// A schema as clusters take them ("structural"): one type everywhere, choices only of what is required, and nothing that
/// OpenAPI v3 as Kubernetes reads it does not know.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
fn structural(schema: &Value) -> Value {
    let Some(schema) = schema.as_object() else {
        return json!({"x-kubernetes-preserve-unknown-fields": true});
    };
    let mut out = Map::new();
    if let Some(description) = schema.get("description") {
        out.insert("description".into(), description.clone());
    }
    // `Option`: absent is as good as null, and clusters drop null.
    if let Some(choice) = schema.get("anyOf").and_then(Value::as_array) {
        let mut others = choice.iter().filter(|one| one.get("type").and_then(Value::as_str) != Some("null"));
        if let Some(only) = others.next() {
            let inner = structural(only);
            for (key, value) in inner.as_object().into_iter().flatten() {
                out.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        return out.into();
    }
    if let Some(words) = words(schema) {
        out.insert("type".into(), "string".into());
        out.insert("enum".into(), words.into());
        return out.into();
    }
    if schema.get("x-kubernetes-int-or-string").is_some() {
        out.insert("x-kubernetes-int-or-string".into(), true.into());
        return out.into();
    }
    let Some(kind) = type_of(schema) else {
        out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        return out.into();
    };
    out.insert("type".into(), kind.into());
    match kind {
        "object" => structural_object(schema, &mut out),
        "array" => {
            out.insert("items".into(), structural(schema.get("items").unwrap_or(&Value::Bool(true))));
            if let Some(least) = schema.get("minItems") {
                out.insert("minItems".into(), least.clone());
            }
        }
        "integer" | "number" => structural_number(schema, &mut out),
        "string" => {
            if let Some(pattern) = pattern_of(schema) {
                out.insert("pattern".into(), pattern.into());
            }
        }
        _ => {}
    }
    for bound in ["minItems", "maxItems", "minLength", "maxLength"] {
        if let Some(value) = schema.get(bound) {
            out.insert(bound.into(), value.clone());
        }
    }
    out.into()
}

fn structural_object(schema: &Map<String, Value>, out: &mut Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
        let inner = properties.iter().map(|(name, schema)| (name.clone(), structural(schema)));
        out.insert("properties".into(), Value::Object(inner.collect()));
    } else if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
        out.insert("additionalProperties".into(), structural(values));
    } else if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
    // What is left of `oneOf` here says which of several fields belong there.
    for key in ["required", "oneOf"] {
        if let Some(value) = schema.get(key) {
            out.insert(key.into(), value.clone());
        }
    }
}

fn structural_number(schema: &Map<String, Value>, out: &mut Map<String, Value>) {
    // Clusters know the signed formats only.
    let (format, greatest) = match schema.get("format").and_then(Value::as_str) {
        Some("uint16") => (Some("int32"), Some(u32::from(u16::MAX))),
        Some("uint32") => (Some("int64"), Some(u32::MAX)),
        Some(known @ ("int32" | "int64" | "float" | "double")) => (Some(known), None),
        _ => (None, None),
    };
    if let Some(format) = format {
        out.insert("format".into(), format.into());
    }
    let minimum = schema.get("minimum").cloned();
    let maximum = schema.get("maximum").cloned().or_else(|| greatest.map(Value::from));
    for (name, bound) in [("minimum", minimum), ("maximum", maximum)] {
        if let Some(bound) = bound {
            out.insert(name.into(), bound);
        }
    }
}

/// The one type beside `null`.
fn type_of(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        // Clusters take one type and no choice: what may be either is not looked at by them.
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            let first = kinds.next();
            first.filter(|_| kinds.next().is_none())
        }
        _ => None,
    }
}

/// Documents as one YAML file.
pub fn yaml(documents: &[Value]) -> String {
    let mut out = String::new();
    for document in documents {
        out.push_str("---\n");
        write_yaml(document, 0, &mut out);
    }
    out
}

/// A value after its `key:` or `-`, up to the end of its last line.
fn write_yaml(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let _ = write!(out, "{:indent$}{}:", "", scalar(key));
                write_below(value, indent + 2, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                match item {
                    // Its first key stands beside the dash.
                    Value::Object(entries) if !entries.is_empty() => {
                        let mut inner = String::new();
                        write_yaml(item, indent + 2, &mut inner);
                        let _ = write!(out, " {}", inner.trim_start());
                    }
                    _ => write_below(item, indent + 2, out),
                }
            }
        }
        flat => {
            let _ = writeln!(out, "{:indent$}{}", "", flat_yaml(flat));
        }
    }
}

fn write_below(value: &Value, indent: usize, out: &mut String) {
    let is_flat = match value {
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if is_flat {
        let _ = writeln!(out, " {}", flat_yaml(value));
    } else {
        out.push('\n');
        write_yaml(value, indent, out);
    }
}

fn flat_yaml(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A string, in quotes unless it is a plain word that no reader takes for anything else.
fn scalar(text: &str) -> String {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'/' | b'_');
    let is_plain = text.bytes().all(is_word)
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    // JSON strings are YAML strings.
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

    use super::*;
    use crate::documents::{Sources, parse};

    /// Kubernetes' rules for structural schemas, as far as they concern what is written here.
    fn check_structural(schema: &Value, at: &str) {
        let object = schema.as_object().unwrap_or_else(|| panic!("{at}: {schema}"));
        let known = [
            "description",
            "type",
            "properties",
            "additionalProperties",
            "items",
            "required",
            "enum",
            "format",
            "pattern",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "oneOf",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-int-or-string",
        ];
        for key in object.keys() {
            assert!(known.contains(&key.as_str()), "{at}: `{key}` is not for clusters");
        }
        let has_type = object.get("type").is_some_and(Value::is_string);
        let is_free = object.keys().any(|key| key.starts_with("x-kubernetes-"));
        assert!(has_type || is_free, "{at}: no type");
        assert!(!(object.contains_key("properties") && object.contains_key("additionalProperties")), "{at}");
        assert_ne!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
        let properties = object.get("properties").and_then(Value::as_object);
        let has = |name: &Value| properties.is_some_and(|properties| properties.contains_key(name.as_str().unwrap()));
        for name in object.get("required").and_then(Value::as_array).into_iter().flatten() {
            assert!(has(name), "{at}: requires {name}, which it does not know");
        }
        for choice in object.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
            let choice = choice.as_object().unwrap();
            assert_eq!(choice.keys().collect::<Vec<_>>(), ["required"], "{at}: a choice may only require");
            assert!(choice["required"].as_array().unwrap().iter().all(has), "{at}: {choice:?}");
        }
        for (name, schema) in properties.into_iter().flatten() {
            check_structural(schema, &format!("{at}.{name}"));
        }
        for key in ["items", "additionalProperties"] {
            if let Some(schema) = object.get(key) {
                check_structural(schema, &format!("{at}[]"));
            }
        }
        assert_eq!(object.get("type") == Some(&"array".into()), object.contains_key("items"), "{at}");
    }

    #[test]
    fn definitions_are_what_clusters_take() {
        let definitions = custom_resource_definitions();
        assert_eq!(definitions.len(), KINDS.iter().filter(|info| info.group == OUR_GROUP).count());
        for definition in &definitions {
            let names = &definition["spec"]["names"];
            let name = format!("{}.{}", names["plural"].as_str().unwrap(), OUR_GROUP);
            assert_eq!(definition["metadata"]["name"], name.as_str());
            let versions = definition["spec"]["versions"].as_array().unwrap();
            assert_eq!(versions.iter().filter(|version| version["storage"] == true).count(), 1);
            for version in versions {
                let schema = &version["schema"]["openAPIV3Schema"];
                assert_eq!(schema["type"], "object");
                assert_eq!(schema["properties"]["metadata"], json!({"type": "object"}), "nothing more may be said");
                check_structural(schema, names["kind"].as_str().unwrap());
            }
        }
    }

    #[test]
    fn every_kind_of_ours_has_a_name_of_its_own() {
        let mut words: Vec<&str> =
            NAMES.iter().flat_map(|(_, plural, short)| short.iter().chain([plural])).copied().collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn what_matters_is_said_to_clusters() {
        let definitions = custom_resource_definitions();
        let spec = &definitions[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(spec["properties"]["protocol"]["enum"], json!(["openai", "anthropic", "kserve-v2"]));
        let endpoint = &spec["properties"]["endpoints"]["items"];
        assert_eq!(endpoint["required"], json!(["address", "port"]));
        assert_eq!(
            endpoint["properties"]["port"],
            json!({
                "description": "The port for HTTP.", "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535,
            })
        );
        let transport = &spec["properties"]["transport"];
        assert_eq!(transport["oneOf"], json!([{"required": ["mtls"]}, {"required": ["plaintext"]}]));
    }

    #[test]
    fn the_schema_for_editors_names_every_kind() {
        let schema = json_schema();
        assert_eq!(schema["$defs"].as_object().unwrap().len(), KINDS.len());
        assert_eq!(schema["$defs"]["HTTPRoute"]["properties"]["kind"], json!({"const": "HTTPRoute"}));
        let hostnames = &schema["$defs"]["HTTPRoute"]["properties"]["spec"]["properties"]["hostnames"]["items"];
        assert!(hostnames["pattern"].is_string());
        assert_eq!(schema.pointer("/$defs/Secret/properties/metadata/properties/uid"), Some(&Value::Bool(true)));
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let value = json!({
            "plain": "word", "yes": "no", "number": "5", "empty": "", "text": "a: b # c\n- d", "quote": "\"'\\",
            "list": [1, [2, []], {"a": {"b": {}}, "c": null}], "float": 0.5, "true": true, "ü": "ü",
        });
        let document =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b: c"}});
        let text = yaml(&[document]);
        let (documents, diagnostics) = parse(&Sources::of_text("a.yaml", &text));
        assert!(diagnostics.is_empty() && documents.len() == 1, "{text}");
        let text = yaml(std::slice::from_ref(&value));
        assert_eq!(crate::documents::read_untyped(&text), [value], "{text}");
    }
}
