//! `portcullis keys`: makes, lists, revokes and rotates API keys.
//!
//! A key is printed once and kept nowhere. The file of hashes is edited as text, so that comments stay, and replaced as one
//! step under a lock, so that nothing is lost when two people edit at once, and gateways never read half a file.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use aws_lc_rs::rand;
use portcullis_policy::{
    diagnostics::{self, Source},
    documents::{
        api_keys::{ApiKey, ApiKeyFile},
        formats,
    },
    timestamp,
};
use serde_json::{Value, json};

use crate::{
    authenticate::api_keys::{
        hash,
        key::{self, NewKey},
        read_pepper,
    },
    cli::{CreateKeyArgs, KeyFiles, KeysArgs, KeysCommand, ListFormat, ListKeysArgs, RevokeKeyArgs, RotateKeyArgs},
    run::RunError,
};

/// How long to wait for another `portcullis keys` or `portcullis certs` that edits the same files.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether it has finished.
pub(crate) const LOCK_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Bytes of a pepper that is made here.
const PEPPER_BYTES: usize = 32;
/// The longest name of an owner, a group or a scope, and the longest note, in bytes.
pub const WORD_BYTES_MAX: usize = 1024;

/// Only the owner reads and writes.
const MODE: u32 = 0o600;
/// What stands at the top of a new file.
const HEADING: &str = "# API keys: hashes only. `portcullis keys` edits this file; comments stay.\n";

/// Does what was asked for.
pub fn keys(arguments: &KeysArgs) -> Result<ExitCode, RunError> {
    let now = SystemTime::now();
    let printed = match &arguments.command {
        KeysCommand::Create(create) => create_key(create, now)?,
        KeysCommand::List(list) => list_keys(list, now)?,
        KeysCommand::Revoke(revoke) => revoke_key(revoke, now)?,
        KeysCommand::Rotate(rotate) => rotate_key(rotate, now)?,
    };
    let mut output = io::stdout().lock();
    match output.write_all(printed.as_bytes()).and_then(|()| output.flush()) {
        // Whoever reads a list may have read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(RunError::Internal(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A new key, and its line for standard output.
pub fn create_key(arguments: &CreateKeyArgs, now: SystemTime) -> Result<String, RunError> {
    let words = [("--owner", &arguments.owner)].into_iter();
    let words = words.chain(arguments.scope.iter().map(|scope| ("--scope", scope)));
    let words = words.chain(arguments.group.iter().map(|group| ("--group", group)));
    let words = words.chain(arguments.note.iter().map(|note| ("--note", note)));
    for (flag, word) in words {
        check_word(flag, word)?;
    }
    let cidrs = arguments.cidr.iter().map(|text| {
        let hint = "no bit may be set behind the prefix, as in `10.0.0.0/8`";
        formats::network(text).ok_or_else(|| input(format!("`{text}` is not a network: {hint}")))
    });
    let cidrs = cidrs.collect::<Result<Vec<_>, _>>()?;
    let arcs = |texts: &[String]| texts.iter().map(|text| Arc::from(text.as_str())).collect();
    let _lock = lock(&arguments.files.file)?;
    let file = read_or_new(&arguments.files.file)?;
    let (key, hash) = new_key(&arguments.files)?;
    let entry = ApiKey {
        id: key.id().into(),
        owner: arguments.owner.as_str().into(),
        hash,
        created: now,
        expires: arguments.expires.map(|lifetime| now + lifetime.0),
        scopes: arcs(&arguments.scope),
        cidrs,
        groups: arcs(&arguments.group),
        note: arguments.note.as_deref().map(Into::into),
        revoked: None,
    };
    let text = file.with_entry(&to_the_second(entry)).map_err(|error| cannot_edit(&arguments.files.file, &error))?;
    write(&arguments.files.file, &text)?;
    Ok(format!("{}\n", key.text()))
}

fn revoke_key(arguments: &RevokeKeyArgs, now: SystemTime) -> Result<String, RunError> {
    let id = key::id(&arguments.id).unwrap_or(&arguments.id);
    let _lock = lock(&arguments.file)?;
    let file = read(&arguments.file)?;
    let key = find(&file, &arguments.file, id)?;
    if let Some(revoked) = key.revoked {
        eprintln!("the key `{id}` of {} was revoked at {} already", key.owner, timestamp::print(revoked));
        return Ok(String::new());
    }
    let text = file.with_revoked(id, to_second(now)).map_err(|error| cannot_edit(&arguments.file, &error))?;
    write(&arguments.file, &text)?;
    eprintln!("the key `{id}` of {} is revoked", key.owner);
    Ok(String::new())
}

fn rotate_key(arguments: &RotateKeyArgs, now: SystemTime) -> Result<String, RunError> {
    let path = &arguments.files.file;
    let _lock = lock(path)?;
    let file = read(path)?;
    let old = find(&file, path, &arguments.id)?.clone();
    if old.revoked.is_some() {
        return Err(input(format!("the key `{}` is revoked; make another with `portcullis keys create`", old.id)));
    }
    if old.expires.is_some_and(|expires| expires <= now) {
        return Err(input(format!("the key `{}` has expired; make another with `portcullis keys create`", old.id)));
    }
    let (key, hash) = new_key(&arguments.files)?;
    let was_to_live = old.expires.and_then(|expires| expires.duration_since(old.created).ok());
    let lifetime = arguments.expires.map(|lifetime| lifetime.0).or(was_to_live);
    let new = ApiKey {
        id: key.id().into(),
        hash,
        created: now,
        expires: lifetime.map(|lifetime| now + lifetime),
        note: old.note.clone().or_else(|| Some(format!("in the place of {}", old.id).into())),
        ..old.clone()
    };
    // An overlap does not make the old key good for longer than it was.
    let overlap = to_second(now + arguments.overlap.0);
    let ends = old.expires.map_or(overlap, |expires| expires.min(overlap));
    let edit = |error| cannot_edit(path, &error);
    let text = file.with_expires(&old.id, ends).map_err(edit)?;
    let text = parse(path, &text)?.with_entry(&to_the_second(new)).map_err(edit)?;
    write(path, &text)?;
    eprintln!("the key `{}` of {} is good until {}", old.id, old.owner, timestamp::print(ends));
    Ok(format!("{}\n", key.text()))
}

fn list_keys(arguments: &ListKeysArgs, now: SystemTime) -> Result<String, RunError> {
    let file = read(&arguments.file)?;
    Ok(match arguments.format {
        ListFormat::Json => format!("{:#}\n", file.keys().map(|key| object(key, now)).collect::<Value>()),
        ListFormat::Text => table(&file, now),
    })
}

/// Whether it opens anything.
fn state(key: &ApiKey, now: SystemTime) -> &'static str {
    if key.revoked.is_some() {
        "revoked"
    } else if key.expires.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        "good"
    }
}

fn object(key: &ApiKey, now: SystemTime) -> Value {
    fn texts(texts: &[Arc<str>]) -> Vec<&str> {
        texts.iter().map(|text| &**text).collect()
    }
    json!({
        "id": &*key.id,
        "owner": &*key.owner,
        "state": state(key, now),
        "created": timestamp::print(key.created),
        "expires": key.expires.map(timestamp::print),
        "revoked": key.revoked.map(timestamp::print),
        "scopes": texts(&key.scopes),
        "cidrs": key.cidrs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "groups": texts(&key.groups),
        "note": key.note.as_deref(),
    })
}

fn table(file: &ApiKeyFile, now: SystemTime) -> String {
    let rows: Vec<[String; 5]> = file
        .keys()
        .map(|key| {
            let expires = key.expires.map_or("never".to_owned(), timestamp::print);
            // What people wrote cannot move the terminal's cursor.
            let plain = |text: &str| text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            let note = key.note.as_deref().map(plain).unwrap_or_default();
            [key.id.to_string(), plain(&key.owner), state(key, now).to_owned(), expires, note]
        })
        .collect();
    let heading = ["ID", "OWNER", "STATE", "EXPIRES", "NOTE"].map(str::to_owned);
    let width = |column: usize| {
        let all = rows.iter().chain([&heading]).filter_map(|row| row.get(column));
        all.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [&heading].into_iter().chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

fn new_key(files: &KeyFiles) -> Result<(NewKey, [u8; 32]), RunError> {
    let pepper = files.pepper.clone().unwrap_or_else(|| beside(&files.file));
    if !pepper.exists() {
        make_pepper(&pepper)?;
    }
    let pepper = read_pepper(&pepper).map_err(RunError::Input)?;
    let key = NewKey::random().ok_or_else(|| RunError::Internal("the system gives no random numbers".to_owned()))?;
    let hash = hash(&pepper, key.text());
    Ok((key, hash))
}

/// Where the pepper is if nobody says so.
fn beside(file: &Path) -> PathBuf {
    let mut pepper = file.as_os_str().to_owned();
    pepper.push(".pepper");
    pepper.into()
}

/// Never replaces one: every key that there is would be worth nothing.
fn make_pepper(path: &Path) -> Result<(), RunError> {
    let mut secret = [0; PEPPER_BYTES];
    rand::fill(&mut secret).map_err(|_| RunError::Internal("the system gives no random numbers".to_owned()))?;
    let text = secret.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let made = temporary(path, &format!("{text}\n")).and_then(|temporary| {
        let linked = fs::hard_link(&temporary, path);
        fs::remove_file(&temporary)?;
        linked
    });
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(input(format!("cannot write the pepper `{}`: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn read_or_new(path: &Path) -> Result<ApiKeyFile, RunError> {
    if path.exists() { read(path) } else { parse(path, HEADING) }
}

fn read(path: &Path) -> Result<ApiKeyFile, RunError> {
    let file = ApiKeyFile::read(path).map_err(|error| input(format!("cannot read `{}`: {error}", path.display())))?;
    file.map_err(|mistakes| input(diagnostics::text(&mistakes, false)))
}

fn parse(path: &Path, text: &str) -> Result<ApiKeyFile, RunError> {
    let source = Arc::new(Source::new(path.display().to_string(), text));
    ApiKeyFile::parse(&source).map_err(|mistakes| input(diagnostics::text(&mistakes, false)))
}

fn find<'f>(file: &'f ApiKeyFile, path: &Path, id: &str) -> Result<&'f ApiKey, RunError> {
    let unknown = || {
        let path = path.display();
        // Not repeated: it may be a key, mistyped.
        input(format!("there is no key with this id in `{path}`; see `portcullis keys list --file {path}`"))
    };
    file.keys().find(|key| &*key.id == id).ok_or_else(unknown)
}

/// Keeps others out until it is dropped. The folder is locked, because the file itself is replaced.
fn lock(path: &Path) -> Result<File, RunError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let cannot =
        |error: &dyn std::fmt::Display| input(format!("cannot use the folder `{}`: {error}", folder.display()));
    let file = File::open(folder).map_err(|error| cannot(&error))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_LOOK_INTERVAL),
            Err(TryLockError::WouldBlock) => {
                return Err(input(format!("another process edits `{}`; try again", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&error)),
        }
    }
}

/// Replaces the file as one step: a reader sees the old content or the new.
fn write(path: &Path, text: &str) -> Result<(), RunError> {
    // Behind a link is the file that is meant.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let written = temporary(&real, text).and_then(|temporary| {
        let renamed = fs::rename(&temporary, &real);
        if renamed.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        renamed
    });
    written.map_err(|error| input(format!("cannot write `{}`: {error}", path.display())))
}

fn temporary(path: &Path, text: &str) -> io::Result<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    // What a crashed process of the same id may have left.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&temporary)?;
    // Whoever could read the file so far still can, the gateway's own user for example; a new one is its owner's alone.
    if let Ok(metadata) = fs::metadata(path) {
        let _ = std::os::unix::fs::fchown(&file, Some(owner(&metadata)), None);
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(temporary)
}

fn owner(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(metadata)
}

fn check_word(flag: &str, word: &str) -> Result<(), RunError> {
    if word.trim().is_empty() {
        return Err(input(format!("`{flag}` says nothing")));
    }
    if word.len() > WORD_BYTES_MAX || word.chars().any(char::is_control) {
        return Err(input(format!("`{flag}` has at most {WORD_BYTES_MAX} bytes, and no line breaks")));
    }
    Ok(())
}

/// The file keeps whole seconds.
fn to_second(time: SystemTime) -> SystemTime {
    timestamp::parse(&timestamp::print(time)).unwrap_or(time)
}

fn to_the_second(key: ApiKey) -> ApiKey {
    ApiKey { created: to_second(key.created), expires: key.expires.map(to_second), ..key }
}

fn cannot_edit(path: &Path, error: &dyn std::fmt::Display) -> RunError {
    input(format!("cannot edit `{}`: {error}", path.display()))
}

fn input(text: String) -> RunError {
    RunError::Input(text)
}
