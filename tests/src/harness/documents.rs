//! Documents for a gateway under test: texts by file name, and a plain reading of YAML for what a test must know of them.

use std::{borrow::Cow, collections::BTreeMap, fs, path::Path};

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// YAML documents by the name of the file they are written to. Later files of the same name replace earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    files: BTreeMap<String, String>,
}

/// A port that some listener of a Gateway asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerPort {
    /// `namespace/name` of the Gateway.
    pub gateway: String,
    /// The port as written.
    pub port: u16,
}

impl Documents {
    /// No documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more file.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(name.into(), text.into());
        self
    }

    /// With every `.yaml` file of a folder.
    #[must_use]
    pub fn with_folder(mut self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                self.files.insert(name, text);
            }
        }
        self
    }

    /// Every file's name and text.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Every document of every file, as far as the files are YAML.
    pub fn read(&self) -> Vec<Value> {
        self.files.values().flat_map(|text| read_yaml(text).unwrap_or_default()).collect()
    }

    /// The ports that the Gateways among the documents listen at, each once.
    pub fn listener_ports(&self) -> Vec<ListenerPort> {
        let mut ports = Vec::new();
        for document in self.read() {
            if document["kind"] != "Gateway" {
                continue;
            }
            let namespace = document["metadata"]["namespace"].as_str().unwrap_or("default");
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            for listener in document["spec"]["listeners"].as_array().into_iter().flatten() {
                if let Some(port) = listener["port"].as_u64().and_then(|port| u16::try_from(port).ok()) {
                    ports.push(ListenerPort { gateway: format!("{namespace}/{name}"), port });
                }
            }
        }
        ports.sort();
        ports.dedup();
        ports
    }
}

impl From<&str> for Documents {
    fn from(text: &str) -> Self {
        Self::new().with("documents.yaml", text)
    }
}

impl From<String> for Documents {
    fn from(text: String) -> Self {
        Self::new().with("documents.yaml", text)
    }
}

/// Reads YAML as JSON values, one per document: what manifests use of YAML, without aliases, tags or merge keys.
pub fn read_yaml(text: &str) -> Result<Vec<Value>, String> {
    enum Open {
        Sequence(Vec<Value>),
        Mapping(Map<String, Value>, Option<String>),
    }
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let complete = match event {
            Event::Scalar(text, style, _, _) => scalar(text, style),
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(items)) => Value::Array(items),
                Some(Open::Mapping(fields, _)) => Value::Object(fields),
                None => return Err("an end without a start".to_owned()),
            },
            Event::Alias(_) => return Err(format!("an alias in line {}", span.start.line())),
            _ => continue,
        };
        match open.last_mut() {
            None if complete.is_null() => {}
            None => documents.push(complete),
            Some(Open::Sequence(items)) => items.push(complete),
            Some(Open::Mapping(fields, key)) => match key.take() {
                None => *key = Some(complete.as_str().map_or_else(|| complete.to_string(), str::to_owned)),
                Some(key) => {
                    fields.insert(key, complete);
                }
            },
        }
    }
    Ok(documents)
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.into_owned());
    }
    match text.as_ref() {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        plain => plain.parse::<i64>().map(Number::from).map_or_else(|_| Value::String(plain.to_owned()), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_kubernetes_reads_it() {
        let text = "a: 1\nb: \"1\"\nc: [true, x y, null]\nd:\n- e: |\n    f\n    g\n---\n# nothing\n---\nh: {}\n";
        let expected =
            vec![json!({"a": 1, "b": "1", "c": [true, "x y", null], "d": [{"e": "f\ng\n"}]}), json!({"h": {}})];
        assert_eq!(read_yaml(text).unwrap(), expected);
    }

    #[test]
    fn ports_of_gateways_are_found_once_each() {
        let documents = Documents::from(
            "kind: Gateway\nmetadata: {name: a, namespace: n}\nspec:\n  listeners:\n  - {port: 443}\n  - {port: 80}\n  \
             - {port: 443}\n---\nkind: Service\nspec: {ports: [{port: 1}]}\n",
        );
        let port = |port| ListenerPort { gateway: "n/a".to_owned(), port };
        assert_eq!(documents.listener_ports(), [port(80), port(443)]);
    }
}
