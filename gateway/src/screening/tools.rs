//! Takes the tools from a request, so that whatever talks the model into something can do nothing with it.

use portcullis_policy::guard::lanes::json::{Fault, Path, Quoted, Step, Visitor, walk};

/// Members of a request that give tools to a model, in any API.
const TOOLS: [&str; 8] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
    "functions",
    "function_call",
    "mcp_servers",
    "tool_resources",
];

/// The same document without them, every other byte of its members as it was; `None`: it has none.
pub(super) fn without_tools(json: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut members = Members::default();
    walk(json, &mut members)?;
    if !members.found.iter().any(|member| member.is_tool) {
        return Ok(None);
    }
    let ends = members.found.iter().skip(1).map(|member| member.at).chain([members.end]);
    let mut kept = b"{".to_vec();
    for (member, end) in members.found.iter().zip(ends).filter(|(member, _)| !member.is_tool) {
        if kept.len() > 1 {
            kept.push(b',');
        }
        let text = json.get(member.at..end).unwrap_or_default().trim_ascii_end();
        kept.extend_from_slice(text.strip_suffix(b",").unwrap_or(text));
    }
    kept.push(b'}');
    Ok(Some(kept))
}

/// The members of the outermost object.
#[derive(Debug, Default)]
struct Members {
    found: Vec<Member>,
    /// Where the object's last byte stands.
    end: usize,
}

#[derive(Debug)]
struct Member {
    /// Where its key begins, with the quote.
    at: usize,
    is_tool: bool,
}

impl<'b> Visitor<'b> for Members {
    fn string(&mut self, _: &Path<'b>, _: Quoted<'b>) -> Result<(), Fault> {
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        if let [Step::Key(name)] = path.steps() {
            self.found.push(Member { at: key.at.saturating_sub(1), is_tool: TOOLS.contains(&&**name) });
        }
        Ok(())
    }

    fn close(&mut self, path: &Path<'b>, end: usize, is_object: bool) -> Result<(), Fault> {
        if is_object && path.steps().is_empty() {
            self.end = end.saturating_sub(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_request_keeps_all_but_its_tools() {
        let check = |json: &str, expected: Option<&str>| {
            let without = without_tools(json.as_bytes()).unwrap().map(|text| String::from_utf8(text).unwrap());
            assert_eq!(without.as_deref(), expected, "{json}");
        };
        check(r#"{"model": "m", "n": 1.0}"#, None);
        check(r#"{"tools": [{"a": "}"}]}"#, Some("{}"));
        check(r#"{"a": 1 , "tools": [1, 2], "b": {"tools": []}}"#, Some(r#"{"a": 1 ,"b": {"tools": []}}"#));
        check(r#"{"\u0074ools": null, "tool_choice": "auto", "z": [ ] }"#, Some(r#"{"z": [ ]}"#));
        check("[1]", None);
        assert!(without_tools(b"{").is_err());
    }
}
