//! The documents that configure the gateway, and what Envoy is told of the same roles.

use std::{fmt::Write as _, fs};

use tempfile::TempDir;

use super::{
    Callers, Guards, Routes, base64,
    callers::{AUDIENCE, ISSUER, group},
};
use crate::{Outcome, load::HOST};

/// So many roles of four rules each.
const ROLES: usize = 25;
/// The one that allows the request: in the middle.
const ALLOWING_ROLE: usize = 12;
/// In a company: this many roles, each bound so often, each time to so many people and groups.
const COMPANY_ROLES: usize = 100;
const BINDINGS: usize = 1000;
const PEOPLE_EACH: usize = 100;
const GROUPS_EACH: usize = 5;

/// The documents that configure the gateway. What is not known yet stands in them as `@DIR@` and `@ORIGIN@`.
pub(crate) fn documents(workshop: &TempDir, routes: Routes) -> Outcome<String> {
    let mut text = include_str!("portcullis.yaml").to_owned();
    match routes {
        Routes::All => text.push_str(include_str!("routes-all.yaml")),
        Routes::Model => text.push_str(include_str!("routes-model.yaml")),
        Routes::Many(count) => {
            for route in 0..count {
                // One rule of `routes-all.yaml` under a host or a path of its own.
                let renamed = include_str!("routes-all.yaml").replace("name: all", &format!("name: route-{route}"));
                let own = if route % 2 == 0 {
                    renamed.replace("  rules:\n", &format!("  hostnames: [s{route}.{HOST}]\n  rules:\n"))
                } else {
                    let rule = format!("  - matches: [{{path: {{type: PathPrefix, value: /r{route}}}}}]\n    filters:");
                    renamed.replace("  - filters:", &rule)
                };
                write!(text, "{own}")?;
            }
        }
        Routes::Chat(Callers::Anyone) => text.push_str(include_str!("routes-chat.yaml")),
        Routes::Chat(callers) => {
            text = text.replace("{anonymous: {}}", "{providers: [sso]}");
            text.push_str(include_str!("routes-chat.yaml"));
            // What is said by default is said here, so that a table stands for something.
            let fresh = if callers == Callers::Verified { "0s" } else { "30s" };
            text.push_str(&named(include_str!("provider.yaml")).replace("@FRESH@", fresh));
            text.push_str(&if callers == Callers::Company { company() } else { roles() });
            if callers == Callers::Screened {
                text.push_str(include_str!("guardrails.yaml"));
            }
        }
    }
    let encoded = |name: &str| -> Outcome<String> { Ok(base64(&fs::read(workshop.path().join(name))?)) };
    Ok(text.replace("@CERTIFICATE@", &encoded("edge.crt")?).replace("@KEY@", &encoded("edge.key")?))
}

fn named(template: &str) -> String {
    template.replace("@ISSUER@", ISSUER).replace("@AUDIENCE@", AUDIENCE)
}

fn role_name(role: usize) -> String {
    format!("team-{role:03}")
}

fn role(role: usize, allowing: usize) -> String {
    let models = if role == allowing { "llama-3.1-*".to_owned() } else { format!("{}-*", role_name(role)) };
    include_str!("role.yaml").replace("@ROLE@", &role_name(role)).replace("@MODELS@", &models)
}

fn binding(name: &str, role: usize, subjects: &[String]) -> String {
    let template = include_str!("binding.yaml").replace("@BINDING@", name).replace("@ROLE@", &role_name(role));
    template.replace("@SUBJECTS@", &subjects.join("\n"))
}

fn group_subject(number: usize) -> String {
    format!("- {{kind: Group, provider: sso, name: {}}}", group(number))
}

/// A hundred rules, each role's four bound to one group.
fn roles() -> String {
    let one = |number: usize| {
        let binding = binding(&role_name(number), number, &[group_subject(number)]);
        role(number, ALLOWING_ROLE) + &binding
    };
    (0..ROLES).map(one).collect()
}

/// A company: its roles, and who has them.
fn company() -> String {
    let mut text: String = (0..COMPANY_ROLES).map(|number| role(number, ALLOWING_ROLE)).collect();
    for number in 0..BINDINGS {
        let groups = (0..GROUPS_EACH).map(|at| group_subject(number + at * BINDINGS));
        let people = (0..PEOPLE_EACH).map(|at| {
            let person = number * PEOPLE_EACH + at;
            format!("- {{kind: User, provider: sso, name: engineer-{person:06}@bench.example}}")
        });
        let subjects: Vec<_> = groups.chain(people).collect();
        text += &binding(&format!("binding-{number:04}"), number % COMPANY_ROLES, &subjects);
    }
    text
}

/// The same decision by Envoy's filters, `@DIR@` in it: whose credential, and whether a role of a group of theirs allows
/// the request. Without `reads_model`, whatever the model.
pub(crate) fn envoy_guards(guards: Guards) -> String {
    let cache = if guards.remembers { "jwt_cache_config: {jwt_cache_size: 100}" } else { "" };
    let mut text = named(include_str!("envoy-guards.yaml")).replace("@CACHE@", cache);
    if guards.reads_model {
        text.push_str(include_str!("envoy-model.yaml"));
    }
    text.push_str(include_str!("envoy-rbac.yaml"));
    for number in 0..ROLES {
        let of_group = include_str!("envoy-role.yaml").replace("@GROUP@", &group(number));
        let prefix = if number == ALLOWING_ROLE { "llama-3.1-".to_owned() } else { format!("{}-", role_name(number)) };
        let model = format!(
            ", {{sourced_metadata: {{metadata_matcher: {{filter: prompt, path: [{{key: model}}], value: {{string_match: {{prefix: \"{prefix}\"}}}}}}}}}}"
        );
        let model = if guards.reads_model { model.as_str() } else { "" };
        text += &of_group.replace("@ROLE@", &role_name(number)).replace("@MODEL@", model);
    }
    text.trim_end().to_owned()
}
