//! What moves money and goods, and what people do business with.

use super::{
    super::{Check, Context, Edge, Rule, context::VALUE},
    assigned, token,
};

pub(super) static RULES: &[Rule] = &[
    token(
        "Stripe",
        "stripe-secret-key",
        "secret or restricted key",
        r"(?:sk|rk)_(?:live|test|prod)_[0-9A-Za-z]{10,120}",
        &["key: «sk_live_⟨alnum:24⟩»", "{\"k\":\"«sk_live_⟨alnum:24⟩»\"}"],
        &["sk_live_⟨alnum:6⟩", "sk_test_⟨repeat:x*24⟩", "pk_live_⟨alnum:24⟩", "task_test_runner_implementation"],
    )
    .edges(Edge::Word, Edge::Word),
    token(
        "Stripe",
        "stripe-webhook-secret",
        "signing secret of a webhook",
        r"whsec_[0-9A-Za-z+/]{32,64}={0,2}",
        &["key: «whsec_⟨alnum:32⟩»", "{\"k\":\"«whsec_⟨alnum:32⟩»\"}"],
        &["key: whsec_⟨alnum:16⟩", "key: whsec_⟨repeat:x*32⟩"],
    ),
    token(
        "Square",
        "square-access-token",
        "access credential",
        r"(?:EAAA|sq0atp-)[0-9A-Za-z_-]{22,60}|sq0csp-[0-9A-Za-z_-]{43}",
        &["key: «sq0csp-⟨url:43⟩»", "{\"k\":\"«sq0csp-⟨url:43⟩»\"}"],
        &["key: sq0csp-⟨url:21⟩", "key: sq0csp-⟨repeat:x*43⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "PayPal",
        "paypal-braintree-token",
        "Braintree access credential",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
        &[
            "key: «access_token$production$⟨lower:16⟩$⟨hex:32⟩»",
            "{\"k\":\"«access_token$production$⟨lower:16⟩$⟨hex:32⟩»\"}",
        ],
        &[
            "key: access_token$production$⟨lower:16⟩$⟨hex:16⟩",
            "key: access_token$production$⟨repeat:x*16⟩$⟨repeat:0*32⟩",
        ],
    ),
    assigned(
        "PayPal",
        "paypal-secret",
        "client secret",
        &["paypal"],
        r"E[0-9A-Za-z_-]{79}",
        &["PAYPAL_API_KEY=\"«E⟨url:79⟩»\"", "\"paypalToken\": \"«E⟨url:79⟩»\"", "the paypal key is «E⟨url:79⟩»,"],
        &["digest E⟨url:79⟩", "PAYPAL_API_KEY=\"E⟨url:39⟩\"", "PAYPAL_API_KEY=\"E⟨repeat:x*79⟩\""],
    )
    .check(Check::Entropy(40)),
    token(
        "Adyen",
        "adyen-api-key",
        "API key",
        r"AQE[0-9A-Za-z+/]{100,300}-[0-9A-Za-z+/=]{40,80}-[0-9A-Za-z+/<>!%&*()^=~?;:,.{}\[\]|-]{8,24}",
        &["key: «AQE⟨b64:120⟩-⟨b64:44⟩-⟨alnum:16⟩»", "{\"k\":\"«AQE⟨b64:120⟩-⟨b64:44⟩-⟨alnum:16⟩»\"}"],
        &["AQE⟨b64:20⟩-⟨b64:44⟩-x"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(45)),
    token(
        "Razorpay",
        "razorpay-key",
        "key id",
        r"rzp_(?:live|test)_[0-9A-Za-z]{14}",
        &["key: «rzp_live_⟨alnum:14⟩»", "{\"k\":\"«rzp_live_⟨alnum:14⟩»\"}"],
        &["key: rzp_live_⟨alnum:7⟩", "key: rzp_live_⟨repeat:x*14⟩"],
    ),
    token(
        "Flutterwave",
        "flutterwave-key",
        "secret or encryption key",
        r"FLW(?:SEC|PUB)K(?:_TEST)?-[0-9A-Za-z]{12,40}(?:-X)?",
        &["key: «FLWSECK_TEST-⟨hex:32⟩-X»", "{\"k\":\"«FLWSECK_TEST-⟨hex:32⟩-X»\"}"],
        &["FLWSECK_TEST-⟨hex:8⟩", "FLWSECK_TEST-⟨repeat:x*32⟩-X"],
    ),
    assigned(
        "Paystack",
        "paystack-key",
        "secret key",
        &["paystack"],
        r"sk_(?:live|test)_[0-9a-f]{40}",
        &[
            "PAYSTACK_API_KEY=\"«sk_live_⟨hex:40⟩»\"",
            "\"paystackToken\": \"«sk_live_⟨hex:40⟩»\"",
            "the paystack key is «sk_live_⟨hex:40⟩»,",
        ],
        &[
            "digest sk_live_⟨hex:40⟩",
            "PAYSTACK_API_KEY=\"sk_live_⟨hex:20⟩\"",
            "PAYSTACK_API_KEY=\"sk_live_⟨repeat:0*40⟩\"",
        ],
    ),
    token(
        "Plaid",
        "plaid-access-token",
        "access credential",
        r"access-(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "key: «access-production-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»",
            "{\"k\":\"«access-production-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"}",
        ],
        &[
            "key: access-production-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩",
            "key: access-production-⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩",
        ],
    ),
    assigned(
        "Plaid",
        "plaid-secret",
        "secret",
        &["plaid"],
        r"[0-9a-f]{30}",
        &["PLAID_API_KEY=\"«⟨hex:30⟩»\"", "\"plaidToken\": \"«⟨hex:30⟩»\"", "the plaid key is «⟨hex:30⟩»,"],
        &["digest ⟨hex:30⟩", "PLAID_API_KEY=\"⟨hex:15⟩\"", "PLAID_API_KEY=\"⟨repeat:0*30⟩\""],
    ),
    assigned(
        "Coinbase",
        "coinbase-secret",
        "API secret",
        &["coinbase"],
        r"[0-9A-Za-z_-]{64}",
        &["COINBASE_API_KEY=\"«⟨url:64⟩»\"", "\"coinbaseToken\": \"«⟨url:64⟩»\"", "the coinbase key is «⟨url:64⟩»,"],
        &["digest ⟨url:64⟩", "COINBASE_API_KEY=\"⟨url:32⟩\"", "COINBASE_API_KEY=\"⟨repeat:x*64⟩\""],
    )
    .check(Check::Entropy(40)),
    assigned(
        "Binance",
        "binance-key",
        "API key or secret",
        &["binance"],
        r"[0-9A-Za-z]{64}",
        &["BINANCE_API_KEY=\"«⟨alnum:64⟩»\"", "\"binanceToken\": \"«⟨alnum:64⟩»\"", "the binance key is «⟨alnum:64⟩»,"],
        &["digest ⟨alnum:64⟩", "BINANCE_API_KEY=\"⟨alnum:32⟩\"", "BINANCE_API_KEY=\"⟨repeat:x*64⟩\""],
    )
    .check(Check::Entropy(40)),
    assigned(
        "Kraken",
        "kraken-secret",
        "API secret",
        &["kraken"],
        r"[0-9A-Za-z+/=_-]{80,90}",
        &["KRAKEN_API_KEY=\"«⟨b64:86⟩==»\"", "\"krakenToken\": \"«⟨b64:86⟩==»\"", "the kraken key is «⟨b64:86⟩==»,"],
        &["digest ⟨b64:86⟩==", "KRAKEN_API_KEY=\"⟨b64:43⟩==\"", "KRAKEN_API_KEY=\"⟨repeat:x*86⟩==\""],
    )
    .check(Check::Entropy(40)),
    assigned(
        "GoCardless",
        "gocardless-token",
        "access credential",
        &["gocardless"],
        r"(?:live|sandbox)_[0-9A-Za-z_-]{40}",
        &[
            "GOCARDLESS_API_KEY=\"«live_⟨url:40⟩»\"",
            "\"gocardlessToken\": \"«live_⟨url:40⟩»\"",
            "the gocardless key is «live_⟨url:40⟩»,",
        ],
        &["digest live_⟨url:40⟩", "GOCARDLESS_API_KEY=\"live_⟨url:20⟩\"", "GOCARDLESS_API_KEY=\"live_⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "Shopify",
        "shopify-token",
        "access credential or shared secret",
        r"shp(?:at|ca|pa|ss|ua)_[0-9a-fA-F]{32}",
        &["key: «shpat_⟨hex:32⟩»", "{\"k\":\"«shpat_⟨hex:32⟩»\"}"],
        &["key: shpat_⟨hex:16⟩", "key: shpat_⟨repeat:0*32⟩"],
    ),
    token(
        "EasyPost",
        "easypost-api-key",
        "API key",
        r"EZ[AT]K[0-9A-Za-z]{54}",
        &["key: «EZAK⟨alnum:54⟩»", "{\"k\":\"«EZAK⟨alnum:54⟩»\"}"],
        &["key: EZAK⟨alnum:27⟩", "key: EZAK⟨repeat:x*54⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(38)),
    token(
        "Shippo",
        "shippo-token",
        "API credential",
        r"shippo_(?:live|test)_[0-9A-Fa-f]{40}",
        &["key: «shippo_live_⟨hex:40⟩»", "{\"k\":\"«shippo_live_⟨hex:40⟩»\"}"],
        &["key: shippo_live_⟨hex:20⟩", "key: shippo_live_⟨repeat:0*40⟩"],
    ),
    assigned(
        "Lob",
        "lob-api-key",
        "API key",
        &["lob"],
        r"(?:live|test)_[0-9a-f]{35}",
        &["LOB_API_KEY=\"«live_⟨hex:35⟩»\"", "\"lobToken\": \"«live_⟨hex:35⟩»\"", "the lob key is «live_⟨hex:35⟩»,"],
        &["digest live_⟨hex:35⟩", "LOB_API_KEY=\"live_⟨hex:17⟩\"", "LOB_API_KEY=\"live_⟨repeat:0*35⟩\""],
    ),
    token(
        "Duffel",
        "duffel-token",
        "access credential",
        r"duffel_(?:live|test)_[0-9A-Za-z=_-]{43}",
        &["key: «duffel_live_⟨url:43⟩»", "{\"k\":\"«duffel_live_⟨url:43⟩»\"}"],
        &["key: duffel_live_⟨url:21⟩", "key: duffel_live_⟨repeat:x*43⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Airtable",
        "airtable-pat",
        "personal access credential",
        r"pat[0-9A-Za-z]{14}\.[0-9a-f]{64}",
        &["key: «pat⟨alnum:14⟩.⟨hex:64⟩»", "{\"k\":\"«pat⟨alnum:14⟩.⟨hex:64⟩»\"}"],
        &["key: pat⟨alnum:14⟩.⟨hex:32⟩", "key: pat⟨repeat:x*14⟩.⟨repeat:0*64⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    assigned(
        "Airtable",
        "airtable-legacy-key",
        "API key of the older form",
        &["airtable"],
        r"key[0-9A-Za-z]{14}",
        &[
            "AIRTABLE_API_KEY=\"«key⟨alnum:14⟩»\"",
            "\"airtableToken\": \"«key⟨alnum:14⟩»\"",
            "the airtable key is «key⟨alnum:14⟩»,",
        ],
        &["digest key⟨alnum:14⟩", "AIRTABLE_API_KEY=\"key⟨alnum:7⟩\"", "AIRTABLE_API_KEY=\"key⟨repeat:x*14⟩\""],
    )
    .check(Check::Entropy(29)),
    token(
        "Notion",
        "notion-token",
        "integration credential",
        r"ntn_[0-9]{11}[0-9A-Za-z]{35}|secret_[0-9A-Za-z]{43}",
        &["key: «ntn_⟨digit:11⟩⟨alnum:35⟩»", "{\"k\":\"«ntn_⟨digit:11⟩⟨alnum:35⟩»\"}"],
        &["key: ntn_⟨digit:11⟩⟨alnum:17⟩", "key: ntn_⟨repeat:0*11⟩⟨repeat:x*35⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(35)),
    token(
        "Asana",
        "asana-pat",
        "personal access credential",
        r"[0-9]/[0-9]{16}(?:/[0-9]{16})?:[0-9a-f]{32}",
        &["key: «2/⟨digit:16⟩/⟨digit:16⟩:⟨hex:32⟩»", "{\"k\":\"«2/⟨digit:16⟩/⟨digit:16⟩:⟨hex:32⟩»\"}"],
        &["key: 2/⟨digit:16⟩/⟨digit:16⟩:⟨hex:16⟩", "key: 2/⟨repeat:0*16⟩/⟨repeat:0*16⟩:⟨repeat:0*32⟩"],
    )
    .edges(Edge::Number, Edge::Name),
    assigned(
        "Asana",
        "asana-secret",
        "client secret",
        &["asana"],
        r"[0-9a-z]{32}",
        &["ASANA_API_KEY=\"«⟨lower:32⟩»\"", "\"asanaToken\": \"«⟨lower:32⟩»\"", "the asana key is «⟨lower:32⟩»,"],
        &["digest ⟨lower:32⟩", "ASANA_API_KEY=\"⟨lower:16⟩\"", "ASANA_API_KEY=\"⟨repeat:x*32⟩\""],
    ),
    token(
        "ClickUp",
        "clickup-token",
        "personal credential",
        r"pk_[0-9]{7,9}_[0-9A-Z]{32}",
        &["key: «pk_⟨digit:8⟩_⟨upper:32⟩»", "{\"k\":\"«pk_⟨digit:8⟩_⟨upper:32⟩»\"}"],
        &["key: pk_⟨digit:8⟩_⟨upper:16⟩", "key: pk_⟨repeat:0*8⟩_⟨repeat:X*32⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "monday.com",
        "monday-token",
        "API credential",
        &["monday"],
        r"[0-9a-f]{32}",
        &["MONDAY_API_KEY=\"«⟨hex:32⟩»\"", "\"mondayToken\": \"«⟨hex:32⟩»\"", "the monday key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "MONDAY_API_KEY=\"⟨hex:16⟩\"", "MONDAY_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Trello",
        "trello-token",
        "API key or credential",
        &["trello"],
        r"[0-9a-f]{32}(?:[0-9a-f]{32})?",
        &["TRELLO_API_KEY=\"«⟨hex:32⟩»\"", "\"trelloToken\": \"«⟨hex:32⟩»\"", "the trello key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "TRELLO_API_KEY=\"⟨hex:16⟩\"", "TRELLO_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "Typeform",
        "typeform-token",
        "personal credential",
        r"tfp_[0-9A-Za-z_.=-]{44,60}",
        &["key: «tfp_⟨url:59⟩»", "{\"k\":\"«tfp_⟨url:59⟩»\"}"],
        &["tfp_⟨url:20⟩"],
    )
    .check(Check::Entropy(38)),
    token(
        "Contentful",
        "contentful-token",
        "management credential",
        r"CFPAT-[0-9A-Za-z_-]{43}",
        &["key: «CFPAT-⟨url:43⟩»", "{\"k\":\"«CFPAT-⟨url:43⟩»\"}"],
        &["key: CFPAT-⟨url:21⟩", "key: CFPAT-⟨repeat:x*43⟩"],
    )
    .check(Check::Entropy(38)),
    assigned(
        "Contentful",
        "contentful-delivery",
        "delivery credential",
        &["contentful"],
        r"[0-9A-Za-z_-]{43}",
        &[
            "CONTENTFUL_API_KEY=\"«⟨url:43⟩»\"",
            "\"contentfulToken\": \"«⟨url:43⟩»\"",
            "the contentful key is «⟨url:43⟩»,",
        ],
        &["digest ⟨url:43⟩", "CONTENTFUL_API_KEY=\"⟨url:21⟩\"", "CONTENTFUL_API_KEY=\"⟨repeat:x*43⟩\""],
    )
    .check(Check::Entropy(38)),
    assigned(
        "Salesforce",
        "salesforce-token",
        "security credential",
        &["salesforce", "sfdc"],
        r"[0-9A-Za-z]{24,25}",
        &[
            "SALESFORCE_API_KEY=\"«⟨alnum:25⟩»\"",
            "\"salesforceToken\": \"«⟨alnum:25⟩»\"",
            "the salesforce key is «⟨alnum:25⟩»,",
        ],
        &["digest ⟨alnum:25⟩", "SALESFORCE_API_KEY=\"⟨alnum:12⟩\"", "SALESFORCE_API_KEY=\"⟨repeat:x*25⟩\""],
    )
    .check(Check::Entropy(33)),
    token(
        "Salesforce",
        "salesforce-session",
        "session",
        r"00D[0-9A-Za-z]{12,15}![0-9A-Za-z._]{80,130}",
        &["key: «00D⟨alnum:12⟩!⟨alnum:96⟩»", "{\"k\":\"«00D⟨alnum:12⟩!⟨alnum:96⟩»\"}"],
        &["00D⟨alnum:12⟩!⟨alnum:30⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(38)),
    token(
        "Dropbox",
        "dropbox-access-token",
        "access credential of hours",
        r"sl\.(?:u\.)?[0-9A-Za-z=_-]{130,1300}",
        &["key: «sl.⟨url:135⟩»", "{\"k\":\"«sl.⟨url:135⟩»\"}"],
        &["key: sl.⟨url:67⟩", "key: sl.⟨repeat:x*135⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(40)),
    assigned(
        "Dropbox",
        "dropbox-secret",
        "application secret",
        &["dropbox"],
        r"[0-9a-z]{15}",
        &["DROPBOX_API_KEY=\"«⟨lower:15⟩»\"", "\"dropboxToken\": \"«⟨lower:15⟩»\"", "the dropbox key is «⟨lower:15⟩»,"],
        &["digest ⟨lower:15⟩", "DROPBOX_API_KEY=\"⟨lower:7⟩\"", "DROPBOX_API_KEY=\"⟨repeat:x*15⟩\""],
    )
    .check(Check::Entropy(29)),
    token(
        "Meta",
        "facebook-access-token",
        "access credential",
        r"EAA[0-9A-Za-z]{90,300}",
        &["key: «EAA⟨alnum:150⟩»", "{\"k\":\"«EAA⟨alnum:150⟩»\"}"],
        &["EAA⟨alnum:40⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(42)),
    assigned(
        "Meta",
        "facebook-secret",
        "application secret",
        &["facebook", "instagram", "fb_app"],
        r"[0-9a-f]{32}",
        &["FACEBOOK_API_KEY=\"«⟨hex:32⟩»\"", "\"facebookToken\": \"«⟨hex:32⟩»\"", "the facebook key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "FACEBOOK_API_KEY=\"⟨hex:16⟩\"", "FACEBOOK_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "X",
        "twitter-bearer",
        "bearer credential",
        &["twitter", "bearer"],
        r"A{20,22}[0-9A-Za-z%]{60,110}",
        &[
            "TWITTER_BEARER=\"«AAAAAAAAAAAAAAAAAAAAAA⟨alnum:90⟩»\"",
            "\"twitterToken\": \"«AAAAAAAAAAAAAAAAAAAAAA⟨alnum:90⟩»\"",
            "the twitter key is «AAAAAAAAAAAAAAAAAAAAAA⟨alnum:90⟩»,",
        ],
        &["x AAAAAAAAAAAAAAAAAAAAAA⟨alnum:90⟩", "TWITTER_BEARER=AAAAAAAAAAAAAAAAAAAAAA"],
    )
    .check(Check::Entropy(35)),
    assigned(
        "X",
        "twitter-secret",
        "API secret",
        &["twitter"],
        r"[0-9A-Za-z]{50}",
        &["TWITTER_API_KEY=\"«⟨alnum:50⟩»\"", "\"twitterToken\": \"«⟨alnum:50⟩»\"", "the twitter key is «⟨alnum:50⟩»,"],
        &["digest ⟨alnum:50⟩", "TWITTER_API_KEY=\"⟨alnum:25⟩\"", "TWITTER_API_KEY=\"⟨repeat:x*50⟩\""],
    )
    .check(Check::Entropy(40)),
    assigned(
        "LinkedIn",
        "linkedin-secret",
        "client secret",
        &["linkedin", "linked-in", "linked_in"],
        r"[0-9A-Za-z]{16}",
        &[
            "LINKEDIN_API_KEY=\"«⟨alnum:16⟩»\"",
            "\"linkedinToken\": \"«⟨alnum:16⟩»\"",
            "the linkedin key is «⟨alnum:16⟩»,",
        ],
        &["digest ⟨alnum:16⟩", "LINKEDIN_API_KEY=\"⟨alnum:8⟩\"", "LINKEDIN_API_KEY=\"⟨repeat:x*16⟩\""],
    )
    .check(Check::Entropy(29)),
    assigned(
        "Twitch",
        "twitch-token",
        "access credential or secret",
        &["twitch"],
        r"[0-9a-z]{30}",
        &["TWITCH_API_KEY=\"«⟨lower:30⟩»\"", "\"twitchToken\": \"«⟨lower:30⟩»\"", "the twitch key is «⟨lower:30⟩»,"],
        &["digest ⟨lower:30⟩", "TWITCH_API_KEY=\"⟨lower:15⟩\"", "TWITCH_API_KEY=\"⟨repeat:x*30⟩\""],
    )
    .check(Check::Entropy(33)),
    assigned(
        "Spotify",
        "spotify-secret",
        "client secret",
        &["spotify"],
        r"[0-9a-f]{32}",
        &["SPOTIFY_API_KEY=\"«⟨hex:32⟩»\"", "\"spotifyToken\": \"«⟨hex:32⟩»\"", "the spotify key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "SPOTIFY_API_KEY=\"⟨hex:16⟩\"", "SPOTIFY_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Okta",
        "okta-token",
        "API credential",
        &["okta"],
        r"00[0-9A-Za-z=_-]{40}",
        &["OKTA_API_KEY=\"«00⟨url:40⟩»\"", "\"oktaToken\": \"«00⟨url:40⟩»\"", "the okta key is «00⟨url:40⟩»,"],
        &["digest 00⟨url:40⟩", "OKTA_API_KEY=\"00⟨url:20⟩\"", "OKTA_API_KEY=\"00⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(36)),
    assigned(
        "Okta",
        "auth0-secret",
        "Auth0 client secret",
        &["auth0"],
        r"[0-9A-Za-z_-]{64}",
        &["AUTH0_API_KEY=\"«⟨url:64⟩»\"", "\"auth0Token\": \"«⟨url:64⟩»\"", "the auth0 key is «⟨url:64⟩»,"],
        &["digest ⟨url:64⟩", "AUTH0_API_KEY=\"⟨url:32⟩\"", "AUTH0_API_KEY=\"⟨repeat:x*64⟩\""],
    )
    .check(Check::Entropy(42)),
    token(
        "WorkOS",
        "workos-api-key",
        "API key",
        r"sk_(?:live|test)_a2V5X[0-9A-Za-z+/=_,]{20,100}",
        &["key: «sk_live_a2V5X⟨alnum:60⟩»", "{\"k\":\"«sk_live_a2V5X⟨alnum:60⟩»\"}"],
        &["sk_live_a2V5X⟨alnum:10⟩", "sk_live_a2V5X⟨repeat:x*60⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(35)),
    assigned(
        "Algolia",
        "algolia-key",
        "administrator's API key",
        &["algolia"],
        r"[0-9a-f]{32}",
        &["ALGOLIA_API_KEY=\"«⟨hex:32⟩»\"", "\"algoliaToken\": \"«⟨hex:32⟩»\"", "the algolia key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "ALGOLIA_API_KEY=\"⟨hex:16⟩\"", "ALGOLIA_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "Mapbox",
        "mapbox-secret-token",
        "secret credential",
        r"sk\.eyJ[0-9A-Za-z_-]{50,120}\.[0-9A-Za-z_-]{22}",
        &["key: «sk.eyJ⟨url:70⟩.⟨url:22⟩»", "{\"k\":\"«sk.eyJ⟨url:70⟩.⟨url:22⟩»\"}"],
        &["sk.eyJ⟨url:20⟩.⟨url:22⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(38)),
    token(
        "MaxMind",
        "maxmind-license-key",
        "licence key",
        r"[0-9A-Za-z]{6}_[0-9A-Za-z]{29}_mmk",
        &["key: «⟨alnum:6⟩_⟨alnum:29⟩_mmk»", "{\"k\":\"«⟨alnum:6⟩_⟨alnum:29⟩_mmk»\"}"],
        &["key: ⟨alnum:6⟩_⟨alnum:14⟩_mmk", "key: ⟨repeat:x*6⟩_⟨repeat:x*29⟩_mmk"],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Word),
    token(
        "MaxMind",
        "maxmind-license-key-rest",
        "licence key, behind its first part, wherever it stands",
        r"[0-9A-Za-z]{29}_mmk",
        &["Use ⟨alnum:6⟩_«⟨alnum:29⟩_mmk» to sign in.", "- `⟨alnum:6⟩_«⟨alnum:29⟩_mmk»`"],
        &["use ⟨alnum:6⟩_⟨alnum:14⟩_mmk", "use ⟨alnum:6⟩_⟨repeat:x*29⟩_mmk", "use ⟨alnum:7⟩_⟨alnum:29⟩_mmk"],
    )
    .context(Context::Other("six letters or digits and `_`", |last| last.ends_with(b"_"), is_behind_account))
    .edges(Edge::Open, Edge::Word),
    assigned(
        "HERE",
        "here-api-key",
        "API key",
        &["here_api", "hereapi", "here_maps"],
        r"[0-9A-Za-z_-]{43}",
        &["HERE_API_KEY=\"«⟨url:43⟩»\"", "\"here_apiToken\": \"«⟨url:43⟩»\"", "the here_api key is «⟨url:43⟩»,"],
        &["digest ⟨url:43⟩", "HERE_API_KEY=\"⟨url:21⟩\"", "HERE_API_KEY=\"⟨repeat:x*43⟩\""],
    )
    .check(Check::Entropy(40)),
    token(
        "Yandex",
        "yandex-api-key",
        "API key or static key",
        r"AQVN[0-9A-Za-z_-]{35,38}|YC[AN][0-9A-Za-z_-]{37}|t1\.[0-9A-Za-z_-]{20,200}={0,2}\.[0-9A-Za-z_-]{86}={0,2}",
        &["key: «AQVN⟨url:36⟩»", "{\"k\":\"«AQVN⟨url:36⟩»\"}"],
        &["key: AQVN⟨url:18⟩", "key: AQVN⟨repeat:x*36⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(36)),
    assigned(
        "RapidAPI",
        "rapidapi-key",
        "API key",
        &["rapidapi", "x-rapidapi"],
        r"[0-9a-f]{10}msh[0-9a-f]{15}p[0-9a-f]{6}jsn[0-9a-f]{12}",
        &[
            "RAPIDAPI_API_KEY=\"«⟨hex:10⟩msh⟨hex:15⟩p⟨hex:6⟩jsn⟨hex:12⟩»\"",
            "\"rapidapiToken\": \"«⟨hex:10⟩msh⟨hex:15⟩p⟨hex:6⟩jsn⟨hex:12⟩»\"",
            "the rapidapi key is «⟨hex:10⟩msh⟨hex:15⟩p⟨hex:6⟩jsn⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:10⟩msh⟨hex:15⟩p⟨hex:6⟩jsn⟨hex:12⟩",
            "RAPIDAPI_API_KEY=\"⟨hex:10⟩msh⟨hex:7⟩p⟨hex:6⟩jsn⟨hex:12⟩\"",
            "RAPIDAPI_API_KEY=\"⟨repeat:0*10⟩msh⟨repeat:0*15⟩p⟨repeat:0*6⟩jsn⟨repeat:0*12⟩\"",
        ],
    ),
    assigned(
        "Etsy",
        "etsy-key",
        "API key",
        &["etsy"],
        r"[0-9a-z]{24}",
        &["ETSY_API_KEY=\"«⟨lower:24⟩»\"", "\"etsyToken\": \"«⟨lower:24⟩»\"", "the etsy key is «⟨lower:24⟩»,"],
        &["digest ⟨lower:24⟩", "ETSY_API_KEY=\"⟨lower:12⟩\"", "ETSY_API_KEY=\"⟨repeat:x*24⟩\""],
    )
    .check(Check::Entropy(33)),
    assigned(
        "Zoom",
        "zoom-secret",
        "client secret",
        &["zoom"],
        r"[0-9A-Za-z]{32}",
        &["ZOOM_API_KEY=\"«⟨alnum:32⟩»\"", "\"zoomToken\": \"«⟨alnum:32⟩»\"", "the zoom key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "ZOOM_API_KEY=\"⟨alnum:16⟩\"", "ZOOM_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
];

/// Whether the first part of a licence key of MaxMind's stands right before.
fn is_behind_account(window: &[u8]) -> bool {
    let Some((rest, [first @ .., b'_'])) = window.split_at_checked(window.len().saturating_sub(7)) else {
        return false;
    };
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    first.len() == 6 && first.iter().all(u8::is_ascii_alphanumeric) && !rest.last().is_some_and(is_word)
}
