//! The stages of the exchange, in their order, by the exchange's own functions, for a request that nobody sends.

use std::{net::IpAddr, sync::Arc};

use futures_util::FutureExt as _;
use http::StatusCode;
use portcullis_mesh::http::Arrival;
use portcullis_policy::{
    Snapshot,
    action::{self, Action},
    authorize::{AboutModel, Caller, Deciding, Denial, Principal, Question, authorize},
    guard::screen::Guardrails,
    resolve::{about_model, serves},
    roles::Lack,
    routes::Match,
    snapshot::{Access, Guard, HostPattern, Listener, ListenerProtocol, Rule, Scheme, Upstream},
    timestamp,
};
use serde_json::{Value, json};

use super::{
    credential::{self, Judged},
    who::Who,
};
use crate::{
    canonical::Canonical,
    filters::cors,
    identifiers::RequestId,
    live::specificity,
    prompt,
    receive::{Line, Request, receive},
    refusal::Refusal,
    route::{Candidates, candidates},
};

/// A request, and who sends it.
#[derive(Debug)]
pub struct Asked {
    /// The request.
    pub arrival: Arrival,
    /// `None`: HTTPS if a listener answers for the host over it.
    pub scheme: Option<Scheme>,
    /// The port of the URL.
    pub port: Option<u16>,
    /// The model, if it is not to be read from the body.
    pub model: Option<String>,
    /// Who sends it.
    pub who: Who,
    /// Where it comes from.
    pub source: Option<IpAddr>,
}

/// What each stage decides, and what becomes of the request.
#[derive(Debug)]
pub struct Explanation {
    /// In their order, up to the one that refuses.
    pub stages: Vec<Stage>,
    /// What becomes of the request.
    pub outcome: Outcome,
    /// What allows or denies it: a rule of a role by way of a binding.
    pub decided_by: Option<Deciding>,
    /// The AccessPolicy that it stands under.
    pub policy: Option<portcullis_policy::snapshot::DocumentId>,
    /// What may be said on the rule that it meets.
    pub guardrails: Option<Arc<Guardrails>>,
}

/// What one stage decides.
#[derive(Debug)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// For people, a line each.
    pub said: Vec<String>,
    /// For programs.
    pub facts: Value,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is sent to one of these backends (by name), each of which gets a share of such requests.
    Forwarded(Vec<Arc<str>>),
    /// It is answered at once, with this status: a redirect or a preflight.
    Answered(StatusCode),
    /// It is refused.
    Refused(Refused),
}

/// Why a request is refused, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The stage that refuses it.
    pub stage: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// The code of the answer.
    pub code: &'static str,
}

/// Goes through the stages.
pub fn decide(asked: Asked, snapshot: &Snapshot) -> Explanation {
    let mut explanation = Explanation {
        stages: Vec::new(),
        outcome: Outcome::Forwarded(Vec::new()),
        decided_by: None,
        policy: None,
        guardrails: None,
    };
    explanation.outcome = explanation.run(asked, snapshot).unwrap_or_else(Outcome::Refused);
    explanation
}

impl Explanation {
    fn run(&mut self, asked: Asked, snapshot: &Snapshot) -> Result<Outcome, Refused> {
        let Asked { arrival, scheme, port, model, who, source } = asked;
        let (line, mut request) = receive(arrival, &RequestId::generate(0, 0));
        let scheme_if_unsaid = scheme.unwrap_or(Scheme::Https);
        let canonical = self.or_refused("canonical", line.canonical(scheme_if_unsaid))?;
        let (host, path) = (canonical.host(), canonical.path());
        self.say(
            "canonical",
            format!("{} {host} {path}", line.method),
            json!({"method": line.method.as_str(), "host": host, "path": path, "query": canonical.query()}),
        );
        let Some(listener) = listener_of(&snapshot.listeners, scheme, port, host) else {
            let over = scheme.map_or(String::new(), |scheme| format!(" over {}", word(scheme)));
            return Err(self.refuse(
                "listener",
                &Refusal::route_not_found(),
                &format!("no listener answers for this host{over}"),
            ));
        };
        self.say(
            "listener",
            format!("{} (port {})", listener.id, listener.port),
            json!({"listener": listener.id.to_string(), "port": listener.port}),
        );
        let candidates = self.or_refused("route", candidates(listener, &line, &canonical, &request))?;
        if let Candidates::Rule(Match { rule, .. }) = &candidates
            && let Some(outcome) = self.answered_at_once(rule, &line, &request)
        {
            return Ok(outcome);
        }
        let who = match who {
            Who::Shown => {
                let request = &request;
                let judged = Judged { line: &line, canonical: &canonical, request, scheme: scheme_if_unsaid, source };
                credential::judge(snapshot, &candidates, &judged)
            }
            who => who,
        };
        let by_model = !matches!(candidates, Candidates::Rule(_));
        self.authenticate_before_the_model(&candidates, &who, snapshot)?;
        let model = match model {
            Some(model) => Some(model),
            None => self.or_refused("model", read_model(&candidates, snapshot, &line, &canonical, &mut request))?,
        };
        let matched = candidates.choose(listener, &line, &canonical, &request, model.as_deref());
        if by_model && matched.is_err() {
            self.say_model(model.as_deref(), None);
        }
        let rule: &Rule = self.or_refused("route", matched)?.rule;
        self.say_rule(rule);
        self.policy = Some(rule.access.policy().clone());
        self.authenticate(&rule.access, &who, snapshot)?;
        let action = action_of(snapshot, rule, &line.method, path);
        let Ok(resolved) = about_model(snapshot, rule, action, model.as_deref()) else {
            self.say_model(model.as_deref(), None);
            let refusal = Refusal::model_not_found();
            return Err(self.refuse("model", &refusal, "no backend of this rule serves the model"));
        };
        self.say_model(model.as_deref(), Some(resolved.about()));
        self.say("action", action.to_string(), json!({"action": action.as_str()}));
        let question = Question { action, model: resolved.about(), headers: &request.headers, source };
        self.authorize(snapshot, rule, who.caller(), &question)?;
        if let Some(outcome) = self.answered_at_once(rule, &line, &request) {
            return Ok(outcome);
        }
        self.say_guardrails(rule);
        self.say_upstream(&rule.access, who.caller());
        self.backends(snapshot, rule, model.as_deref())
    }

    fn say(&mut self, name: &'static str, said: impl Into<String>, facts: Value) {
        self.stages.push(Stage { name, said: vec![said.into()], facts });
    }

    fn refuse(&mut self, stage: &'static str, refusal: &Refusal, why: &str) -> Refused {
        let refused = Refused { stage, status: refusal.status, code: refusal.code };
        let said = format!("refused: {} {}: {why}", refusal.status.as_u16(), refusal.code);
        let facts = json!({"refused": {"status": refusal.status.as_u16(), "code": refusal.code, "why": why}});
        self.say(stage, said, facts);
        refused
    }

    fn or_refused<T>(&mut self, stage: &'static str, outcome: Result<T, Refusal>) -> Result<T, Refused> {
        outcome.map_err(|refusal| self.refuse(stage, &refusal, &refusal.message.clone()))
    }

    fn say_rule(&mut self, rule: &Rule) {
        let name = rule.name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
        self.say(
            "route",
            format!("{}, rule {}{name} ({})", rule.route, rule.index, rule.location),
            json!({"route": rule.route.to_string(), "rule": rule.index, "name": rule.name.as_deref(),
                   "at": rule.location.to_string()}),
        );
    }

    fn say_model(&mut self, named: Option<&str>, about: Option<AboutModel<'_>>) {
        let (said, resolved) = match (named, about) {
            (Some(named), _) => (named.to_owned(), json!(named)),
            (None, Some(AboutModel::Named(model))) => (format!("none is named; `{model}` would answer"), json!(model)),
            (None, Some(AboutModel::AnyOf(models))) => {
                let models: Vec<&str> = models.iter().map(|model| &**model).collect();
                (format!("none is named; any of {} would answer", models.join(", ")), json!({"anyOf": models}))
            }
            (None, Some(AboutModel::Unknown)) => {
                ("none is named, and the backends do not say which they serve".to_owned(), json!("unknown"))
            }
            (None, Some(AboutModel::None) | None) => ("none is named".to_owned(), Value::Null),
        };
        self.say("model", said, json!({"named": named, "resolved": resolved}));
    }

    /// A redirect or a preflight: no backend has a part in it, so it needs no permission.
    fn answered_at_once(&mut self, rule: &Rule, line: &Line, request: &Request) -> Option<Outcome> {
        let preflight =
            rule.filters.cors.as_ref().and_then(|cors| match cors::judge(cors, &line.method, &request.headers) {
                cors::Verdict::Preflight(answer) => Some(answer.status()),
                cors::Verdict::Forward(_) => None,
            });
        let redirect = rule.filters.redirect.as_ref().map(|redirect| redirect.status);
        let (status, what) = match (preflight, redirect) {
            (Some(status), _) => (status, "preflight"),
            (None, Some(status)) => (status, "redirect"),
            (None, None) => return None,
        };
        if self.stages.iter().all(|stage| stage.name != "route") {
            self.say_rule(rule);
        }
        let facts = json!({"answer": what, "status": status.as_u16()});
        self.say("answer", format!("{what}, {status}; nobody has to be known for it"), facts);
        Some(Outcome::Answered(status))
    }

    /// Where every rule that the model could lead to asks who it is, nobody's body is read before that is known.
    fn authenticate_before_the_model(
        &mut self,
        candidates: &Candidates<'_>,
        who: &Who,
        snapshot: &Snapshot,
    ) -> Result<(), Refused> {
        let (mut is_open, mut guarded) = (false, None);
        candidates.each_access(|access| match access {
            Access::Anonymous { .. } => is_open = true,
            Access::Guarded(_) => guarded = guarded.or(Some(access)),
        });
        match (guarded, who, candidates) {
            // What is shown has to be good, even where nothing has to be shown.
            (Some(access), Who::Rejected { .. }, _) => self.authenticate(access, who, snapshot),
            (Some(access), Who::Nobody, Candidates::ByModel(_)) if !is_open => self.authenticate(access, who, snapshot),
            _ => Ok(()),
        }
    }

    fn authenticate(&mut self, access: &Access, who: &Who, snapshot: &Snapshot) -> Result<(), Refused> {
        let guard = match access {
            Access::Anonymous { policy, location, .. } => {
                self.say(
                    "authenticate",
                    format!("anyone, says {policy} ({location})"),
                    json!({"anonymous": true, "policy": policy.to_string(), "at": location.to_string()}),
                );
                return Ok(());
            }
            Access::Guarded(guard) => guard,
        };
        let taken = taken(guard, snapshot);
        let says = format!("{} takes {taken} ({})", guard.policy, guard.location);
        let principal = match who {
            Who::Nobody | Who::Shown => {
                let refusal = Refusal::unauthenticated("authentication_required");
                return Err(self.refuse("authenticate", &refusal, &format!("nobody says who it is; {says}")));
            }
            Who::Rejected { refusal, why } => {
                return Err(self.refuse("authenticate", refusal, &format!("{why}; {says}")));
            }
            Who::Known(caller) => caller.principal(),
        };
        let Some(principal) = principal else { return Ok(()) };
        let is_taken = |id: &portcullis_policy::snapshot::ProviderId| {
            snapshot.providers.get(id.0 as usize).is_some_and(|provider| provider.document == *principal.provider)
        };
        if !guard.providers.iter().any(is_taken) {
            let refusal = Refusal::unauthenticated("authentication_required");
            let why = format!("{} does not count here: {says}", principal.provider);
            return Err(self.refuse("authenticate", &refusal, &why));
        }
        let groups: Vec<String> = principal.groups.iter().map(|group| group_words(principal, group)).collect();
        let of_groups = if groups.is_empty() { "no groups".to_owned() } else { format!("in {}", groups.join(", ")) };
        let expires = principal.expires.map(timestamp::print);
        let until = expires.as_ref().map(|expires| format!(", until {expires}")).unwrap_or_default();
        self.stages.push(Stage {
            name: "authenticate",
            said: vec![
                format!(
                    "`{}`, known by {} ({}), {of_groups}{until}",
                    principal.name,
                    principal.provider,
                    principal.method.as_str()
                ),
                says,
            ],
            facts: json!({"name": &*principal.name, "provider": principal.provider.to_string(),
                "method": principal.method.as_str(), "groups": groups, "expires": expires,
                "scopes": principal.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
                "policy": guard.policy.to_string(), "at": guard.location.to_string()}),
        });
        Ok(())
    }

    fn authorize(
        &mut self,
        snapshot: &Snapshot,
        rule: &Rule,
        caller: &Caller,
        question: &Question<'_>,
    ) -> Result<(), Refused> {
        let (policy, at) = (rule.access.policy(), rule.access.location());
        let denial = match authorize(snapshot, rule, caller, question) {
            Ok(permit) => {
                let (said, by) = match permit.decided_by() {
                    Some(deciding) => (format!("allowed by {}", deciding_words(&deciding)), Some(deciding)),
                    None => (format!("allowed by {policy} ({at})"), None),
                };
                let facts = json!({"decision": "Allow", "by": by.as_ref().map(deciding_json),
                    "policy": policy.to_string(), "at": at.to_string()});
                self.decided_by = by;
                self.say("authorize", said, facts);
                return Ok(());
            }
            Err(denial) => denial,
        };
        let refusal = match &denial {
            Denial::Unauthenticated | Denial::ForeignProvider => Refusal::unauthenticated("authentication_required"),
            Denial::NotForEveryone | Denial::NotAllowed | Denial::Denied(_) => Refusal::permission_denied(),
        };
        let mut said = vec![match &denial {
            Denial::Denied(deciding) => {
                self.decided_by = Some((**deciding).clone());
                format!("refused: {} {}: denied by {}", refusal.status.as_u16(), refusal.code, deciding_words(deciding))
            }
            denial => format!("refused: {} {}: {denial}, says {policy} ({at})", refusal.status.as_u16(), refusal.code),
        }];
        let missing = missing(snapshot, rule, caller, question, &denial);
        said.extend(missing.iter().map(|line| format!("  {line}")));
        let facts = json!({"decision": "Deny", "why": denial.to_string(),
            "by": self.decided_by.as_ref().map(deciding_json), "missing": missing,
            "refused": {"status": refusal.status.as_u16(), "code": refusal.code}});
        self.stages.push(Stage { name: "authorize", said, facts });
        Err(Refused { stage: "authorize", status: refusal.status, code: refusal.code })
    }

    /// What each stage looks for, and what it does about it. `portcullis guard explain` says what it finds.
    fn say_guardrails(&mut self, rule: &Rule) {
        let Some(guardrails) = &rule.guardrails else { return };
        self.guardrails = Some(guardrails.clone());
        let (mut said, mut facts) = (Vec::new(), Vec::new());
        for (way, direction) in [("input", &guardrails.input), ("output", &guardrails.output)] {
            for stage in &direction.stages {
                let does = if stage.is_shadow { "would " } else { "" };
                let action = stage.reaction.as_str();
                said.push(format!("{way}: `{}` of {}: {does}{action}", stage.name, stage.policy));
                facts.push(json!({"direction": way, "stage": &*stage.name, "policy": stage.policy.to_string(),
                    "action": action, "shadow": stage.is_shadow}));
            }
        }
        self.stages.push(Stage { name: "guardrails", said, facts: json!(facts) });
    }

    fn say_upstream(&mut self, access: &Access, caller: &Caller) {
        let Access::Guarded(guard) = access else { return };
        let said = match &guard.upstream {
            Upstream::Nothing => "the backend is told nothing of the caller".to_owned(),
            Upstream::Jwt { audience, lifetime, header } => {
                format!("the backend is sent a JWT for `{audience}` in `{header}`, good for {} s", lifetime.as_secs())
            }
            Upstream::Headers { user, groups, provider } => {
                let principal = caller.principal();
                let value = |value: Option<String>| value.unwrap_or_default();
                let name = user.as_ref().map(|header| {
                    format!("`{header}: {}`", value(principal.map(|principal| principal.name.to_string())))
                });
                let listed = groups.as_ref().map(|header| format!("`{header}` with the groups"));
                let by = provider.as_ref().map(|header| {
                    format!("`{header}: {}`", value(principal.map(|principal| principal.provider.name.to_string())))
                });
                let headers: Vec<String> = [name, listed, by].into_iter().flatten().collect();
                format!("the backend is sent {}", headers.join(", "))
            }
            Upstream::Credential => "the backend is sent the caller's own credential, as the document says".to_owned(),
        };
        let facts = json!({"tells": said});
        self.say("upstream", said, facts);
    }

    fn backends(&mut self, snapshot: &Snapshot, rule: &Rule, model: Option<&str>) -> Result<Outcome, Refused> {
        let internal = Refusal::internal();
        if rule.backends.is_empty() {
            return Err(self.refuse("backend", &internal, "the rule has none"));
        }
        let fit = || rule.backends.iter().filter(|reference| serves(snapshot, reference, model));
        let total: u32 = fit().map(|reference| reference.weight).sum();
        let mut reachable = Vec::new();
        let (mut said, mut facts) = (Vec::new(), Vec::new());
        for reference in &rule.backends {
            let found = reference.target.as_ref().map(|id| snapshot.backends.get(id.0 as usize));
            let name = match &found {
                Ok(Some(backend)) => backend.document.to_string(),
                Ok(None) => String::new(),
                Err(unresolved) => format!("refused: 500, {unresolved}"),
            };
            if !serves(snapshot, reference, model) {
                said.push(format!("  0 % {name}, which does not serve this model"));
                facts.push(json!({"backend": name, "share": 0}));
                continue;
            }
            let share = f64::from(reference.weight) * 100.0 / f64::from(total.max(1));
            match found {
                Ok(Some(backend)) => {
                    let endpoints = backend.endpoints.len();
                    said.push(format!("{share:>3.0} % {name}, {endpoints} endpoints"));
                    facts.push(json!({"backend": name, "share": share, "endpoints": endpoints}));
                    if reference.weight > 0 {
                        reachable.push(backend.document.name.clone());
                    }
                }
                _ => {
                    said.push(format!("{share:>3.0} % {name}"));
                    facts.push(json!({"refused": name, "share": share}));
                }
            }
        }
        self.stages.push(Stage { name: "backend", said, facts: json!(facts) });
        if reachable.is_empty() {
            return Err(Refused { stage: "backend", status: internal.status, code: internal.code });
        }
        Ok(Outcome::Forwarded(reachable))
    }
}

/// What would have to be otherwise for the request to pass, the nearest first.
fn missing(snapshot: &Snapshot, rule: &Rule, caller: &Caller, question: &Question<'_>, denial: &Denial) -> Vec<String> {
    if !matches!(denial, Denial::NotAllowed) {
        return Vec::new();
    }
    let near = snapshot.roles.lacking(rule, caller, question);
    let told = near.iter().map(|near| {
        let lacks: Vec<String> = near.lacks.iter().map(Lack::told).collect();
        format!("{} ({}) would allow it, but lacks {}", near.role, near.rule, lacks.join("; and "))
    });
    told.collect()
}

fn taken(guard: &Guard, snapshot: &Snapshot) -> String {
    let names: Vec<&str> = guard
        .providers
        .iter()
        .filter_map(|id| snapshot.providers.get(id.0 as usize))
        .map(|provider| &*provider.document.name)
        .collect();
    names.join(", ")
}

fn group_words(principal: &Principal, group: &portcullis_policy::authorize::Group) -> String {
    if group.provider == principal.provider {
        format!("`{}`", group.name)
    } else {
        format!("`{}` of {}", group.name, group.provider.name)
    }
}

/// `RoleBinding inference/research (50-access.yaml:45:12), Role inference/big-model-user (50-access.yaml:20:3)`
pub fn deciding_words(deciding: &Deciding) -> String {
    format!("{} ({}), {} ({})", deciding.binding, deciding.subject, deciding.role, deciding.rule)
}

/// The same for programs.
pub fn deciding_json(deciding: &Deciding) -> Value {
    json!({"binding": deciding.binding.to_string(), "subjectAt": deciding.subject.to_string(),
           "role": deciding.role.to_string(), "ruleAt": deciding.rule.to_string()})
}

/// What a request does at a rule: its backends say what they speak.
pub fn action_of(snapshot: &Snapshot, rule: &Rule, method: &http::Method, path: &str) -> Action {
    let mut backends =
        rule.backends.iter().filter_map(|reference| snapshot.backends.get(reference.target.as_ref().ok()?.0 as usize));
    action::classify(backends.find_map(|backend| backend.dialect), method, path)
}

/// The most specific listener of this scheme for a host. A URL without a port means the scheme's own, and where no
/// listener has that one, any: documents often name the port behind a load balancer.
fn listener_of<'l>(
    listeners: &'l [Listener],
    scheme: Option<Scheme>,
    port: Option<u16>,
    host: &str,
) -> Option<&'l Listener> {
    let Some(scheme) = scheme else {
        let of = |scheme| listener_of(listeners, Some(scheme), port, host);
        return of(Scheme::Https).or_else(|| of(Scheme::Http));
    };
    let (wanted, well_known) = match scheme {
        Scheme::Https => (ListenerProtocol::Https, 443),
        Scheme::Http => (ListenerProtocol::Http, 80),
    };
    let at = |port: Option<u16>| {
        let of_scheme = listeners.iter().filter(move |listener| listener.protocol == wanted);
        of_scheme.filter(move |listener| port.is_none_or(|port| listener.port == port))
    };
    let port = port.or_else(|| at(Some(well_known)).next().map(|_| well_known));
    let rank = |hostname: &HostPattern| specificity(hostname, Some(host));
    let matching = at(port).filter_map(|listener| Some((rank(&listener.hostname)?, listener)));
    // `max_by_key` takes the last of equals; workers take the first.
    let matching = matching.collect::<Vec<_>>().into_iter().rev();
    matching.max_by_key(|(specificity, _)| *specificity).map(|(_, listener)| listener)
}

/// The model, as the prompt's stage reads it.
fn read_model(
    candidates: &Candidates<'_>,
    snapshot: &Snapshot,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &mut Request,
) -> Result<Option<String>, Refusal> {
    let read = prompt::read(candidates.need(snapshot, line, canonical), line, canonical, request);
    // The body is in memory, so nothing is waited for.
    read.now_or_never().unwrap_or_else(|| Err(Refusal::internal()))
}

fn word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}
