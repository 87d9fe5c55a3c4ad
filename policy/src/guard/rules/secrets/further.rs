//! Credentials that are known by a prefix of their own, of providers that the other files do not have; and those of many
//! providers that are only known by the name that they are assigned to.

use super::{
    super::{Check, Context, Edge, Rule, checks::tokens},
    assigned, token,
};

/// Providers whose credentials are letters and digits without a mark.
const PROVIDERS: &[&str] = &[
    "adafruit",
    "adobe",
    "airtable",
    "algolia",
    "alibaba",
    "artifactory",
    "asana",
    "atlassian",
    "beamer",
    "bintray",
    "bitbucket",
    "bittrex",
    "cloudflare",
    "codecov",
    "cohere",
    "coinbase",
    "confluence",
    "confluent",
    "contentful",
    "datadog",
    "discord",
    "droneci",
    "dropbox",
    "etsy",
    "facebook",
    "fastly",
    "finicity",
    "finnhub",
    "flickr",
    "freshbooks",
    "gitter",
    "gocardless",
    "heroku",
    "hubspot",
    "intercom",
    "jfrog",
    "jira",
    "kucoin",
    "launchdarkly",
    "linear",
    "linked_in",
    "linkedin",
    "lob",
    "looker",
    "mailchimp",
    "mailgun",
    "mapbox",
    "mattermost",
    "meraki",
    "message_bird",
    "messagebird",
    "netlify",
    "new-relic",
    "new_relic",
    "newrelic",
    "newyorktimes",
    "nytimes",
    "okta",
    "plaid",
    "private_ai",
    "privateai",
    "rapidapi",
    "sendbird",
    "sentry",
    "snyk",
    "sonar",
    "squarespace",
    "sumo",
    "sumologic",
    "travis",
    "twitch",
    "twitter",
    "typeform",
    "xray",
    "yandex",
    "zendesk",
];

pub(super) static RULES: &[Rule] = &[
    assigned(
        "any",
        "assigned-to-provider",
        "random letters and digits, assigned to a name with a provider's in it",
        PROVIDERS,
        r"[A-Za-z0-9_=-]{14,150}",
        &[
            "adafruit_key = \"«⟨hex:32⟩»\"",
            "DISCORD_CLIENT_SECRET=«⟨url:32⟩»\n",
            "\"linkedInToken\": \"«5k2⟨lower:6⟩8x1⟨lower:4⟩»\"",
        ],
        &[
            "twitter_handle = some-long-name-2024",
            "datadog: 7.41.2-beta1",
            "linear = interpolate_between_both",
            "digest = ⟨hex:32⟩",
        ],
    )
    .check(Check::Of("letters among digits, entropy ≥ 3.0", tokens::mixed)),
    token(
        "Adobe",
        "adobe-client-secret",
        "client secret",
        r"p8e-[0-9A-Za-z_-]{32}",
        &["key: «p8e-⟨hex:32⟩»"],
        &["p8e-⟨hex:16⟩", "p8e-⟨repeat:x*32⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Frame.io",
        "frameio-token",
        "developer credential",
        r"fio-u-[0-9A-Za-z=_-]{64}",
        &["key: «fio-u-⟨url:64⟩»"],
        &["fio-u-⟨url:30⟩", "fio-u-⟨repeat:x*64⟩"],
    ),
    token(
        "Infracost",
        "infracost-key",
        "API key",
        r"ico-[0-9A-Za-z]{32}",
        &["key: «ico-⟨alnum:32⟩»"],
        &["ico-⟨alnum:16⟩", "ico-⟨repeat:x*32⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    token(
        "42",
        "intra42-client-secret",
        "client secret",
        r"s-s4t2(?:ud|af)-[0-9a-f]{64}",
        &["key: «s-s4t2ud-⟨hex:64⟩»"],
        &["s-s4t2ud-⟨hex:30⟩", "s-s4t2ud-⟨repeat:0*64⟩"],
    ),
    token(
        "Scalingo",
        "scalingo-token",
        "API credential",
        r"tk-us-[0-9A-Za-z_-]{48}",
        &["key: «tk-us-⟨url:48⟩»"],
        &["tk-us-⟨url:20⟩", "tk-us-⟨repeat:x*48⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "SettleMint",
        "settlemint-token",
        "access credential of an application, a person or a service",
        r"sm_[aps]at_[0-9A-Za-z]{16}",
        &["key: «sm_aat_⟨alnum:16⟩»", "«sm_pat_⟨alnum:16⟩»"],
        &["sm_aat_⟨alnum:8⟩", "sm_pat_⟨repeat:x*16⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    token(
        "Meta",
        "facebook-application-token",
        "access credential of an application",
        r"[0-9]{15,16}\|[0-9A-Za-z_-]{27,40}",
        &["key: «1⟨digit:14⟩|⟨url:27⟩»"],
        &["1⟨digit:14⟩|⟨url:10⟩", "| 1⟨digit:14⟩ | ⟨url:27⟩ |"],
    )
    .edges(Edge::Number, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "GitLab",
        "gitlab-session-cookie",
        "cookie of somebody who is signed in",
        r"_gitlab_session=[0-9a-z]{32}",
        &["Cookie: «_gitlab_session=⟨hex:32⟩»;"],
        &["_gitlab_session=", "_gitlab_session=⟨hex:16⟩"],
    ),
    assigned(
        "Sidekiq",
        "sidekiq-secret",
        "user and password of its package server",
        &["contribsys__com"],
        r"[0-9a-f]{8}:[0-9a-f]{8}",
        &["BUNDLE_GEMS__CONTRIBSYS__COM=«⟨hex:8⟩:⟨hex:8⟩»"],
        &["ratio = ⟨hex:8⟩:⟨hex:8⟩"],
    )
    .check(Check::Entropy(25)),
    token(
        "Mapbox",
        "mapbox-public-token",
        "public credential, by which its account is billed",
        r"pk\.[0-9A-Za-z_-]{60,120}\.[0-9A-Za-z_-]{22}",
        &["key: «pk.⟨url:60⟩.⟨url:22⟩»"],
        &["pk.⟨url:20⟩.⟨url:22⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(38)),
    token(
        "any",
        "jwt-in-base64",
        "JSON Web Token in Base64 again, as Kubernetes' secrets are written",
        r"ZXlK[A-Za-z0-9+/]{60,3000}={0,2}",
        &["token: «⟨base64:eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlc2lnbmF0dXJl⟩»"],
        &["ZXlK⟨b64:20⟩"],
    )
    .edges(Edge::Word, Edge::Base64)
    .check(Check::Entropy(40)),
    assigned(
        "Sumo Logic",
        "sumologic-access-id",
        "access id, beside which its key stands",
        &["sumo"],
        r"su[0-9A-Za-z]{12}",
        &["SUMO_ACCESS_ID=\"«su⟨alnum:12⟩»\""],
        &["digest su⟨alnum:12⟩", "SUMO_ACCESS_ID=\"su⟨repeat:x*12⟩\""],
    )
    .check(Check::Entropy(28)),
    assigned(
        "Freemius",
        "freemius-secret-key",
        "secret key",
        &["secret_key"],
        r"sk_[!-&(-~]{29}",
        &["'secret_key' => '«sk_⟨alnum:29⟩»',"],
        &["'public_key' => 'sk_⟨alnum:29⟩',", "'secret_key' => 'sk_⟨repeat:x*29⟩',"],
    ),
    token(
        "NuGet",
        "nuget-config-password",
        "password of a package source",
        r"[^\x00-\x1f\x22<>]{8,128}",
        &["<add key=\"ClearTextPassword\" value=\"«⟨alnum:16⟩»\" />"],
        &[
            "<add key=\"Username\" value=\"⟨alnum:16⟩\" />",
            "<add key=\"ClearTextPassword\" value=\"%NUGET_PASSWORD%\" />",
        ],
    )
    .context(Context::Behind(&["password\" value=\""]))
    .edges(Edge::Open, Edge::Authority)
    .check(Check::Of("a password that is no placeholder", tokens::password)),
    token(
        "any",
        "secret-in-base64",
        "credential of AWS, GitHub, GitLab, Anthropic, OpenAI, Slack, Google, Stripe, npm or PyPI in Base64, from its prefix on",
        concat!(
            "(?:",
            "QUtJQ|FLSU|BS0lB|QVNJQ|FTSU|BU0lB|Z2hwX|docF|naHBf|Z2hvX|dob1|naG9f|Z2hzX|doc1|naHNf|Z2l0aHViX3BhdF|",
            "dpdGh1Yl9wYXRf|naXRodWJfcGF0X|Z2xwYXQt|dscGF0L|nbHBhdC|c2stYW50L|NrLWFudC|zay1hbnQt|c2stcHJvai|",
            "NrLXByb2ot|zay1wcm9qL|eG94Yi|hveGIt|4b3hiL|eG94cC|hveHAt|4b3hwL|QUl6Y|FJem|BSXph|c2tfbGl2ZV|",
            "NrX2xpdmVf|za19saXZlX|bnBtX|5wbV|ucG1f|cHlwaS|B5cGkt|weXBpL",
            r")[A-Za-z0-9+/_-]{16,400}={0,2}",
        ),
        &[
            "key: «⟨base64:AKIAQ3EGUZ4D2WJX5TPV⟩»",
            "⟨base64:the key is ⟩«⟨base64:ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX⟩»",
        ],
        &["⟨b64:60⟩", "QUtJQSBpcyBhIHdvcmQ"],
    )
    .edges(Edge::Open, Edge::Base64)
    .check(Check::Of("a prefix and a credential, decoded", tokens::in_base64)),
    token(
        "any",
        "curl-user",
        "password on curl's command line",
        r"[!#-&(-9;-~]{3,128}",
        &[
            "curl -u deploy:«⟨alnum:16⟩» https://corp.example",
            "curl --user \"deploy:«⟨alnum:16⟩»\" https://corp.example",
        ],
        &[
            "curl -u user:password https://corp.example",
            "curl -u deploy:$PASSWORD https://corp.example",
            "docker -u root:⟨alnum:16⟩",
        ],
    )
    .context(Context::Other("`curl … -u user:`", |last| last.ends_with(b":"), is_curl_user))
    .edges(Edge::Open, Edge::Authority)
    .check(Check::Of("a password that is no placeholder", tokens::password)),
];

/// `curl … -u user:`, perhaps in quotes.
fn is_curl_user(window: &[u8]) -> bool {
    let Some(text) = window.strip_suffix(b":") else { return false };
    let mut words = text.rsplit(u8::is_ascii_whitespace);
    let user = words.next().unwrap_or_default();
    let option = words.find(|word| !word.is_empty()).unwrap_or_default();
    !user.is_empty() && matches!(option, b"-u" | b"--user") && words.any(|word| word.ends_with(b"curl"))
}
