//! What watches systems and keeps their data.

use super::{
    super::{Check, Context, Edge, Rule, context::VALUE},
    assigned, token,
};

pub(super) static RULES: &[Rule] = &[
    assigned(
        "Datadog",
        "datadog-api-key",
        "API key",
        &["datadog", "dd_api"],
        r"[0-9a-f]{32}",
        &["DATADOG_API_KEY=\"«⟨hex:32⟩»\"", "\"datadogToken\": \"«⟨hex:32⟩»\"", "the datadog key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "DATADOG_API_KEY=\"⟨hex:16⟩\"", "DATADOG_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Datadog",
        "datadog-app-key",
        "application key",
        &["datadog", "dd_app"],
        r"[0-9a-f]{40}",
        &["DATADOG_API_KEY=\"«⟨hex:40⟩»\"", "\"datadogToken\": \"«⟨hex:40⟩»\"", "the datadog key is «⟨hex:40⟩»,"],
        &["digest ⟨hex:40⟩", "DATADOG_API_KEY=\"⟨hex:20⟩\"", "DATADOG_API_KEY=\"⟨repeat:0*40⟩\""],
    ),
    token(
        "New Relic",
        "newrelic-key",
        "user, ingest or browser key",
        r"NRAK-[0-9A-Za-z]{27}|NRII-[0-9A-Za-z_-]{32}|NRJS-[0-9a-f]{19}|NRRA-[0-9a-f]{42}",
        &["key: «NRAK-⟨upper:27⟩»", "{\"k\":\"«NRAK-⟨upper:27⟩»\"}"],
        &["key: NRAK-⟨upper:13⟩", "key: NRAK-⟨repeat:X*27⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "New Relic",
        "newrelic-license-key",
        "licence key",
        r"(?:eu01xx)?[0-9a-f]{32,36}NRAL",
        &["key: «⟨hex:36⟩NRAL»", "{\"k\":\"«⟨hex:36⟩NRAL»\"}"],
        &["key: ⟨hex:18⟩NRAL", "key: ⟨repeat:0*36⟩NRAL"],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Word),
    token(
        "Grafana",
        "grafana-cloud-token",
        "access policy credential",
        r"glc_[0-9A-Za-z+/]{32,400}={0,3}",
        &["key: «glc_⟨b64:120⟩»", "{\"k\":\"«glc_⟨b64:120⟩»\"}"],
        &["glc_⟨b64:16⟩", "glc_⟨repeat:x*40⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "Grafana",
        "grafana-service-account",
        "service account credential",
        r"glsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}",
        &["key: «glsa_⟨alnum:32⟩_⟨hex:8⟩»", "{\"k\":\"«glsa_⟨alnum:32⟩_⟨hex:8⟩»\"}"],
        &["key: glsa_⟨alnum:16⟩_⟨hex:8⟩", "key: glsa_⟨repeat:x*32⟩_⟨repeat:0*8⟩"],
    ),
    token(
        "Grafana",
        "grafana-api-key",
        "API key of the older form",
        r"eyJrIjoi[0-9A-Za-z]{70,400}={0,2}",
        &["key: «eyJrIjoi⟨alnum:90⟩»", "{\"k\":\"«eyJrIjoi⟨alnum:90⟩»\"}"],
        &["eyJrIjoi⟨alnum:20⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(40)),
    token(
        "Dynatrace",
        "dynatrace-token",
        "API credential",
        r"dt0[a-z][0-9]{2}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}",
        &["key: «dt0c01.⟨base32:24⟩.⟨base32:64⟩»", "{\"k\":\"«dt0c01.⟨base32:24⟩.⟨base32:64⟩»\"}"],
        &["key: dt0c01.⟨base32:24⟩.⟨base32:32⟩", "key: dt0c01.⟨repeat:X*24⟩.⟨repeat:X*64⟩"],
    )
    .check(Check::Entropy(38)),
    token(
        "Sentry",
        "sentry-org-token",
        "credential of an organisation",
        r"sntrys_eyJ[0-9A-Za-z+/=]{60,400}_[0-9A-Za-z+/]{43}",
        &["key: «sntrys_eyJ⟨b64:120⟩_⟨b64:43⟩»", "{\"k\":\"«sntrys_eyJ⟨b64:120⟩_⟨b64:43⟩»\"}"],
        &["sntrys_eyJ⟨b64:20⟩_⟨b64:43⟩", "sntrys_eyJ⟨b64:120⟩_⟨b64:20⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "Sentry",
        "sentry-user-token",
        "credential of a user",
        r"sntryu_[0-9a-f]{64}",
        &["key: «sntryu_⟨hex:64⟩»", "{\"k\":\"«sntryu_⟨hex:64⟩»\"}"],
        &["key: sntryu_⟨hex:32⟩", "key: sntryu_⟨repeat:0*64⟩"],
    ),
    assigned(
        "Sentry",
        "sentry-legacy-token",
        "credential of the older form",
        &["sentry"],
        r"[0-9a-f]{64}",
        &["SENTRY_API_KEY=\"«⟨hex:64⟩»\"", "\"sentryToken\": \"«⟨hex:64⟩»\"", "the sentry key is «⟨hex:64⟩»,"],
        &["digest ⟨hex:64⟩", "SENTRY_API_KEY=\"⟨hex:32⟩\"", "SENTRY_API_KEY=\"⟨repeat:0*64⟩\""],
    ),
    assigned(
        "Splunk",
        "splunk-hec-token",
        "collector credential",
        &["splunk", "hec"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "SPLUNK_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"splunkToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the splunk key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "SPLUNK_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "SPLUNK_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    assigned(
        "Sumo Logic",
        "sumologic-key",
        "access key",
        &["sumologic", "sumo_logic", "sumo"],
        r"[0-9A-Za-z]{64}",
        &[
            "SUMOLOGIC_API_KEY=\"«⟨alnum:64⟩»\"",
            "\"sumologicToken\": \"«⟨alnum:64⟩»\"",
            "the sumologic key is «⟨alnum:64⟩»,",
        ],
        &["digest ⟨alnum:64⟩", "SUMOLOGIC_API_KEY=\"⟨alnum:32⟩\"", "SUMOLOGIC_API_KEY=\"⟨repeat:x*64⟩\""],
    )
    .check(Check::Entropy(40)),
    token(
        "PagerDuty",
        "pagerduty-token",
        "API key",
        r"u\+[0-9A-Za-z_-]{18}",
        &["PAGERDUTY_TOKEN=«u+⟨url:18⟩»"],
        &["u+⟨url:18⟩"],
    )
    .context(Context::Assigned(&["pagerduty", "pager_duty", "pd_token", "authorization"]))
    .edges(Edge::Word, Edge::Name)
    .check(Check::Entropy(33)),
    assigned(
        "Atlassian",
        "opsgenie-key",
        "Opsgenie API key",
        &["opsgenie"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "OPSGENIE_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"opsgenieToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the opsgenie key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "OPSGENIE_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "OPSGENIE_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    assigned(
        "Rollbar",
        "rollbar-token",
        "access credential",
        &["rollbar"],
        r"[0-9a-f]{32}",
        &["ROLLBAR_API_KEY=\"«⟨hex:32⟩»\"", "\"rollbarToken\": \"«⟨hex:32⟩»\"", "the rollbar key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "ROLLBAR_API_KEY=\"⟨hex:16⟩\"", "ROLLBAR_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Bugsnag",
        "bugsnag-key",
        "API key",
        &["bugsnag"],
        r"[0-9a-f]{32}",
        &["BUGSNAG_API_KEY=\"«⟨hex:32⟩»\"", "\"bugsnagToken\": \"«⟨hex:32⟩»\"", "the bugsnag key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "BUGSNAG_API_KEY=\"⟨hex:16⟩\"", "BUGSNAG_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "Honeycomb",
        "honeycomb-key",
        "ingest or configuration key",
        r"hc[abx][im]k_[0-9a-z]{58}",
        &["key: «hcaik_⟨lower:58⟩»", "{\"k\":\"«hcaik_⟨lower:58⟩»\"}"],
        &["key: hcaik_⟨lower:29⟩", "key: hcaik_⟨repeat:x*58⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    assigned(
        "Honeycomb",
        "honeycomb-legacy-key",
        "API key of the older form",
        &["honeycomb"],
        r"[0-9A-Za-z]{22}|[0-9a-f]{32}",
        &[
            "HONEYCOMB_API_KEY=\"«⟨alnum:22⟩»\"",
            "\"honeycombToken\": \"«⟨alnum:22⟩»\"",
            "the honeycomb key is «⟨alnum:22⟩»,",
        ],
        &["digest ⟨alnum:22⟩", "HONEYCOMB_API_KEY=\"⟨alnum:11⟩\"", "HONEYCOMB_API_KEY=\"⟨repeat:x*22⟩\""],
    ),
    token(
        "PostHog",
        "posthog-key",
        "personal API key",
        r"phx_[0-9A-Za-z]{40,60}",
        &["key: «phx_⟨alnum:43⟩»", "{\"k\":\"«phx_⟨alnum:43⟩»\"}"],
        &["phx_⟨alnum:20⟩"],
    )
    .check(Check::Entropy(36)),
    assigned(
        "Twilio Segment",
        "segment-write-key",
        "write key",
        &["segment"],
        r"[0-9A-Za-z]{32}",
        &["SEGMENT_API_KEY=\"«⟨alnum:32⟩»\"", "\"segmentToken\": \"«⟨alnum:32⟩»\"", "the segment key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "SEGMENT_API_KEY=\"⟨alnum:16⟩\"", "SEGMENT_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "Twilio Segment",
        "segment-public-api",
        "public API credential",
        r"sgp_[0-9A-Za-z]{64}",
        &["key: «sgp_⟨alnum:64⟩»", "{\"k\":\"«sgp_⟨alnum:64⟩»\"}"],
        &["key: sgp_⟨alnum:32⟩", "key: sgp_⟨repeat:x*64⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(40)),
    assigned(
        "Mixpanel",
        "mixpanel-secret",
        "API secret",
        &["mixpanel"],
        r"[0-9a-f]{32}",
        &["MIXPANEL_API_KEY=\"«⟨hex:32⟩»\"", "\"mixpanelToken\": \"«⟨hex:32⟩»\"", "the mixpanel key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "MIXPANEL_API_KEY=\"⟨hex:16⟩\"", "MIXPANEL_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Amplitude",
        "amplitude-key",
        "secret key",
        &["amplitude"],
        r"[0-9a-f]{32}",
        &["AMPLITUDE_API_KEY=\"«⟨hex:32⟩»\"", "\"amplitudeToken\": \"«⟨hex:32⟩»\"", "the amplitude key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "AMPLITUDE_API_KEY=\"⟨hex:16⟩\"", "AMPLITUDE_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "Better Stack",
        "betterstack-token",
        "source credential",
        r"[0-9A-Za-z]{24}",
        &["LOGTAIL_SOURCE_TOKEN=«⟨alnum:24⟩»"],
        &["x=⟨alnum:24⟩", "LOGTAIL_SOURCE_TOKEN=⟨repeat:x*24⟩"],
    )
    .context(Context::Assigned(&["betterstack", "better_stack", "logtail", "betteruptime"]))
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(33)),
    token(
        "PlanetScale",
        "planetscale-credential",
        "password or credential",
        r"pscale_(?:tkn|pw|oauth)_[0-9A-Za-z_.=-]{32,64}",
        &["key: «pscale_tkn_⟨url:43⟩»", "{\"k\":\"«pscale_tkn_⟨url:43⟩»\"}"],
        &["pscale_tkn_⟨url:12⟩", "pscale_pw_⟨repeat:x*43⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Supabase",
        "supabase-token",
        "access credential or secret key",
        r"sbp_(?:oauth_)?[0-9a-f]{40}|sb_secret_[0-9A-Za-z_-]{31}",
        &["key: «sbp_⟨hex:40⟩»", "{\"k\":\"«sbp_⟨hex:40⟩»\"}"],
        &["key: sbp_⟨hex:20⟩", "key: sbp_⟨repeat:0*40⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Neon",
        "neon-api-key",
        "API key",
        r"napi_[0-9a-z]{64}",
        &["key: «napi_⟨lower:64⟩»", "{\"k\":\"«napi_⟨lower:64⟩»\"}"],
        &["key: napi_⟨lower:32⟩", "key: napi_⟨repeat:x*64⟩"],
    )
    .check(Check::Entropy(38)),
    token(
        "ClickHouse",
        "clickhouse-cloud-key",
        "Cloud API secret",
        r"4b1d[0-9A-Za-z]{38}",
        &["key: «4b1d⟨alnum:38⟩»", "{\"k\":\"«4b1d⟨alnum:38⟩»\"}"],
        &["key: 4b1d⟨alnum:19⟩", "key: 4b1d⟨repeat:x*38⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(36)),
    assigned(
        "MongoDB",
        "mongodb-atlas-key",
        "Atlas private key",
        &["atlas", "mongodb"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "ATLAS_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"atlasToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the atlas key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "ATLAS_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "ATLAS_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    token(
        "MongoDB",
        "mongodb-atlas-secret",
        "Atlas service account secret",
        r"mdb_sa_sk_[0-9A-Za-z_-]{40}",
        &["key: «mdb_sa_sk_⟨url:40⟩»", "{\"k\":\"«mdb_sa_sk_⟨url:40⟩»\"}"],
        &["key: mdb_sa_sk_⟨url:20⟩", "key: mdb_sa_sk_⟨repeat:x*40⟩"],
    )
    .check(Check::Entropy(36)),
    assigned(
        "Confluent",
        "confluent-secret",
        "API secret",
        &["confluent", "kafka"],
        r"[0-9A-Za-z+/]{64}",
        &["CONFLUENT_API_KEY=\"«⟨b64:64⟩»\"", "\"confluentToken\": \"«⟨b64:64⟩»\"", "the confluent key is «⟨b64:64⟩»,"],
        &["digest ⟨b64:64⟩", "CONFLUENT_API_KEY=\"⟨b64:32⟩\"", "CONFLUENT_API_KEY=\"⟨repeat:x*64⟩\""],
    )
    .check(Check::Entropy(42)),
    token(
        "Confluent",
        "confluent-cloud-secret",
        "Cloud API secret of the newer form",
        r"cflt[0-9A-Za-z+/]{60}",
        &["key: «cflt⟨b64:60⟩»", "{\"k\":\"«cflt⟨b64:60⟩»\"}"],
        &["key: cflt⟨b64:30⟩", "key: cflt⟨repeat:x*60⟩"],
    )
    .edges(Edge::Word, Edge::Base64)
    .check(Check::Entropy(42)),
    token(
        "Aiven",
        "aiven-token",
        "credential or service password",
        r"AVNS_[0-9A-Za-z_-]{19}|aivenv1[0-9A-Za-z+/]{60,400}={0,2}",
        &["key: «AVNS_⟨url:19⟩»", "{\"k\":\"«AVNS_⟨url:19⟩»\"}"],
        &["key: AVNS_⟨url:9⟩", "key: AVNS_⟨repeat:x*19⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(33)),
    assigned(
        "Upstash",
        "upstash-token",
        "REST credential",
        &["upstash"],
        r"A[0-9A-Za-z_-]{50,100}={0,2}",
        &["UPSTASH_API_KEY=\"«A⟨url:60⟩»\"", "\"upstashToken\": \"«A⟨url:60⟩»\"", "the upstash key is «A⟨url:60⟩»,"],
        &["x A⟨url:60⟩", "UPSTASH_API_KEY=A⟨url:20⟩"],
    )
    .check(Check::Entropy(40)),
    assigned(
        "Elastic",
        "elastic-api-key",
        "API key",
        &["elastic", "elasticsearch"],
        r"[0-9A-Za-z_+/-]{58,62}={0,2}",
        &["ELASTIC_API_KEY=\"«⟨alnum:60⟩»\"", "\"elasticToken\": \"«⟨alnum:60⟩»\"", "the elastic key is «⟨alnum:60⟩»,"],
        &["digest ⟨alnum:60⟩", "ELASTIC_API_KEY=\"⟨alnum:30⟩\"", "ELASTIC_API_KEY=\"⟨repeat:x*60⟩\""],
    )
    .check(Check::Entropy(42)),
    assigned(
        "Snowflake",
        "snowflake-password",
        "password",
        &["snowflake_password", "snowsql_pwd", "snowflakepassword"],
        r"[!#-&(-+\-./0-:=?-_a-~]{8,64}",
        &[
            "SNOWFLAKE_PASSWORD=\"«⟨alnum:20⟩»\"",
            "\"snowflake_passwordToken\": \"«⟨alnum:20⟩»\"",
            "the snowflake_password key is «⟨alnum:20⟩»,",
        ],
        &["snowflake is cold", "SNOWFLAKE_PASSWORD=short"],
    )
    .check(Check::Entropy(28)),
    assigned(
        "InfluxData",
        "influxdb-token",
        "API credential",
        &["influx", "influxdb"],
        r"[0-9A-Za-z_-]{86}==",
        &["INFLUX_API_KEY=\"«⟨url:86⟩==»\"", "\"influxToken\": \"«⟨url:86⟩==»\"", "the influx key is «⟨url:86⟩==»,"],
        &["digest ⟨url:86⟩==", "INFLUX_API_KEY=\"⟨url:43⟩==\"", "INFLUX_API_KEY=\"⟨repeat:x*86⟩==\""],
    )
    .check(Check::Entropy(45)),
    token(
        "Duo",
        "duo-secret-key",
        "secret key of an integration",
        r"[0-9A-Za-z]{40}",
        &["DUO_SKEY=«⟨alnum:40⟩»"],
        &["x=⟨alnum:40⟩", "DUO_SKEY=⟨repeat:x*40⟩"],
    )
    .context(Context::Assigned(&["duo", "skey"]))
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(38)),
    assigned(
        "Shodan",
        "shodan-key",
        "API key",
        &["shodan"],
        r"[0-9A-Za-z]{32}",
        &["SHODAN_API_KEY=\"«⟨alnum:32⟩»\"", "\"shodanToken\": \"«⟨alnum:32⟩»\"", "the shodan key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "SHODAN_API_KEY=\"⟨alnum:16⟩\"", "SHODAN_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
    assigned(
        "VirusTotal",
        "virustotal-key",
        "API key",
        &["virustotal", "vt_api"],
        r"[0-9a-f]{64}",
        &[
            "VIRUSTOTAL_API_KEY=\"«⟨hex:64⟩»\"",
            "\"virustotalToken\": \"«⟨hex:64⟩»\"",
            "the virustotal key is «⟨hex:64⟩»,",
        ],
        &["digest ⟨hex:64⟩", "VIRUSTOTAL_API_KEY=\"⟨hex:32⟩\"", "VIRUSTOTAL_API_KEY=\"⟨repeat:0*64⟩\""],
    ),
    assigned(
        "Censys",
        "censys-secret",
        "API secret",
        &["censys"],
        r"[0-9A-Za-z]{32}",
        &["CENSYS_API_KEY=\"«⟨alnum:32⟩»\"", "\"censysToken\": \"«⟨alnum:32⟩»\"", "the censys key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "CENSYS_API_KEY=\"⟨alnum:16⟩\"", "CENSYS_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
    assigned(
        "CrowdStrike",
        "crowdstrike-secret",
        "client secret",
        &["crowdstrike", "falcon"],
        r"[0-9A-Za-z]{40}",
        &[
            "CROWDSTRIKE_API_KEY=\"«⟨alnum:40⟩»\"",
            "\"crowdstrikeToken\": \"«⟨alnum:40⟩»\"",
            "the crowdstrike key is «⟨alnum:40⟩»,",
        ],
        &["digest ⟨alnum:40⟩", "CROWDSTRIKE_API_KEY=\"⟨alnum:20⟩\"", "CROWDSTRIKE_API_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(38)),
    token(
        "Authress",
        "authress-key",
        "service client key",
        r"(?:sc|ext|scauth|authress)_[0-9a-z]{5,30}\.[0-9a-z]{4,6}\.acc[_-][0-9a-z-]{10,32}\.[0-9A-Za-z+/_=-]{30,120}",
        &[
            "key: «sc_⟨lower:24⟩.⟨lower:4⟩.acc_⟨lower:20⟩.⟨b64:64⟩»",
            "{\"k\":\"«sc_⟨lower:24⟩.⟨lower:4⟩.acc_⟨lower:20⟩.⟨b64:64⟩»\"}",
        ],
        &["sc_⟨lower:24⟩.⟨lower:4⟩.acc_⟨lower:4⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(38)),
];
