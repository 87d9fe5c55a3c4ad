//! What sends messages, mail and voice.

use super::{
    super::{Check, Edge, Rule, context::VALUE},
    assigned, token,
};

pub(super) static RULES: &[Rule] = &[
    token(
        "Slack",
        "slack-bot-token",
        "bot credential",
        r"xoxb-[0-9]{8,14}-(?:[0-9]{8,14}-)?[0-9A-Za-z]{18,34}",
        &["key: «xoxb-⟨digit:12⟩-⟨digit:12⟩-⟨alnum:24⟩»", "{\"k\":\"«xoxb-⟨digit:12⟩-⟨digit:12⟩-⟨alnum:24⟩»\"}"],
        &["xoxb-⟨digit:4⟩-x", "xoxb-⟨repeat:0*12⟩-⟨repeat:0*12⟩-⟨repeat:x*24⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Slack",
        "slack-user-token",
        "user credential",
        r"xox[pe](?:-[0-9]{8,14}){3}-[0-9A-Za-z-]{28,34}",
        &[
            "key: «xoxp-⟨digit:12⟩-⟨digit:12⟩-⟨digit:12⟩-⟨alnum:32⟩»",
            "{\"k\":\"«xoxp-⟨digit:12⟩-⟨digit:12⟩-⟨digit:12⟩-⟨alnum:32⟩»\"}",
        ],
        &["xoxp-⟨digit:12⟩-⟨digit:12⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Slack",
        "slack-legacy-token",
        "workspace or legacy credential",
        r"xox[aosr]-(?:[0-9]{1,14}-){0,3}[0-9A-Za-z]{8,48}",
        &["key: «xoxa-2-⟨digit:12⟩-⟨digit:12⟩-⟨hex:32⟩»", "{\"k\":\"«xoxa-2-⟨digit:12⟩-⟨digit:12⟩-⟨hex:32⟩»\"}"],
        &["xoxa-2", "xoxr-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Slack",
        "slack-app-token",
        "application credential",
        r"xapp-[0-9]-[A-Z0-9]{8,12}-[0-9]{10,14}-[0-9a-f]{64}",
        &["key: «xapp-1-A⟨base32:9⟩-⟨digit:13⟩-⟨hex:64⟩»", "{\"k\":\"«xapp-1-A⟨base32:9⟩-⟨digit:13⟩-⟨hex:64⟩»\"}"],
        &["key: xapp-1-A⟨base32:9⟩-⟨digit:13⟩-⟨hex:32⟩", "key: xapp-1-A⟨repeat:X*9⟩-⟨repeat:0*13⟩-⟨repeat:0*64⟩"],
    ),
    token(
        "Slack",
        "slack-config-token",
        "configuration credential",
        r"xoxe(?:\.xox[bp])?-[0-9]-[0-9A-Za-z]{140,170}",
        &["key: «xoxe.xoxb-1-⟨alnum:163⟩»", "{\"k\":\"«xoxe.xoxb-1-⟨alnum:163⟩»\"}"],
        &["key: xoxe.xoxb-1-⟨alnum:81⟩", "key: xoxe.xoxb-1-⟨repeat:x*163⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "Slack",
        "slack-webhook",
        "incoming webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[0-9A-Za-z+/]{43,80}",
        &[
            "https://«hooks.slack.com/services/T⟨base32:10⟩/B⟨base32:10⟩/⟨alnum:24⟩»",
            "{\"k\":\"«hooks.slack.com/services/T⟨base32:10⟩/B⟨base32:10⟩/⟨alnum:24⟩»\"}",
        ],
        &["https://hooks.slack.com/services/", "https://hooks.slack.com/services/T00/B00/x"],
    ),
    token(
        "Microsoft",
        "teams-webhook",
        "Teams incoming webhook",
        r"webhook\.office\.com/webhookb2/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}@[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "https://corp.«webhook.office.com/webhookb2/⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩@⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩/IncomingWebhook/⟨hex:32⟩/⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»",
            "{\"k\":\"«webhook.office.com/webhookb2/⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩@⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩/IncomingWebhook/⟨hex:32⟩/⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"}",
        ],
        &[
            "https://corp.webhook.office.com/webhookb2/⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩@⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩/IncomingWebhook/⟨hex:16⟩/⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "https://corp.webhook.office.com/webhookb2/⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩@⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩/IncomingWebhook/⟨repeat:0*32⟩/⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩",
        ],
    ),
    token(
        "Discord",
        "discord-bot-token",
        "bot credential",
        r"[MNO][0-9A-Za-z_-]{23,27}\.[0-9A-Za-z_-]{6}\.[0-9A-Za-z_-]{27,38}",
        &["key: «M⟨url:25⟩.⟨url:6⟩.⟨url:38⟩»", "{\"k\":\"«M⟨url:25⟩.⟨url:6⟩.⟨url:38⟩»\"}"],
        &["M⟨url:25⟩.⟨url:6⟩"],
    )
    .context(VALUE)
    .edges(Edge::Name, Edge::Name)
    .check(Check::Entropy(40)),
    token(
        "Discord",
        "discord-webhook",
        "webhook",
        r"discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{17,20}/[0-9A-Za-z_-]{60,80}",
        &[
            "https://«discord.com/api/webhooks/⟨digit:18⟩/⟨url:68⟩»",
            "{\"k\":\"«discord.com/api/webhooks/⟨digit:18⟩/⟨url:68⟩»\"}",
        ],
        &["https://discord.com/api/webhooks/⟨digit:18⟩/"],
    )
    .check(Check::Entropy(40)),
    token(
        "Telegram",
        "telegram-bot-token",
        "bot credential",
        r"[0-9]{5,16}:A[0-9A-Za-z_-]{34}",
        &["bot: \"«4⟨digit:9⟩:AA⟨url:33⟩»\""],
        &["4⟨digit:9⟩:AA⟨url:10⟩", "4⟨digit:9⟩:AA⟨repeat:x*33⟩"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Entropy(38)),
    token(
        "Twilio",
        "twilio-api-key",
        "API key",
        r"SK[0-9A-Fa-f]{32}",
        &["key: «SK⟨hex:32⟩»", "{\"k\":\"«SK⟨hex:32⟩»\"}"],
        &["key: SK⟨hex:16⟩", "key: SK⟨repeat:0*32⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    token(
        "Twilio",
        "twilio-account-sid",
        "account, beside which its credential stands",
        r"AC[0-9a-f]{32}",
        &["key: «AC⟨hex:32⟩»", "{\"k\":\"«AC⟨hex:32⟩»\"}"],
        &["key: AC⟨hex:16⟩", "key: AC⟨repeat:0*32⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "Twilio",
        "twilio-auth-token",
        "authentication credential",
        &["twilio"],
        r"[0-9a-f]{32}",
        &["TWILIO_API_KEY=\"«⟨hex:32⟩»\"", "\"twilioToken\": \"«⟨hex:32⟩»\"", "the twilio key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "TWILIO_API_KEY=\"⟨hex:16⟩\"", "TWILIO_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "SendGrid",
        "sendgrid-api-key",
        "API key",
        r"SG\.[0-9A-Za-z=_.-]{66}",
        &["key: «SG.⟨url:22⟩.⟨url:43⟩»", "{\"k\":\"«SG.⟨url:22⟩.⟨url:43⟩»\"}"],
        &["key: SG.⟨url:22⟩.⟨url:21⟩", "key: SG.⟨repeat:x*22⟩.⟨repeat:x*43⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(38)),
    token(
        "Mailgun",
        "mailgun-api-key",
        "API key",
        r"key-[0-9a-f]{32}",
        &["key: «key-⟨hex:32⟩»", "{\"k\":\"«key-⟨hex:32⟩»\"}"],
        &["key: key-⟨hex:16⟩", "key: key-⟨repeat:0*32⟩"],
    )
    .edges(Edge::Name, Edge::Name),
    assigned(
        "Mailgun",
        "mailgun-signing-key",
        "key of the newer form",
        &["mailgun"],
        r"[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}",
        &[
            "MAILGUN_API_KEY=\"«⟨hex:32⟩-⟨hex:8⟩-⟨hex:8⟩»\"",
            "\"mailgunToken\": \"«⟨hex:32⟩-⟨hex:8⟩-⟨hex:8⟩»\"",
            "the mailgun key is «⟨hex:32⟩-⟨hex:8⟩-⟨hex:8⟩»,",
        ],
        &[
            "digest ⟨hex:32⟩-⟨hex:8⟩-⟨hex:8⟩",
            "MAILGUN_API_KEY=\"⟨hex:16⟩-⟨hex:8⟩-⟨hex:8⟩\"",
            "MAILGUN_API_KEY=\"⟨repeat:0*32⟩-⟨repeat:0*8⟩-⟨repeat:0*8⟩\"",
        ],
    ),
    token(
        "Mailchimp",
        "mailchimp-api-key",
        "API key",
        r"[0-9a-f]{32}-us[0-9]{1,2}",
        &["key: «⟨hex:32⟩-us21»", "{\"k\":\"«⟨hex:32⟩-us21»\"}"],
        &["key: ⟨hex:16⟩-us21", "key: ⟨repeat:0*32⟩-us21"],
    )
    .context(VALUE)
    .edges(Edge::Name, Edge::Name),
    token(
        "Mailchimp",
        "mandrill-api-key",
        "Mandrill key",
        r"md-[0-9A-Za-z_-]{22}",
        &["key: «md-⟨url:22⟩»", "{\"k\":\"«md-⟨url:22⟩»\"}"],
        &["key: md-⟨url:11⟩", "key: md-⟨repeat:x*22⟩"],
    )
    .edges(Edge::Name, Edge::Name)
    .check(Check::Entropy(36)),
    token(
        "Brevo",
        "brevo-api-key",
        "API or SMTP key",
        r"x(?:keysib|smtpsib)-[0-9a-f]{64}-[0-9A-Za-z]{16}",
        &["key: «xkeysib-⟨hex:64⟩-⟨alnum:16⟩»", "{\"k\":\"«xkeysib-⟨hex:64⟩-⟨alnum:16⟩»\"}"],
        &["key: xkeysib-⟨hex:32⟩-⟨alnum:16⟩", "key: xkeysib-⟨repeat:0*64⟩-⟨repeat:x*16⟩"],
    ),
    token(
        "Resend",
        "resend-api-key",
        "API key",
        r"re_[0-9A-Za-z]{8}_[0-9A-Za-z]{24}",
        &["key: «re_⟨alnum:8⟩_⟨alnum:24⟩»", "{\"k\":\"«re_⟨alnum:8⟩_⟨alnum:24⟩»\"}"],
        &["key: re_⟨alnum:8⟩_⟨alnum:12⟩", "key: re_⟨repeat:x*8⟩_⟨repeat:x*24⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(35)),
    assigned(
        "Postmark",
        "postmark-token",
        "server credential",
        &["postmark"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "POSTMARK_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"postmarkToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the postmark key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "POSTMARK_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "POSTMARK_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    assigned(
        "SparkPost",
        "sparkpost-api-key",
        "API key",
        &["sparkpost"],
        r"[0-9a-f]{40}",
        &["SPARKPOST_API_KEY=\"«⟨hex:40⟩»\"", "\"sparkpostToken\": \"«⟨hex:40⟩»\"", "the sparkpost key is «⟨hex:40⟩»,"],
        &["digest ⟨hex:40⟩", "SPARKPOST_API_KEY=\"⟨hex:20⟩\"", "SPARKPOST_API_KEY=\"⟨repeat:0*40⟩\""],
    ),
    assigned(
        "Mailjet",
        "mailjet-key",
        "API key or secret",
        &["mailjet", "mj_apikey"],
        r"[0-9a-f]{32}",
        &["MAILJET_API_KEY=\"«⟨hex:32⟩»\"", "\"mailjetToken\": \"«⟨hex:32⟩»\"", "the mailjet key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "MAILJET_API_KEY=\"⟨hex:16⟩\"", "MAILJET_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Vonage",
        "vonage-secret",
        "API secret",
        &["vonage", "nexmo"],
        r"[0-9A-Za-z]{16}",
        &["VONAGE_API_KEY=\"«⟨alnum:16⟩»\"", "\"vonageToken\": \"«⟨alnum:16⟩»\"", "the vonage key is «⟨alnum:16⟩»,"],
        &["digest ⟨alnum:16⟩", "VONAGE_API_KEY=\"⟨alnum:8⟩\"", "VONAGE_API_KEY=\"⟨repeat:x*16⟩\""],
    )
    .check(Check::Entropy(29)),
    assigned(
        "MessageBird",
        "messagebird-key",
        "access key",
        &["messagebird", "message_bird", "message-bird"],
        r"[0-9A-Za-z]{25}",
        &[
            "MESSAGEBIRD_API_KEY=\"«⟨alnum:25⟩»\"",
            "\"messagebirdToken\": \"«⟨alnum:25⟩»\"",
            "the messagebird key is «⟨alnum:25⟩»,",
        ],
        &["digest ⟨alnum:25⟩", "MESSAGEBIRD_API_KEY=\"⟨alnum:12⟩\"", "MESSAGEBIRD_API_KEY=\"⟨repeat:x*25⟩\""],
    )
    .check(Check::Entropy(33)),
    assigned(
        "Plivo",
        "plivo-token",
        "authentication credential",
        &["plivo"],
        r"[0-9A-Za-z]{40}",
        &["PLIVO_API_KEY=\"«⟨alnum:40⟩»\"", "\"plivoToken\": \"«⟨alnum:40⟩»\"", "the plivo key is «⟨alnum:40⟩»,"],
        &["digest ⟨alnum:40⟩", "PLIVO_API_KEY=\"⟨alnum:20⟩\"", "PLIVO_API_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(38)),
    token(
        "Intercom",
        "intercom-token",
        "access credential",
        r"dG9r[0-9A-Za-z+/]{54,64}={0,2}",
        &["key: «dG9r⟨b64:56⟩»", "{\"k\":\"«dG9r⟨b64:56⟩»\"}"],
        &["dG9r⟨b64:12⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(40)),
    assigned(
        "Zendesk",
        "zendesk-token",
        "API credential",
        &["zendesk"],
        r"[0-9A-Za-z]{40}",
        &["ZENDESK_API_KEY=\"«⟨alnum:40⟩»\"", "\"zendeskToken\": \"«⟨alnum:40⟩»\"", "the zendesk key is «⟨alnum:40⟩»,"],
        &["digest ⟨alnum:40⟩", "ZENDESK_API_KEY=\"⟨alnum:20⟩\"", "ZENDESK_API_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(38)),
    token(
        "HubSpot",
        "hubspot-pat",
        "credential of a private application",
        r"pat-(?:na|eu|ap)[0-9]-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "key: «pat-eu1-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»",
            "{\"k\":\"«pat-eu1-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"}",
        ],
        &[
            "key: pat-eu1-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩",
            "key: pat-eu1-⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩",
        ],
    )
    .edges(Edge::Word, Edge::Open),
    assigned(
        "Freshworks",
        "freshworks-api-key",
        "API key",
        &["freshdesk", "freshservice", "freshworks"],
        r"[0-9A-Za-z]{20}",
        &[
            "FRESHDESK_API_KEY=\"«⟨alnum:20⟩»\"",
            "\"freshdeskToken\": \"«⟨alnum:20⟩»\"",
            "the freshdesk key is «⟨alnum:20⟩»,",
        ],
        &["digest ⟨alnum:20⟩", "FRESHDESK_API_KEY=\"⟨alnum:10⟩\"", "FRESHDESK_API_KEY=\"⟨repeat:x*20⟩\""],
    )
    .check(Check::Entropy(33)),
    assigned(
        "Mattermost",
        "mattermost-token",
        "access credential",
        &["mattermost"],
        r"[0-9a-z]{26}",
        &[
            "MATTERMOST_API_KEY=\"«⟨lower:26⟩»\"",
            "\"mattermostToken\": \"«⟨lower:26⟩»\"",
            "the mattermost key is «⟨lower:26⟩»,",
        ],
        &["digest ⟨lower:26⟩", "MATTERMOST_API_KEY=\"⟨lower:13⟩\"", "MATTERMOST_API_KEY=\"⟨repeat:x*26⟩\""],
    )
    .check(Check::Entropy(33)),
    assigned(
        "LINE",
        "line-channel-secret",
        "channel secret",
        &["line_channel", "linechannel"],
        r"[0-9a-f]{32}",
        &[
            "LINE_CHANNEL_SECRET=\"«⟨hex:32⟩»\"",
            "\"line_channelToken\": \"«⟨hex:32⟩»\"",
            "the line_channel key is «⟨hex:32⟩»,",
        ],
        &["digest ⟨hex:32⟩", "LINE_CHANNEL_SECRET=\"⟨hex:16⟩\"", "LINE_CHANNEL_SECRET=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Pusher",
        "pusher-secret",
        "application secret",
        &["pusher"],
        r"[0-9a-f]{20}",
        &["PUSHER_API_KEY=\"«⟨hex:20⟩»\"", "\"pusherToken\": \"«⟨hex:20⟩»\"", "the pusher key is «⟨hex:20⟩»,"],
        &["digest ⟨hex:20⟩", "PUSHER_API_KEY=\"⟨hex:10⟩\"", "PUSHER_API_KEY=\"⟨repeat:0*20⟩\""],
    )
    .check(Check::Entropy(26)),
    assigned(
        "Sendbird",
        "sendbird-token",
        "API credential",
        &["sendbird"],
        r"[0-9a-f]{40}",
        &["SENDBIRD_API_KEY=\"«⟨hex:40⟩»\"", "\"sendbirdToken\": \"«⟨hex:40⟩»\"", "the sendbird key is «⟨hex:40⟩»,"],
        &["digest ⟨hex:40⟩", "SENDBIRD_API_KEY=\"⟨hex:20⟩\"", "SENDBIRD_API_KEY=\"⟨repeat:0*40⟩\""],
    ),
];
