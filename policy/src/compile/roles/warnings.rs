//! What is right and probably not meant: roles that nobody has, rules that reach nothing.

use foldhash::HashSet;

use crate::{
    compile::inventory::Inventory,
    diagnostics::{Diagnostic, PRINTED_MAX},
    documents::{Document, Kind, closest},
    roles::{Binding, Effect, Pattern, Role, RoleRule},
};

pub(super) fn warn(
    inventory: &Inventory<'_>,
    documents: &[&Document],
    roles: &[Role],
    bindings: &[(&Document, Binding)],
    diagnostics: &mut Vec<Diagnostic>,
) {
    let known = Known::new(inventory);
    let bound: HashSet<u32> = bindings.iter().map(|(_, binding)| binding.role.0).collect();
    let mut said = Vec::new();
    for ((at, role), document) in (0..).zip(roles).zip(documents) {
        if !bound.contains(&at) {
            said.push(
                Diagnostic::warning("role-unbound", format!("nobody has {}", document.id))
                    .at(document.name_span(), "no RoleBinding gives it")
                    .for_want_of("RoleBinding", &document.id.namespace, None)
                    .help(format!("write a RoleBinding with `roleRef: {{kind: Role, name: {}}}`", document.id.name)),
            );
        }
        known.check_rules(document, &mut said);
        shadowed(document, role, &mut said);
        if said.len() > PRINTED_MAX {
            break;
        }
    }
    for (document, binding) in bindings {
        let Some(role) = roles.get(binding.role.0 as usize) else { continue };
        let reaches = |rule: &RoleRule| {
            rule.routes
                .as_ref()
                .is_none_or(|routes| routes.iter().any(|route| known.route(&role.document.namespace, route)))
        };
        if !role.rules.iter().any(reaches) {
            said.push(
                Diagnostic::warning("binding-of-nothing", format!("{} is about no route that exists", role.document))
                    .at(document.span("roleRef.name"), "gives nothing"),
            );
        }
    }
    diagnostics.append(&mut said);
}

/// What rules may speak of.
struct Known<'d> {
    routes: HashSet<(&'d str, &'d str)>,
    /// Every model of every backend; `None` where a backend does not say.
    models: Option<HashSet<&'d str>>,
}

impl<'d> Known<'d> {
    fn new(inventory: &Inventory<'d>) -> Self {
        let mut known = Self { routes: HashSet::default(), models: Some(HashSet::default()) };
        for document in inventory.documents {
            match &document.value {
                Kind::HttpRoute(_) | Kind::GrpcRoute(_) => {
                    known.routes.insert((&document.id.namespace, &document.id.name));
                }
                Kind::InferenceBackend(backend) if backend.spec.models.is_empty() => known.models = None,
                Kind::InferenceBackend(backend) => {
                    if let Some(models) = &mut known.models {
                        models.extend(backend.spec.models.iter().map(String::as_str));
                    }
                }
                _ => {}
            }
        }
        known
    }

    fn route(&self, namespace: &str, name: &str) -> bool {
        self.routes.contains(&(namespace, name))
    }

    fn check_rules(&self, document: &Document, diagnostics: &mut Vec<Diagnostic>) {
        let Kind::Role(role) = &document.value else { return };
        for (at, rule) in role.rules.iter().enumerate() {
            if diagnostics.len() > PRINTED_MAX {
                return;
            }
            for (index, route) in rule.routes.iter().enumerate() {
                if !route.contains('*') && !self.route(&document.id.namespace, route) {
                    diagnostics.push(self.unknown_route(document, &format!("rules[{at}].routes[{index}]"), route));
                }
            }
            for (index, model) in rule.models.iter().enumerate().filter(|(_, model)| !model.is_empty()) {
                let pattern = Pattern::new(model);
                let Some(models) = self.models.as_ref().filter(|models| !models.is_empty()) else { continue };
                let is_served = match pattern.exact() {
                    Some(name) => models.contains(name),
                    None => models.iter().any(|served| pattern.matches(served)),
                };
                if !is_served {
                    diagnostics.push(unserved(document, &format!("rules[{at}].models[{index}]"), model, models));
                }
            }
        }
    }

    fn unknown_route(&self, document: &Document, path: &str, route: &str) -> Diagnostic {
        let namespace = &document.id.namespace;
        let nearby = self.routes.iter().filter(|(of, _)| *of == &**namespace).map(|(_, name)| *name);
        let message = format!("there is no route `{route}` in namespace `{namespace}`");
        let diagnostic = Diagnostic::warning("unknown-route", message)
            .at(document.span(path), "no such route")
            .for_want_of("HTTPRoute", namespace, Some(route))
            .for_want_of("GRPCRoute", namespace, Some(route));
        match closest(route, nearby) {
            Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
            None => diagnostic,
        }
    }
}

fn unserved(document: &Document, path: &str, model: &str, models: &HashSet<&str>) -> Diagnostic {
    let diagnostic = Diagnostic::warning("unserved-model", format!("no backend serves a model `{model}`"))
        .at(document.span(path), "served by none");
    match closest(model, models.iter().copied()) {
        Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
        None => diagnostic,
    }
}

/// How many rules of one role that deny are compared with those that allow.
const DENIALS_COMPARED_MAX: usize = 64;

/// A rule that allows what another one of the same role always denies.
fn shadowed(document: &Document, role: &Role, diagnostics: &mut Vec<Diagnostic>) {
    let Kind::Role(spec) = &document.value else { return };
    // Rules with mistakes are not among those of `role`; the mistakes have been told.
    if spec.rules.len() != role.rules.len() {
        return;
    }
    let denying = role.rules.iter().enumerate().filter(|(_, rule)| is_flat_denial(rule));
    let denying: Vec<_> = denying.take(DENIALS_COMPARED_MAX).collect();
    for (at, allowing) in role.rules.iter().enumerate().filter(|(_, rule)| rule.effect == Effect::Allow) {
        if diagnostics.len() > PRINTED_MAX {
            return;
        }
        if let Some((by, _)) = denying.iter().find(|(_, denying)| covers(denying, allowing)) {
            diagnostics.push(
                Diagnostic::warning("shadowed-rule", "this rule never allows anything: another one always denies it")
                    .at(document.span(&format!("rules[{at}]")), "never in force")
                    .note(document.span(&format!("rules[{by}]")), "always denies it")
                    .help("remove one of them"),
            );
        }
    }
}

fn is_flat_denial(rule: &RoleRule) -> bool {
    rule.effect == Effect::Deny && rule.when.is_empty()
}

/// Whether `wide` is about everything that `narrow` is about, as far as that can be seen at once.
fn covers(wide: &RoleRule, narrow: &RoleRule) -> bool {
    let routes = match (&wide.routes, &narrow.routes) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.iter().all(|route| wide.contains(route)),
    };
    let covered = |model: &Pattern| wide.models.iter().any(|other| other.matches(model.as_str()));
    let models = wide.models.is_empty() || !narrow.models.is_empty() && narrow.models.iter().all(covered);
    routes && narrow.actions.iter().all(|action| wide.actions.contains(action)) && models
}
