//! `portcullis certs`: the certificate authority of one machine, or of tests.
//!
//! It is run by whoever may read the authority's folder, so nobody is attested here: who asks says whom to certify. What is
//! issued lands where sidecars and gateways read it ([`folder`]); what is there can be looked at ([`inspect`]).

mod folder;
mod inspect;

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant, SystemTime},
};

use portcullis_certs::{
    AuthorityError, IssueError, Lifetimes, SVID_LIFE_MAX, SigningRequest, SpiffeId, Svid, SvidAuthority, TrustDomain,
};
use portcullis_policy::timestamp;

use crate::{
    cli::{CertsArgs, CertsCommand, InitArgs, IssueArgs},
    keys::{LOCK_LOOK_INTERVAL, LOCK_TIMEOUT},
    run::RunError,
};

/// Does what was asked for.
pub fn certs(arguments: &CertsArgs) -> Result<ExitCode, RunError> {
    let now = SystemTime::now();
    let (printed, code) = match &arguments.command {
        CertsCommand::Init(arguments) => (init(arguments, now)?, ExitCode::SUCCESS),
        CertsCommand::Issue(arguments) => {
            issue(arguments, now)?;
            (String::new(), ExitCode::SUCCESS)
        }
        CertsCommand::Inspect(arguments) => inspect::inspect(arguments, now)?,
    };
    let mut output = io::stdout().lock();
    match output.write_all(printed.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(RunError::Internal(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(code),
    }
}

/// Makes the authority, or finds it made. Gives where its bundle is.
fn init(arguments: &InitArgs, now: SystemTime) -> Result<String, RunError> {
    let InitArgs { directory, trust_domain } = arguments;
    let was_there = is_authority(directory);
    drop(open(directory, trust_domain, now)?);
    let path = directory.display();
    if was_there {
        eprintln!("the authority of `{trust_domain}` was in `{path}` already; it goes on");
    } else {
        eprintln!(
            "the authority of `{trust_domain}` is in `{path}`: whoever can read this folder can be any workload\n\
             next: portcullis certs issue {path} spiffe://{trust_domain}/ns/NAMESPACE/sa/ACCOUNT --out FOLDER"
        );
    }
    Ok(format!("{}\n", directory.join("bundle.pem").display()))
}

fn issue(arguments: &IssueArgs, now: SystemTime) -> Result<(), RunError> {
    let IssueArgs { directory, id, out, lifetime } = arguments;
    if lifetime.0.is_zero() || lifetime.0 > SVID_LIFE_MAX {
        let most = SVID_LIFE_MAX.as_secs() / 3600;
        return Err(input(format!(
            "`--lifetime` must be more than nothing and at most {most}h: identities are renewed, not kept; run \
             `portcullis certs issue` again before it expires"
        )));
    }
    if !is_authority(directory) {
        let (path, domain) = (directory.display(), id.trust_domain());
        return Err(input(format!(
            "there is no authority in `{path}`; make one with `portcullis certs init {path} --trust-domain {domain}`"
        )));
    }
    // Held until the files are in place, so that two who issue at once do not mix theirs.
    let authority = open(directory, &TrustDomain::of(id), now)?;
    let good_until = certify_into(&authority, directory, id, lifetime.0, out, now)?;
    eprintln!("`{id}` is good until {}: {}", timestamp::print(good_until), out.join("tls.crt").display());
    Ok(())
}

/// Certifies `id` by the authority in `directory`, and leaves what its holder needs in `out`. Gives until when it is good.
pub fn certify_into(
    authority: &SvidAuthority,
    directory: &Path,
    id: &SpiffeId,
    lifetime: Duration,
    out: &Path,
    now: SystemTime,
) -> Result<SystemTime, RunError> {
    folder::refuse_another(out, id)?;
    let svid = certify(authority, directory, id, lifetime, now)?;
    folder::install(out, &svid, &authority.bundle())?;
    Ok(svid.not_after())
}

fn certify(
    authority: &SvidAuthority,
    directory: &Path,
    id: &SpiffeId,
    lifetime: Duration,
    now: SystemTime,
) -> Result<Svid, RunError> {
    let (request, key) = SigningRequest::with_new_key().map_err(|error| refused(directory, error))?;
    let issued = authority.issue(&request, id, Some(lifetime), now);
    let issued = issued.map_err(|error| match error {
        IssueError::Authority(error) => refused(directory, error),
        IssueError::Foreign { id, domain } => input(format!("{}; {}", not_ours(&id, &domain), example(&domain))),
        other => input(other.to_string()),
    })?;
    Svid::new(issued.chain, key).map_err(|error| RunError::Internal(format!("what was issued is no SVID: {error}")))
}

/// Whether an authority was begun there.
fn is_authority(directory: &Path) -> bool {
    directory.join("authority.json").exists()
}

/// Opens an authority, and takes the steps of its rotation that are due. Waits for others who do the same.
pub fn open(directory: &Path, domain: &TrustDomain, now: SystemTime) -> Result<SvidAuthority, RunError> {
    let begun = Instant::now();
    loop {
        match SvidAuthority::open_or_create(directory, domain, Lifetimes::default(), now) {
            Err(AuthorityError::InUse(_)) if begun.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_LOOK_INTERVAL),
            other => return other.map_err(|error| refused(directory, error)),
        }
    }
}

/// Why an authority does not serve, and what to do about it.
fn refused(directory: &Path, error: AuthorityError) -> RunError {
    let path = directory.display();
    match error {
        AuthorityError::OtherDomain { kept, asked, .. } => input(format!(
            "the authority in `{path}` is that of `{kept}` and not of `{asked}`; give each trust domain a folder of its own"
        )),
        AuthorityError::InUse(_) => {
            input(format!("another process uses the authority in `{path}`; try again when it has finished"))
        }
        AuthorityError::Random | AuthorityError::Signing(_) | AuthorityError::Issued(_) => {
            RunError::Internal(error.to_string())
        }
        other => input(other.to_string()),
    }
}

fn not_ours(id: &SpiffeId, domain: &TrustDomain) -> String {
    format!("`{id}` is not a workload of the trust domain `{domain}`")
}

fn example(domain: &TrustDomain) -> String {
    format!("an identity has a path, as in `spiffe://{domain}/ns/inference/sa/llama`")
}

fn input(text: String) -> RunError {
    RunError::Input(text)
}
