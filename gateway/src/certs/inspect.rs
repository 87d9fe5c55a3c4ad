//! `portcullis certs inspect`: what a file of certificates says, in words. The judgement is that of the certs crate, the one
//! that sidecars and gateways ask; whom they believe is another question, and not asked here.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use portcullis_certs::{BUNDLE_BYTES_MAX, Inspection, SpiffeId, TrustBundle, TrustDomain, judge_svid, parse_chain};
use portcullis_policy::timestamp;
use serde_json::{Value, json};

use super::input;
use crate::{
    cli::{InspectArgs, TextOrJson},
    run::RunError,
};

/// What the file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What a workload shows, leaf first.
    Chain,
    /// Whom it believes.
    Bundle,
}

/// A file of certificates, looked at.
struct Inspected {
    kind: Kind,
    certificates: Vec<Inspection>,
    /// Why it is no SVID, or no bundle.
    fault: Option<String>,
    /// Whether it can be used at this time.
    is_current: bool,
}

/// What to print, and the code to end with.
pub(super) fn inspect(arguments: &InspectArgs, now: SystemTime) -> Result<(String, ExitCode), RunError> {
    let path = arguments.file.display();
    let text = read(&arguments.file)?;
    let inspected = look(&text, now).map_err(|error| input(format!("`{path}`: {error}")))?;
    let printed = match arguments.format {
        TextOrJson::Json => format!("{:#}\n", inspected.json(now)),
        TextOrJson::Text => format!("{path}: {}", inspected.text(now)),
    };
    Ok((printed, if inspected.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    let mut text = Vec::new();
    let most = u64::try_from(BUNDLE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut text))
        .map_err(|error| input(format!("cannot read `{}`: {error}", path.display())))?;
    if text.len() > BUNDLE_BYTES_MAX {
        return Err(input(format!("`{}` has more than {BUNDLE_BYTES_MAX} bytes", path.display())));
    }
    Ok(text)
}

fn look(text: &[u8], now: SystemTime) -> Result<Inspected, String> {
    let chain = parse_chain(text).map_err(|error| error.to_string())?;
    let certificates = chain.iter().enumerate().map(|(index, certificate)| {
        Inspection::of(certificate).map_err(|_| format!("certificate {} is not valid X.509", index + 1))
    });
    let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
    let kind = kind_of(&certificates);
    let mut dates = certificates.iter().map(|certificate| certificate.facts.is_current(now));
    let (fault, is_current) = match kind {
        Kind::Chain => (judge_svid(&chain).err().map(|error| error.to_string()), dates.all(|current| current)),
        Kind::Bundle => {
            // An authority that is over does no harm beside one that is not.
            (TrustBundle::from_pem(domain_of(&certificates)?, text).err().map(|e| e.to_string()), dates.any(|it| it))
        }
    };
    Ok(Inspected { kind, certificates, fault, is_current })
}

/// An authority that names a workload is a leaf that must not be one.
fn kind_of(certificates: &[Inspection]) -> Kind {
    let names_a_workload = |first: &Inspection| first.facts.spiffe_id.as_ref().is_some_and(|id| !id.path().is_empty());
    match certificates.first() {
        Some(first) if first.says_authority && !names_a_workload(first) => Kind::Bundle,
        _ => Kind::Chain,
    }
}

/// Whose bundle it is, where its authorities say so. A company's root does not, and is judged the same.
fn domain_of(certificates: &[Inspection]) -> Result<TrustDomain, String> {
    let said = certificates.iter().find_map(|certificate| certificate.facts.spiffe_id.as_ref());
    match said {
        Some(id) => Ok(TrustDomain::of(id)),
        None => "unnamed".parse::<TrustDomain>().map_err(|error| error.to_string()),
    }
}

impl Inspected {
    fn is_good(&self) -> bool {
        self.fault.is_none() && self.is_current
    }

    fn text(&self, now: SystemTime) -> String {
        let count = self.certificates.len();
        let mut text = match (self.kind, &self.fault) {
            (Kind::Chain, None) => "a proper X.509-SVID".to_owned(),
            (Kind::Chain, Some(fault)) => format!("no X.509-SVID: {fault}"),
            (Kind::Bundle, None) if count == 1 => "a bundle of 1 authority".to_owned(),
            (Kind::Bundle, None) => format!("a bundle of {count} authorities"),
            (Kind::Bundle, Some(fault)) => format!("no bundle: {fault}"),
        };
        if !self.is_current {
            text.push_str(", outside its dates");
        }
        text.push('\n');
        for (index, certificate) in self.certificates.iter().enumerate() {
            if count > 1 {
                let what = if index == 0 && self.kind == Kind::Chain { " (leaf)" } else { "" };
                // Writing into a `String` cannot fail.
                let _ = writeln!(text, "certificate {}{what}", index + 1);
            }
            describe(&mut text, certificate, now);
        }
        text
    }

    fn json(&self, now: SystemTime) -> Value {
        json!({
            "kind": match self.kind { Kind::Chain => "chain", Kind::Bundle => "bundle" },
            "good": self.is_good(),
            "fault": self.fault,
            "certificates": self.certificates.iter().map(|certificate| object(certificate, now)).collect::<Value>(),
        })
    }
}

fn describe(text: &mut String, certificate: &Inspection, now: SystemTime) {
    let facts = &certificate.facts;
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:9} {}", plain(value));
        }
    };
    match &facts.spiffe_id {
        Some(id) => line("identity", id.as_str()),
        None => line("names", &names(certificate).join(", ")),
    }
    line("subject", &facts.subject);
    line("issuer", &facts.issuer);
    line("serial", &facts.serial);
    let (begins, ends) = (timestamp::print(facts.not_before), timestamp::print(facts.not_after));
    line("valid", &format!("{begins} to {ends}: {}", standing(certificate, now).1));
    line("key", &certificate.key);
}

fn object(certificate: &Inspection, now: SystemTime) -> Value {
    let facts = &certificate.facts;
    json!({
        "identity": facts.spiffe_id.as_ref().map(SpiffeId::as_str),
        "names": names(certificate),
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "notBefore": timestamp::print(facts.not_before),
        "notAfter": timestamp::print(facts.not_after),
        "state": standing(certificate, now).0,
        "key": certificate.key,
        "authority": certificate.says_authority,
    })
}

fn names(certificate: &Inspection) -> Vec<String> {
    let facts = &certificate.facts;
    let addresses = facts.ip_names.iter().map(ToString::to_string);
    let texts = [&facts.uri_names, &facts.dns_names, &facts.email_names].into_iter().flatten().cloned();
    texts.chain(addresses).collect()
}

/// Where `now` is among its dates: a word, and a phrase.
fn standing(certificate: &Inspection, now: SystemTime) -> (&'static str, String) {
    let facts = &certificate.facts;
    let since = |later: SystemTime, earlier: SystemTime| roughly(later.duration_since(earlier).unwrap_or_default());
    if now < facts.not_before {
        ("not yet", format!("not yet, but in {}", since(facts.not_before, now)))
    } else if now >= facts.not_after {
        ("expired", format!("expired {} ago", since(now, facts.not_after)))
    } else {
        ("valid", format!("{} left", since(facts.not_after, now)))
    }
}

/// A time in the unit that people would say it in.
fn roughly(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What strangers wrote cannot move the terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let check = |seconds, expected| assert_eq!(roughly(Duration::from_secs(seconds)), expected);
        check(0, "0 s");
        check(119, "119 s");
        check(3_599, "59 min");
        check(86_399, "23 h");
        check(30 * 86_400, "30 days");
    }

    #[test]
    fn what_a_certificate_says_does_not_reach_the_terminal_raw() {
        assert_eq!(plain("CN=a\u{1b}[2J\nb"), "CN=a?[2J?b");
    }
}
