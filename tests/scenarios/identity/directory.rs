//! Directories, asked as the gateway asks them: OpenLDAP strict, lax and nested. Time is an argument, so nothing waits.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use portcullis_gateway::authenticate::{Known, Rejection, directory::Directory};
use portcullis_policy::snapshot::{CacheTimes, DocumentId, LdapGroups, LdapProvider, LdapServer, LdapUsers, Nested};
use portcullis_tests::harness::{
    directory::{PASSWORD, SERVICE_DN, Slapd, SlapdSetup, group, person},
    eventually,
    pki::Authority,
};
use tokio::task::JoinHandle;

pub(crate) const FRESH: Duration = Duration::from_mins(1);
pub(crate) const STALE: Duration = Duration::from_mins(15);

/// A directory at work. Dropping it ends that.
pub(crate) struct AtWork {
    pub(crate) directory: Arc<Directory>,
    task: JoinHandle<()>,
    pub(crate) now: SystemTime,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AtWork {
    pub(crate) fn start(spec: &LdapProvider) -> Self {
        let document = DocumentId {
            group: "portcullis.dev".into(),
            kind: "IdentityProvider".into(),
            namespace: "default".into(),
            name: "directory".into(),
        };
        let directory = Arc::new(Directory::new(spec, Arc::new(document), None).unwrap());
        let task = tokio::spawn(Arc::clone(&directory).run());
        Self { directory, task, now: SystemTime::now() }
    }

    /// Logs somebody in: their groups, or the word for why not.
    pub(crate) async fn login(&self, username: &str, password: &str) -> Result<Vec<String>, String> {
        let known = self.directory.login(username, password, self.now).await;
        known.map(|known| groups(&known)).map_err(|rejection| rejection.word().to_owned())
    }

    pub(crate) async fn known(&self, username: &str) -> Known {
        self.directory.login(username, PASSWORD, self.now).await.unwrap()
    }
}

pub(crate) fn groups(known: &Known) -> Vec<String> {
    known.caller.principal().unwrap().groups.iter().map(|group| group.name.to_string()).collect()
}

pub(crate) fn server(url: &str) -> LdapServer {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, if scheme == "ldap" { "389" } else { "636" }));
    LdapServer { host: host.into(), port: port.parse().unwrap(), start_tls: scheme == "ldap" }
}

/// Search and bind as the gateway's account.
pub(crate) fn search_and_bind(slapd: &Slapd, nested: Nested) -> LdapProvider {
    LdapProvider {
        servers: vec![server(&slapd.url())],
        trust: Some(slapd.trust()),
        service_account: Some((SERVICE_DN.into(), slapd.service_password())),
        users: Some(LdapUsers {
            base: "ou=people,dc=corp,dc=example".into(),
            filter: vec!["(&(objectClass=inetOrgPerson)(uid=".into(), "))".into()],
            name: "uid".into(),
        }),
        bind_as: None,
        groups: Some(LdapGroups { base: "ou=groups,dc=corp,dc=example".into(), nested, name: "cn".into() }),
        cache: CacheTimes { fresh: FRESH, stale: STALE },
        failures_max: 3,
        failures_window: Duration::from_mins(15),
    }
}

fn corp(setup: &SlapdSetup) -> Slapd {
    Slapd::corp(&Authority::new("corp"), setup)
}

#[tokio::test]
async fn a_person_logs_in_with_groups_in_groups_and_a_circle_ends() {
    let slapd = corp(&SlapdSetup::new());
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::Auto));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs", "ai-platform", "ai-users"]);
    assert_eq!(at_work.login("bob", PASSWORD).await.unwrap(), ["staff"]);
    assert_eq!(at_work.login("carol", PASSWORD).await.unwrap(), Vec::<String>::new());
    assert_eq!(at_work.login("alice", "wrong").await.unwrap_err(), "wrong_password");
    assert_eq!(at_work.login("zoe", PASSWORD).await.unwrap_err(), "unknown_user");
    let known = at_work.known("ALICE").await;
    let principal = known.caller.principal().unwrap();
    assert_eq!(&*principal.name, "alice", "the directory's spelling, not the client's");
    assert!(principal.stable_id.as_ref().is_some_and(|id| id.len() == 36), "an entryUUID: {:?}", principal.stable_id);
    let status = at_work.directory.status(at_work.now);
    assert_eq!((status.servers_up, status.nested, status.problem), (1, Some("recursive"), None));
}

#[tokio::test]
async fn start_tls_is_as_good_as_tls_at_once() {
    let slapd = corp(&SlapdSetup::new());
    let spec =
        LdapProvider { servers: vec![server(&slapd.start_tls_url())], ..search_and_bind(&slapd, Nested::Recursive) };
    let at_work = AtWork::start(&spec);
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 3);
    assert_eq!(at_work.login("alice", "wrong").await.unwrap_err(), "wrong_password");
}

#[tokio::test]
async fn names_that_would_be_filters_are_names() {
    let slapd = corp(&SlapdSetup::new());
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    for name in [
        "*",
        "al*",
        "*)(uid=*))(|(uid=*",
        "alice)(uid=*",
        r"\2a",
        r"alice\00",
        "a\u{308}lice",
        "alice,ou=people",
        "#alice",
        "a+uid=bob",
    ] {
        assert_eq!(at_work.login(name, PASSWORD).await.unwrap_err(), "unknown_user", "{name:?}");
    }
    for name in ["alice\0", " alice", "alice ", "al\u{200b}ice", "alice\n"] {
        assert_eq!(at_work.login(name, PASSWORD).await.unwrap_err(), "username_characters", "{name:?}");
    }
    assert_eq!(at_work.login(&"a".repeat(257), PASSWORD).await.unwrap_err(), "username_length");
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn an_empty_password_never_reaches_a_directory_that_would_take_it() {
    let slapd = corp(&SlapdSetup::new().lax());
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
    for (password, word) in [("", "password_empty"), ("\0", "password_characters"), ("\0\0", "password_characters")] {
        assert_eq!(at_work.login("alice", password).await.unwrap_err(), word);
    }
    let log = slapd.log();
    let binds = log.matches("BIND dn=\"uid=alice,ou=people,dc=corp,dc=example\" method=128").count();
    assert_eq!(binds, 1, "the good password alone was tried:\n{log}");
}

#[tokio::test]
async fn one_name_for_two_people_is_nobody() {
    let twice = "dn: uid=alice,ou=service,dc=corp,dc=example\nobjectClass: inetOrgPerson\ncn: alice\nsn: alice\n\
                 userPassword: correct horse\n\n";
    let slapd = corp(&SlapdSetup::new().with(twice));
    let mut spec = search_and_bind(&slapd, Nested::None);
    if let Some(users) = &mut spec.users {
        users.base = "dc=corp,dc=example".into();
    }
    let at_work = AtWork::start(&spec);
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap_err(), "ambiguous_user");
    assert!(at_work.login("bob", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_name_of_many_values_is_nobodys() {
    let both = person("erin")
        + "dn: uid=frank,ou=people,dc=corp,dc=example\nobjectClass: inetOrgPerson\ncn: frank\nsn: \
                frank\nuid: root\nuserPassword: correct horse\n\n";
    let slapd = corp(&SlapdSetup::new().with(&both));
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    assert!(at_work.login("erin", PASSWORD).await.is_ok());
    assert_eq!(at_work.login("root", PASSWORD).await.unwrap_err(), "name_attribute");
}

#[tokio::test]
async fn a_template_of_a_distinguished_name_keeps_names_names() {
    let slapd = corp(&SlapdSetup::new());
    let template = ("uid=".into(), ",ou=people,dc=corp,dc=example".into());
    let bare = LdapProvider {
        bind_as: Some(template),
        users: None,
        groups: None,
        service_account: None,
        ..search_and_bind(&slapd, Nested::None)
    };
    let at_work = AtWork::start(&bare);
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), Vec::<String>::new());
    assert_eq!(&*at_work.known("ALICE").await.caller.principal().unwrap().name, "alice");
    assert_eq!(at_work.login("alice", "wrong").await.unwrap_err(), "wrong_password");
    assert_eq!(at_work.login("alice,ou=people", PASSWORD).await.unwrap_err(), "username_characters");
    // With `users` the person searches for herself, as nobody else does.
    let looked_up = LdapProvider {
        users: search_and_bind(&slapd, Nested::None).users,
        groups: search_and_bind(&slapd, Nested::Recursive).groups,
        ..bare
    };
    let at_work = AtWork::start(&looked_up);
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs", "ai-platform", "ai-users"]);
    for name in ["alice,ou=people", "#alice", "alice+cn=alice", "bob,uid=alice"] {
        assert_eq!(at_work.login(name, PASSWORD).await.unwrap_err(), "wrong_password", "{name:?}");
    }
}

/// As with a user principal name that is given to one and belongs to another by the name of her account.
#[tokio::test]
async fn whoever_binds_with_the_name_of_another_is_not_the_other() {
    let claims = "dn: uid=boss,ou=people,dc=corp,dc=example\nobjectClass: inetOrgPerson\ncn: boss\nsn: boss\n\
                  userPassword: bosses own\n\ndn: uid=victim,ou=people,dc=corp,dc=example\nobjectClass: inetOrgPerson\n\
                  cn: victim\nsn: victim\ndescription: boss\nuserPassword: victims own\n\n";
    let slapd = corp(&SlapdSetup::new().with(claims));
    let mut spec = search_and_bind(&slapd, Nested::None);
    spec.bind_as = Some(("uid=".into(), ",ou=people,dc=corp,dc=example".into()));
    if let Some(users) = &mut spec.users {
        users.filter = vec!["(|(&(uid=alice)(uid=".into(), "))(description=".into(), "))".into()];
    }
    for service_account in [spec.service_account.clone(), None] {
        let at_work = AtWork::start(&LdapProvider { service_account, ..spec.clone() });
        assert_eq!(at_work.login("boss", "bosses own").await.unwrap_err(), "ambiguous_user");
        assert_eq!(at_work.login("boss", "victims own").await.unwrap_err(), "wrong_password");
        assert!(at_work.login("alice", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn each_way_to_find_groups_is_used_only_where_it_works() {
    let flat = corp(&SlapdSetup::new());
    let says = async |slapd: &Slapd, nested: Nested| {
        let at_work = AtWork::start(&search_and_bind(slapd, nested));
        let login = at_work.login("alice", PASSWORD).await;
        (login, at_work.directory.status(at_work.now).problem)
    };
    // OpenLDAP answers Active Directory's rule with success and nothing: "no groups" would be a lie.
    for nested in [Nested::MatchingRule, Nested::TokenGroups] {
        let (login, problem) = says(&flat, nested).await;
        assert_eq!(login.unwrap_err(), "unfit", "{nested:?}");
        assert!(problem.is_some_and(|problem| problem.contains("does not work with this directory")), "{nested:?}");
    }
    assert_eq!(says(&flat, Nested::None).await.0.unwrap(), ["ai-devs"]);
    let direct = corp(&SlapdSetup::new().with_direct_member_of());
    direct.add(&group("outer", &["cn=inner,ou=groups"]));
    direct.add(&group("inner", &["uid=bob,ou=people"]));
    let (login, problem) = says(&direct, Nested::MemberOf).await;
    assert_eq!(login.unwrap_err(), "unfit");
    assert!(problem.is_some_and(|problem| problem.contains("direct groups only")));
    assert_eq!(says(&direct, Nested::Auto).await.0.unwrap().len(), 3, "step by step");
    let nested = corp(&SlapdSetup::new().with_nested_member_of());
    for way in [Nested::MemberOf, Nested::Auto] {
        let at_work = AtWork::start(&search_and_bind(&nested, way));
        assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs", "ai-platform", "ai-users"]);
        assert_eq!(at_work.directory.status(at_work.now).nested, Some("member-of"), "{way:?}");
    }
}

#[tokio::test]
async fn fifty_levels_are_followed_and_seventy_refused() {
    let chain = |name: &str, levels: usize, person: &str| {
        let mut entries = group(&format!("{name}-0"), &[&format!("uid={person},ou=people")]);
        for level in 1..levels {
            entries += &group(&format!("{name}-{level}"), &[&format!("cn={name}-{},ou=groups", level - 1)]);
        }
        entries
    };
    let slapd = corp(&SlapdSetup::new().with(&(chain("deep", 50, "carol") + &chain("abyss", 70, "bob"))));
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::Recursive));
    assert_eq!(at_work.login("carol", PASSWORD).await.unwrap().len(), 50);
    assert_eq!(at_work.login("bob", PASSWORD).await.unwrap_err(), "too_many", "never some of the groups");
}

#[tokio::test]
async fn large_groups_and_many_groups_are_read_in_pages() {
    let people: Vec<String> = (0..2_500).map(|number| format!("uid=p{number},ou=people")).collect();
    let members: Vec<&str> = people.iter().map(String::as_str).chain(["uid=alice,ou=people"]).collect();
    let mut entries = group("everybody", &members);
    for number in 0..1_200 {
        entries += &group(&format!("team-{number}"), &["uid=bob,ou=people"]);
    }
    let slapd = corp(&SlapdSetup::new().with_small_pages().with(&entries));
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::Auto));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap(), ["ai-devs", "ai-platform", "ai-users", "everybody"]);
    let bob = at_work.login("bob", PASSWORD).await.unwrap();
    assert_eq!(bob.len(), 1_201, "more than one page, more than the server's size limit");
}

#[tokio::test]
async fn a_removed_member_and_a_changed_password_are_noticed_when_fresh_is_over() {
    let slapd = corp(&SlapdSetup::new());
    let mut at_work = AtWork::start(&search_and_bind(&slapd, Nested::Recursive));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 3);
    slapd.modify(
        "dn: cn=ai-devs,ou=groups,dc=corp,dc=example\nchangetype: modify\ndelete: member\nmember: \
         uid=alice,ou=people,dc=corp,dc=example\n",
    );
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 3, "remembered");
    at_work.now += FRESH;
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 0);
    slapd.modify(
        "dn: uid=alice,ou=people,dc=corp,dc=example\nchangetype: modify\nreplace: userPassword\nuserPassword: another\n",
    );
    assert!(at_work.login("alice", PASSWORD).await.is_ok(), "remembered");
    at_work.now += FRESH;
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap_err(), "wrong_password");
    assert!(at_work.login("alice", "another").await.is_ok());
    // Told to forget, it asks at once.
    slapd.modify("dn: uid=alice,ou=people,dc=corp,dc=example\nchangetype: delete\n");
    at_work.directory.forget();
    assert_eq!(at_work.login("alice", "another").await.unwrap_err(), "unknown_user");
}

#[tokio::test]
async fn whoever_is_still_there_is_asked_about_before_fresh_is_over() {
    let slapd = corp(&SlapdSetup::new());
    let mut at_work = AtWork::start(&search_and_bind(&slapd, Nested::Recursive));
    let first = at_work.known("alice").await;
    assert!(first.fresh < FRESH && first.fresh > FRESH / 2, "{:?}", first.fresh);
    at_work.now += FRESH.saturating_sub(Duration::from_secs(1));
    slapd.modify("dn: cn=ai-devs,ou=groups,dc=corp,dc=example\nchangetype: delete\n");
    assert_eq!(groups(&at_work.known("alice").await).len(), 3, "answered from memory, asked in the background");
    eventually("the answer is there", async || groups(&at_work.known("alice").await).is_empty()).await;
}

#[tokio::test]
async fn strangers_who_guess_lock_nobody_out() {
    let slapd = corp(&SlapdSetup::new());
    let mut at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
    for guess in ["one", "two", "three"] {
        assert_eq!(at_work.login("alice", guess).await.unwrap_err(), "wrong_password");
    }
    assert_eq!(at_work.login("alice", "three").await.unwrap_err(), "wrong_password", "the same again is not counted");
    assert_eq!(at_work.login("alice", "four").await.unwrap_err(), "throttled");
    assert_eq!(at_work.login("Alice", "five").await.unwrap_err(), "throttled", "by person, not by spelling");
    at_work.now += FRESH;
    assert!(at_work.login("alice", PASSWORD).await.is_ok(), "a password that was good is tried");
    assert_eq!(at_work.directory.status(at_work.now).throttled, 1);
    assert!(at_work.login("bob", PASSWORD).await.is_ok(), "nobody else is held up");
}

#[tokio::test]
async fn guesses_at_the_same_moment_are_counted_before_they_are_made() {
    let slapd = corp(&SlapdSetup::new());
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    let guesses: Vec<String> = (0..40).map(|number| format!("guess {number}")).collect();
    let words = futures_util::future::join_all(guesses.iter().map(|guess| at_work.login("alice", guess))).await;
    let tried = words.iter().filter(|word| word.as_ref().unwrap_err() == "wrong_password").count();
    assert_eq!(tried, 3, "{words:?}");
}

#[tokio::test]
async fn the_time_of_a_refusal_says_nothing() {
    let slapd = corp(&SlapdSetup::new());
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    assert!(at_work.login("bob", PASSWORD).await.is_ok(), "connections are open");
    let mut shortest = Duration::MAX;
    for (name, password, word) in [
        ("zoe", "x", "unknown_user"),
        ("alice", "1", "wrong_password"),
        ("alice", "2", "wrong_password"),
        ("alice", "3", "wrong_password"),
        ("alice", "4", "throttled"),
        ("alice", "", "password_empty"),
    ] {
        let begun = Instant::now();
        assert_eq!(at_work.login(name, password).await.unwrap_err(), word);
        shortest = shortest.min(begun.elapsed());
    }
    assert!(shortest >= Duration::from_millis(200), "{shortest:?}");
}

#[tokio::test]
async fn callers_of_another_provider_get_their_groups() {
    let slapd = corp(&SlapdSetup::new());
    let mut at_work = AtWork::start(&search_and_bind(&slapd, Nested::Recursive));
    let mut known = at_work.known("alice").await;
    let mut principal = known.caller.principal().unwrap().clone();
    principal.groups.clear();
    let as_known = |principal: &portcullis_policy::authorize::Principal| Known {
        caller: portcullis_policy::authorize::Caller::known(principal.clone()),
        fresh: STALE,
        lacks_groups: true,
    };
    known = at_work.directory.enrich(as_known(&principal), at_work.now).await.unwrap();
    assert_eq!(groups(&known), ["ai-devs", "ai-platform", "ai-users"]);
    assert!(!known.lacks_groups);
    assert!(known.fresh <= FRESH, "no longer than the groups are fresh");
    principal.name = "not-in-the-directory".into();
    let stranger = at_work.directory.enrich(as_known(&principal), at_work.now).await.unwrap();
    assert!(groups(&stranger).is_empty() && stranger.lacks_groups, "groups that are lacking are not no groups");
    principal.name = "*".into();
    assert!(groups(&at_work.directory.enrich(as_known(&principal), at_work.now).await.unwrap()).is_empty());
    principal.name = "al\nice".into();
    let refused = at_work.directory.enrich(as_known(&principal), at_work.now).await;
    assert_eq!(refused.unwrap_err(), Rejection::Invalid("username_characters"));
    // An open stream is judged again by what the directory says now.
    let alice = at_work.known("alice").await;
    let alice = alice.caller.principal().unwrap();
    slapd.modify("dn: cn=ai-devs,ou=groups,dc=corp,dc=example\nchangetype: delete\n");
    at_work.now += FRESH;
    let renewed = at_work.directory.renew(alice, None, at_work.now).await.unwrap();
    assert!(groups(&renewed).is_empty());
    slapd.modify("dn: uid=alice,ou=people,dc=corp,dc=example\nchangetype: delete\n");
    at_work.now += FRESH;
    assert_eq!(
        at_work.directory.renew(alice, None, at_work.now).await.unwrap_err(),
        Rejection::Invalid("unknown_user")
    );
}
