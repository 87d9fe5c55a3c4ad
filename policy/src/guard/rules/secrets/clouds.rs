//! Clouds, platforms and what they are built with.

use super::{
    super::{Check, Context, Edge, Rule, context::VALUE},
    assigned, token,
};

pub(super) static RULES: &[Rule] = &[
    token(
        "AWS",
        "aws-access-key-id",
        "access key id",
        r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
        &["key: «AKIA⟨base32:16⟩»", "{\"k\":\"«AKIA⟨base32:16⟩»\"}"],
        &["key: AKIA⟨base32:8⟩", "key: AKIA⟨repeat:X*16⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "AWS",
        "aws-secret-access-key",
        "secret access key",
        &["aws", "secret_access_key", "secretaccesskey"],
        r"[A-Za-z0-9+/]{40}",
        &["AWS_SECRET_ACCESS_KEY=\"«⟨b64:40⟩»\"", "\"awsToken\": \"«⟨b64:40⟩»\"", "the aws key is «⟨b64:40⟩»,"],
        &["digest ⟨b64:40⟩", "AWS_SECRET_ACCESS_KEY=\"⟨b64:20⟩\"", "AWS_SECRET_ACCESS_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "AWS",
        "aws-session-token",
        "session credential",
        r"(?:FwoGZXIvYXdz|IQoJb3JpZ2luX2)[A-Za-z0-9+/]{80,1500}={0,2}",
        &["key: «IQoJb3JpZ2luX2⟨b64:200⟩»", "{\"k\":\"«IQoJb3JpZ2luX2⟨b64:200⟩»\"}"],
        &["IQoJb3JpZ2luX2⟨b64:60⟩", "IQoJb3JpZ2luX2⟨repeat:x*200⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "AWS",
        "aws-bedrock-api-key",
        "Bedrock API key",
        r"ABSK[A-Za-z0-9+/]{109,269}={0,2}",
        &["key: «ABSK⟨b64:128⟩»", "{\"k\":\"«ABSK⟨b64:128⟩»\"}"],
        &["key: ABSK⟨b64:64⟩", "key: ABSK⟨repeat:x*128⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(40)),
    token(
        "AWS",
        "aws-bedrock-short-lived",
        "Bedrock API key of hours",
        r"bedrock-api-key-[A-Za-z0-9+/]{28,1500}={0,2}",
        &["key: «bedrock-api-key-⟨b64:200⟩»", "{\"k\":\"«bedrock-api-key-⟨b64:200⟩»\"}"],
        &["bedrock-api-key-⟨b64:20⟩", "bedrock-api-key-for-the-test-account"],
    )
    .check(Check::Entropy(40)),
    token(
        "Microsoft Azure",
        "azure-client-secret",
        "client secret of an application",
        r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
        &["key: «⟨alnum:3⟩8Q~⟨alnum:34⟩»", "{\"k\":\"«⟨alnum:3⟩8Q~⟨alnum:34⟩»\"}"],
        &["key: ⟨alnum:3⟩8Q~⟨alnum:17⟩", "key: ⟨repeat:x*3⟩8Q~⟨repeat:x*34⟩"],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Word),
    token(
        "Microsoft Azure",
        "azure-client-secret-rest",
        "client secret of an application, behind its first six characters, wherever it stands",
        r"[A-Za-z0-9_~.-]{31,34}",
        &["Use ⟨alnum:3⟩8Q~«⟨alnum:34⟩» to sign in.", "- `⟨alnum:3⟩8Q~«⟨alnum:34⟩»`"],
        &["key: ⟨alnum:3⟩8Q~⟨alnum:17⟩", "use ⟨alnum:3⟩8Q~⟨repeat:x*34⟩", "use ⟨alnum:3⟩xQ~⟨alnum:34⟩"],
    )
    .context(Context::Behind(&["0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "7Q~", "8Q~", "9Q~"]))
    .edges(Edge::Open, Edge::Word),
    token(
        "Microsoft Azure",
        "azure-storage-key",
        "key of a storage account",
        r"(?i:accountkey=)[A-Za-z0-9+/]{86}==",
        &["key: «AccountKey=⟨b64:86⟩==»", "{\"k\":\"«AccountKey=⟨b64:86⟩==»\"}"],
        &["key: AccountKey=⟨b64:43⟩==", "key: AccountKey=⟨repeat:x*86⟩=="],
    )
    .check(Check::Entropy(40)),
    token(
        "Microsoft Azure",
        "azure-shared-access-key",
        "shared access key",
        r"(?i:sharedaccesskey=)[A-Za-z0-9+/]{43}=",
        &["key: «SharedAccessKey=⟨b64:43⟩=»", "{\"k\":\"«SharedAccessKey=⟨b64:43⟩=»\"}"],
        &["key: SharedAccessKey=⟨b64:21⟩=", "key: SharedAccessKey=⟨repeat:x*43⟩="],
    )
    .check(Check::Entropy(35)),
    token(
        "Microsoft Azure",
        "azure-sas",
        "signature of a shared access URL",
        r"(?i:[?&]sig=)[A-Za-z0-9+/%]{43,70}(?:=|%3D)",
        &["https://x.blob.example/c?sv=1«&sig=⟨b64:43⟩%3D»", "{\"k\":\"«&sig=⟨b64:43⟩%3D»\"}"],
        &["https://x.blob.example/c?sv=1&sig=⟨b64:21⟩%3D", "https://x.blob.example/c?sv=1&sig=⟨repeat:x*43⟩%3D"],
    )
    .check(Check::Entropy(35)),
    token(
        "Microsoft Azure",
        "azure-devops-pat",
        "DevOps personal access credential",
        r"[0-9A-Za-z]{52}JQQJ9[9DH][0-9A-Za-z]{18}AZDO[0-9A-Za-z]{4}",
        &["key: «⟨alnum:52⟩JQQJ99BA⟨alnum:16⟩AZDO⟨alnum:4⟩»", "{\"k\":\"«⟨alnum:52⟩JQQJ99BA⟨alnum:16⟩AZDO⟨alnum:4⟩»\"}"],
        &["key: ⟨alnum:26⟩JQQJ99BA⟨alnum:16⟩AZDO⟨alnum:4⟩", "key: ⟨repeat:x*52⟩JQQJ99BA⟨repeat:x*16⟩AZDO⟨repeat:x*4⟩"],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Word),
    token(
        "Microsoft Azure",
        "azure-identifiable-key",
        "key that Azure marks as one",
        r"[A-Za-z0-9+/]{76}(?:APIM|ACDb|ACSN|AzFu|AzCa|AIoT|ASbT|ASBT|AEhS|AzEG|AZEG|AzSe|ACRD|ACR8)[A-Za-z0-9+/]{5}[AQgw]==",
        &["key: «⟨b64:76⟩ACDb⟨b64:5⟩A==»", "{\"k\":\"«⟨b64:76⟩ACDb⟨b64:5⟩A==»\"}"],
        &["key: ⟨b64:38⟩ACDb⟨b64:5⟩A==", "key: ⟨repeat:x*76⟩ACDb⟨repeat:x*5⟩A=="],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Base64)
    .check(Check::Entropy(45)),
    assigned(
        "Microsoft Azure",
        "azure-openai-key",
        "key of a cognitive service",
        &["azure", "cognitive", "openai"],
        r"[0-9a-f]{32}",
        &["AZURE_OPENAI_KEY=\"«⟨hex:32⟩»\"", "\"azureToken\": \"«⟨hex:32⟩»\"", "the azure key is «⟨hex:32⟩»,"],
        &["digest ⟨hex:32⟩", "AZURE_OPENAI_KEY=\"⟨hex:16⟩\"", "AZURE_OPENAI_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "Google",
        "gcp-api-key",
        "API key",
        r"AIza[0-9A-Za-z_-]{35}",
        &["key: «AIza⟨url:35⟩»", "{\"k\":\"«AIza⟨url:35⟩»\"}"],
        &["key: AIza⟨url:17⟩", "key: AIza⟨repeat:x*35⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Google",
        "gcp-oauth-client-secret",
        "OAuth client secret",
        r"GOCSPX-[0-9A-Za-z_-]{28}",
        &["key: «GOCSPX-⟨url:28⟩»", "{\"k\":\"«GOCSPX-⟨url:28⟩»\"}"],
        &["key: GOCSPX-⟨url:14⟩", "key: GOCSPX-⟨repeat:x*28⟩"],
    ),
    token(
        "Google",
        "gcp-oauth-access",
        "OAuth access credential",
        r"ya29\.[0-9A-Za-z_-]{30,1024}",
        &["key: «ya29.⟨url:120⟩»", "{\"k\":\"«ya29.⟨url:120⟩»\"}"],
        &["ya29.⟨url:12⟩", "ya29.⟨repeat:x*60⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "Google",
        "gcp-refresh",
        "OAuth refresh credential",
        r"1//0[0-9A-Za-z_-]{40,200}",
        &["key: «1//0⟨url:99⟩»", "{\"k\":\"«1//0⟨url:99⟩»\"}"],
        &["1//0⟨url:20⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "Google",
        "gcp-service-account-key-id",
        "id of a service account's key, beside which the key stands",
        r#""private_key_id"\s{0,8}:\s{0,8}"[0-9a-f]{40}""#,
        &["{«\"private_key_id\": \"⟨hex:40⟩\"»}"],
        &["key: \"private_key_id\": \"⟨hex:20⟩\"", "key: \"private_key_id\": \"⟨repeat:0*40⟩\""],
    ),
    token(
        "Alibaba Cloud",
        "alibaba-access-key-id",
        "access key id",
        r"LTAI[0-9A-Za-z]{20}",
        &["key: «LTAI⟨alnum:20⟩»", "{\"k\":\"«LTAI⟨alnum:20⟩»\"}"],
        &["key: LTAI⟨alnum:10⟩", "key: LTAI⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "Alibaba Cloud",
        "alibaba-secret",
        "access key secret",
        &["alibaba", "aliyun"],
        r"[0-9A-Za-z]{30}",
        &["ALIBABA_API_KEY=\"«⟨alnum:30⟩»\"", "\"alibabaToken\": \"«⟨alnum:30⟩»\"", "the alibaba key is «⟨alnum:30⟩»,"],
        &["digest ⟨alnum:30⟩", "ALIBABA_API_KEY=\"⟨alnum:15⟩\"", "ALIBABA_API_KEY=\"⟨repeat:x*30⟩\""],
    ),
    token(
        "Tencent Cloud",
        "tencent-secret-id",
        "secret id",
        r"AKID[0-9A-Za-z]{32}",
        &["key: «AKID⟨alnum:32⟩»", "{\"k\":\"«AKID⟨alnum:32⟩»\"}"],
        &["key: AKID⟨alnum:16⟩", "key: AKID⟨repeat:x*32⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "Huawei Cloud",
        "huawei-secret-key",
        "secret key",
        &["huawei", "hwcloud", "hw_secret"],
        r"[0-9A-Za-z]{40}",
        &["HUAWEI_API_KEY=\"«⟨alnum:40⟩»\"", "\"huaweiToken\": \"«⟨alnum:40⟩»\"", "the huawei key is «⟨alnum:40⟩»,"],
        &["digest ⟨alnum:40⟩", "HUAWEI_API_KEY=\"⟨alnum:20⟩\"", "HUAWEI_API_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "DigitalOcean",
        "digitalocean-token",
        "personal, OAuth or refresh credential",
        r"do[opr]_v1_[0-9a-f]{64}",
        &["key: «dop_v1_⟨hex:64⟩»", "{\"k\":\"«dop_v1_⟨hex:64⟩»\"}"],
        &["key: dop_v1_⟨hex:32⟩", "key: dop_v1_⟨repeat:0*64⟩"],
    ),
    token(
        "DigitalOcean",
        "digitalocean-spaces",
        "Spaces access key",
        r"DO00[A-Z0-9]{16}",
        &["key: «DO00⟨base32:16⟩»", "{\"k\":\"«DO00⟨base32:16⟩»\"}"],
        &["key: DO00⟨base32:8⟩", "key: DO00⟨repeat:X*16⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "IBM Cloud",
        "ibm-cloud-api-key",
        "API key",
        &["ibm", "bluemix", "ibmcloud"],
        r"[0-9A-Za-z_-]{44}",
        &["IBM_API_KEY=\"«⟨url:44⟩»\"", "\"ibmToken\": \"«⟨url:44⟩»\"", "the ibm key is «⟨url:44⟩»,"],
        &["digest ⟨url:44⟩", "IBM_API_KEY=\"⟨url:22⟩\"", "IBM_API_KEY=\"⟨repeat:x*44⟩\""],
    )
    .check(Check::Entropy(38)),
    token(
        "Oracle Cloud",
        "oracle-key-fingerprint",
        "fingerprint of an API key in its configuration",
        r"fingerprint\s{0,4}=\s{0,4}[0-9a-f]{2}(?::[0-9a-f]{2}){15}",
        &["«fingerprint=⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩»", "{\"k\":\"«fingerprint=⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩:⟨hex:2⟩»\"}"],
        &["fingerprint=⟨hex:2⟩:⟨hex:2⟩"],
    )
    .check(Check::Nothing),
    token(
        "Scaleway",
        "scaleway-access-key",
        "access key",
        r"SCW[A-Z0-9]{17}",
        &["key: «SCW⟨base32:17⟩»", "{\"k\":\"«SCW⟨base32:17⟩»\"}"],
        &["key: SCW⟨base32:8⟩", "key: SCW⟨repeat:X*17⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "Scaleway",
        "scaleway-secret-key",
        "secret key",
        &["scw", "scaleway"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &["SCW_SECRET_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "\"scwToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "the scw key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,"],
        &["digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩", "SCW_SECRET_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"", "SCW_SECRET_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\""],
    )
    .check(Check::Entropy(28)),
    assigned(
        "OVHcloud",
        "ovh-key",
        "application secret or consumer key",
        &["ovh"],
        r"[0-9A-Za-z]{32}",
        &["OVH_API_KEY=\"«⟨alnum:32⟩»\"", "\"ovhToken\": \"«⟨alnum:32⟩»\"", "the ovh key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "OVH_API_KEY=\"⟨alnum:16⟩\"", "OVH_API_KEY=\"⟨repeat:x*32⟩\""],
    ),
    assigned(
        "Hetzner",
        "hetzner-token",
        "API credential",
        &["hetzner", "hcloud"],
        r"[0-9A-Za-z]{64}",
        &["HETZNER_API_KEY=\"«⟨alnum:64⟩»\"", "\"hetznerToken\": \"«⟨alnum:64⟩»\"", "the hetzner key is «⟨alnum:64⟩»,"],
        &["digest ⟨alnum:64⟩", "HETZNER_API_KEY=\"⟨alnum:32⟩\"", "HETZNER_API_KEY=\"⟨repeat:x*64⟩\""],
    )
    .check(Check::Entropy(40)),
    assigned(
        "Linode",
        "linode-token",
        "personal access credential",
        &["linode"],
        r"[0-9a-f]{64}",
        &["LINODE_API_KEY=\"«⟨hex:64⟩»\"", "\"linodeToken\": \"«⟨hex:64⟩»\"", "the linode key is «⟨hex:64⟩»,"],
        &["digest ⟨hex:64⟩", "LINODE_API_KEY=\"⟨hex:32⟩\"", "LINODE_API_KEY=\"⟨repeat:0*64⟩\""],
    ),
    assigned(
        "Vultr",
        "vultr-api-key",
        "API key",
        &["vultr"],
        r"[A-Z0-9]{36}",
        &["VULTR_API_KEY=\"«⟨base32:36⟩»\"", "\"vultrToken\": \"«⟨base32:36⟩»\"", "the vultr key is «⟨base32:36⟩»,"],
        &["digest ⟨base32:36⟩", "VULTR_API_KEY=\"⟨base32:18⟩\"", "VULTR_API_KEY=\"⟨repeat:X*36⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "Cloudflare",
        "cloudflare-origin-ca",
        "origin CA key",
        r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",
        &["key: «v1.0-⟨hex:24⟩-⟨hex:146⟩»", "{\"k\":\"«v1.0-⟨hex:24⟩-⟨hex:146⟩»\"}"],
        &["key: v1.0-⟨hex:24⟩-⟨hex:73⟩", "key: v1.0-⟨repeat:0*24⟩-⟨repeat:0*146⟩"],
    ),
    assigned(
        "Cloudflare",
        "cloudflare-api-token",
        "API credential",
        &["cloudflare", "cf_api"],
        r"[0-9A-Za-z_-]{40}",
        &["CLOUDFLARE_API_KEY=\"«⟨url:40⟩»\"", "\"cloudflareToken\": \"«⟨url:40⟩»\"", "the cloudflare key is «⟨url:40⟩»,"],
        &["digest ⟨url:40⟩", "CLOUDFLARE_API_KEY=\"⟨url:20⟩\"", "CLOUDFLARE_API_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(35)),
    assigned(
        "Cloudflare",
        "cloudflare-global-key",
        "global API key",
        &["cloudflare", "cf_api"],
        r"[0-9a-f]{37}",
        &["CLOUDFLARE_API_KEY=\"«⟨hex:37⟩»\"", "\"cloudflareToken\": \"«⟨hex:37⟩»\"", "the cloudflare key is «⟨hex:37⟩»,"],
        &["digest ⟨hex:37⟩", "CLOUDFLARE_API_KEY=\"⟨hex:18⟩\"", "CLOUDFLARE_API_KEY=\"⟨repeat:0*37⟩\""],
    ),
    token(
        "Heroku",
        "heroku-api-key",
        "API key",
        r"HRKU-AA[0-9A-Za-z_-]{58}",
        &["key: «HRKU-AA⟨url:58⟩»", "{\"k\":\"«HRKU-AA⟨url:58⟩»\"}"],
        &["key: HRKU-AA⟨url:29⟩", "key: HRKU-AA⟨repeat:x*58⟩"],
    )
    .check(Check::Entropy(40)),
    assigned(
        "Heroku",
        "heroku-api-key-legacy",
        "API key of the older form",
        &["heroku"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &["HEROKU_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "\"herokuToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "the heroku key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,"],
        &["digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩", "HEROKU_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"", "HEROKU_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\""],
    )
    .check(Check::Entropy(28)),
    token(
        "Fly.io",
        "flyio-token",
        "access credential",
        r"fo1_[0-9A-Za-z_-]{43}|fm[12][ar]?_[0-9A-Za-z+/]{100,1200}={0,3}",
        &["key: «fo1_⟨url:43⟩»", "{\"k\":\"«fo1_⟨url:43⟩»\"}"],
        &["key: fo1_⟨url:21⟩", "key: fo1_⟨repeat:x*43⟩"],
    )
    .check(Check::Entropy(35)),
    assigned(
        "Vercel",
        "vercel-token",
        "access credential",
        &["vercel"],
        r"[0-9A-Za-z]{24}",
        &["VERCEL_API_KEY=\"«⟨alnum:24⟩»\"", "\"vercelToken\": \"«⟨alnum:24⟩»\"", "the vercel key is «⟨alnum:24⟩»,"],
        &["digest ⟨alnum:24⟩", "VERCEL_API_KEY=\"⟨alnum:12⟩\"", "VERCEL_API_KEY=\"⟨repeat:x*24⟩\""],
    )
    .check(Check::Entropy(32)),
    assigned(
        "Netlify",
        "netlify-token",
        "access credential",
        &["netlify"],
        r"[0-9A-Za-z_-]{40,46}",
        &["NETLIFY_API_KEY=\"«⟨url:43⟩»\"", "\"netlifyToken\": \"«⟨url:43⟩»\"", "the netlify key is «⟨url:43⟩»,"],
        &["digest ⟨url:43⟩", "NETLIFY_API_KEY=\"⟨url:21⟩\"", "NETLIFY_API_KEY=\"⟨repeat:x*43⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "Netlify",
        "netlify-pat",
        "personal access credential",
        r"nfp_[0-9A-Za-z_]{36}",
        &["key: «nfp_⟨alnum:36⟩»", "{\"k\":\"«nfp_⟨alnum:36⟩»\"}"],
        &["key: nfp_⟨alnum:18⟩", "key: nfp_⟨repeat:x*36⟩"],
    ),
    token(
        "Render",
        "render-api-key",
        "API key",
        r"rnd_[0-9A-Za-z]{32}",
        &["key: «rnd_⟨alnum:32⟩»", "{\"k\":\"«rnd_⟨alnum:32⟩»\"}"],
        &["key: rnd_⟨alnum:16⟩", "key: rnd_⟨repeat:x*32⟩"],
    ),
    assigned(
        "Railway",
        "railway-token",
        "project credential",
        &["railway"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &["RAILWAY_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "\"railwayToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "the railway key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,"],
        &["digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩", "RAILWAY_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"", "RAILWAY_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\""],
    )
    .check(Check::Entropy(28)),
    token(
        "HashiCorp",
        "terraform-cloud-token",
        "HCP Terraform credential",
        r"[0-9A-Za-z]{14}\.atlasv1\.[0-9A-Za-z_=-]{60,70}",
        &["key: «⟨alnum:14⟩.atlasv1.⟨url:64⟩»", "{\"k\":\"«⟨alnum:14⟩.atlasv1.⟨url:64⟩»\"}"],
        &["key: ⟨alnum:14⟩.atlasv1.⟨url:32⟩", "key: ⟨repeat:x*14⟩.atlasv1.⟨repeat:x*64⟩"],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "HashiCorp",
        "terraform-cloud-token-rest",
        "HCP Terraform credential, behind its first part, wherever it stands",
        r"[0-9A-Za-z_=-]{60,70}",
        &["Use ⟨alnum:14⟩.atlasv1.«⟨url:64⟩» to sign in.", "- `⟨alnum:14⟩.atlasv1.«⟨url:64⟩»`"],
        &["use ⟨alnum:14⟩.atlasv1.⟨url:32⟩", "use ⟨alnum:14⟩.atlasv1.⟨repeat:x*64⟩", "use ⟨alnum:14⟩.v1.⟨url:64⟩"],
    )
    .context(Context::Behind(&[".atlasv1."]))
    .check(Check::Entropy(35)),
    token(
        "HashiCorp",
        "vault-service-token",
        "Vault service credential",
        r"hvs\.[0-9A-Za-z_-]{90,120}",
        &["key: «hvs.⟨url:95⟩»", "{\"k\":\"«hvs.⟨url:95⟩»\"}"],
        &["key: hvs.⟨url:47⟩", "key: hvs.⟨repeat:x*95⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "HashiCorp",
        "vault-batch-token",
        "Vault batch credential",
        r"hvb\.[0-9A-Za-z_-]{138,300}",
        &["key: «hvb.⟨url:160⟩»", "{\"k\":\"«hvb.⟨url:160⟩»\"}"],
        &["key: hvb.⟨url:80⟩", "key: hvb.⟨repeat:x*160⟩"],
    )
    .check(Check::Entropy(40)),
    assigned(
        "HashiCorp",
        "vault-legacy-token",
        "Vault credential of the older form",
        &["vault"],
        r"s\.[0-9A-Za-z]{24}",
        &["VAULT_TOKEN=\"«s.⟨alnum:24⟩»\"", "\"vaultToken\": \"«s.⟨alnum:24⟩»\"", "the vault key is «s.⟨alnum:24⟩»,"],
        &["digest s.⟨alnum:24⟩", "VAULT_TOKEN=\"s.⟨alnum:12⟩\"", "VAULT_TOKEN=\"s.⟨repeat:x*24⟩\""],
    )
    .check(Check::Entropy(33)),
    assigned(
        "HashiCorp",
        "consul-token",
        "Consul or Nomad ACL credential",
        &["consul", "nomad"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &["CONSUL_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "\"consulToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"", "the consul key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,"],
        &["digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩", "CONSUL_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"", "CONSUL_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\""],
    )
    .check(Check::Entropy(28)),
    token(
        "Pulumi",
        "pulumi-token",
        "access credential",
        r"pul-[0-9a-f]{40}",
        &["key: «pul-⟨hex:40⟩»", "{\"k\":\"«pul-⟨hex:40⟩»\"}"],
        &["key: pul-⟨hex:20⟩", "key: pul-⟨repeat:0*40⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Doppler",
        "doppler-token",
        "personal, service or CLI credential",
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[0-9A-Za-z]{40,44}",
        &["key: «dp.pt.⟨alnum:43⟩»", "{\"k\":\"«dp.pt.⟨alnum:43⟩»\"}"],
        &["key: dp.pt.⟨alnum:21⟩", "key: dp.pt.⟨repeat:x*43⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Infisical",
        "infisical-token",
        "service credential",
        r"st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}",
        &["key: «st.⟨hex:24⟩.⟨hex:32⟩.⟨hex:32⟩»", "{\"k\":\"«st.⟨hex:24⟩.⟨hex:32⟩.⟨hex:32⟩»\"}"],
        &["key: st.⟨hex:24⟩.⟨hex:16⟩.⟨hex:32⟩", "key: st.⟨repeat:0*24⟩.⟨repeat:0*32⟩.⟨repeat:0*32⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "1Password",
        "1password-secret-key",
        "secret key of an account",
        r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
        &["key: «A3-⟨base32:6⟩-⟨base32:6⟩-⟨base32:5⟩-⟨base32:5⟩-⟨base32:5⟩-⟨base32:5⟩»", "{\"k\":\"«A3-⟨base32:6⟩-⟨base32:6⟩-⟨base32:5⟩-⟨base32:5⟩-⟨base32:5⟩-⟨base32:5⟩»\"}"],
        &["key: A3-⟨base32:3⟩-⟨base32:6⟩-⟨base32:5⟩-⟨base32:5⟩-⟨base32:5⟩-⟨base32:5⟩", "key: A3-⟨repeat:X*6⟩-⟨repeat:X*6⟩-⟨repeat:X*5⟩-⟨repeat:X*5⟩-⟨repeat:X*5⟩-⟨repeat:X*5⟩"],
    )
    .edges(Edge::Name, Edge::Name)
    .check(Check::Entropy(33)),
    token(
        "1Password",
        "1password-service-account",
        "credential of a service account",
        r"ops_eyJ[0-9A-Za-z+/_-]{250,1200}={0,3}",
        &["key: «ops_eyJ⟨b64:300⟩»", "{\"k\":\"«ops_eyJ⟨b64:300⟩»\"}"],
        &["key: ops_eyJ⟨b64:150⟩", "key: ops_eyJ⟨repeat:x*300⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "Bitwarden",
        "bitwarden-access-token",
        "Secrets Manager access credential",
        r"0\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.[0-9A-Za-z]{30}:[A-Za-z0-9+/]{22}==",
        &["key: «0.⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩.⟨alnum:30⟩:⟨b64:22⟩==»", "{\"k\":\"«0.⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩.⟨alnum:30⟩:⟨b64:22⟩==»\"}"],
        &["key: 0.⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩.⟨alnum:15⟩:⟨b64:22⟩==", "key: 0.⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩.⟨repeat:x*30⟩:⟨repeat:x*22⟩=="],
    )
    .edges(Edge::Number, Edge::Open),
    token(
        "age",
        "age-secret-key",
        "secret key",
        r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
        &["key: «AGE-SECRET-KEY-1⟨repeat:QPZRY9X8GF2TVDW0S3JN54KHCE6MU*2⟩»", "{\"k\":\"«AGE-SECRET-KEY-1⟨repeat:QPZRY9X8GF2TVDW0S3JN54KHCE6MU*2⟩»\"}"],
        &["AGE-SECRET-KEY-1QPZRY9X8", "AGE-SECRET-KEY-1⟨repeat:B*58⟩"],
    ),
    token(
        "Red Hat",
        "openshift-token",
        "OpenShift user credential",
        r"sha256~[0-9A-Za-z_-]{43}",
        &["key: «sha256~⟨url:43⟩»", "{\"k\":\"«sha256~⟨url:43⟩»\"}"],
        &["key: sha256~⟨url:21⟩", "key: sha256~⟨repeat:x*43⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Kubernetes",
        "kubernetes-bootstrap-token",
        "bootstrap credential",
        r"[0-9a-z]{6}\.[0-9a-z]{16}",
        &["kubeadm join --token: «⟨lower:6⟩.⟨lower:16⟩»", "token: \"«⟨lower:6⟩.⟨lower:16⟩»\""],
        &["module ⟨lower:6⟩.⟨lower:16⟩", "token: ⟨lower:6⟩.⟨lower:8⟩"],
    )
    .context(Context::Assigned(&["token", "kubeadm", "bootstrap", "--token"]))
    .edges(Edge::Name, Edge::Name),
    token(
        "Tailscale",
        "tailscale-key",
        "authentication or API key",
        r"tskey-(?:auth|api|client|scim|webhook)-[0-9A-Za-z]{9,24}-[0-9A-Za-z]{16,48}",
        &["key: «tskey-auth-⟨alnum:17⟩-⟨alnum:32⟩»", "{\"k\":\"«tskey-auth-⟨alnum:17⟩-⟨alnum:32⟩»\"}"],
        &["tskey-auth-short", "tskey-auth-⟨repeat:x*17⟩-⟨repeat:x*32⟩"],
    ),
    token(
        "Defined Networking",
        "defined-networking-token",
        "API credential",
        r"dnkey-[0-9A-Za-z=_-]{26}-[0-9A-Za-z=_-]{52}",
        &["key: «dnkey-⟨alnum:26⟩-⟨alnum:52⟩»", "{\"k\":\"«dnkey-⟨alnum:26⟩-⟨alnum:52⟩»\"}"],
        &["key: dnkey-⟨alnum:26⟩-⟨alnum:26⟩", "key: dnkey-⟨repeat:x*26⟩-⟨repeat:x*52⟩"],
    ),
    token(
        "Cisco",
        "webex-bot-token",
        "Webex bot credential",
        r"[0-9A-Za-z]{64}_[0-9A-Z]{4}_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &["key: «⟨alnum:64⟩_PF84_⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»", "{\"k\":\"«⟨alnum:64⟩_PF84_⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"}"],
        &["key: ⟨alnum:32⟩_PF84_⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩", "key: ⟨repeat:x*64⟩_PF84_⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩"],
    )
    .context(VALUE)
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(35)),
    assigned(
        "Cisco",
        "meraki-api-key",
        "Meraki API key",
        &["meraki"],
        r"[0-9a-f]{40}",
        &["MERAKI_API_KEY=\"«⟨hex:40⟩»\"", "\"merakiToken\": \"«⟨hex:40⟩»\"", "the meraki key is «⟨hex:40⟩»,"],
        &["digest ⟨hex:40⟩", "MERAKI_API_KEY=\"⟨hex:20⟩\"", "MERAKI_API_KEY=\"⟨repeat:0*40⟩\""],
    ),
    assigned(
        "Fastly",
        "fastly-token",
        "API credential",
        &["fastly"],
        r"[0-9A-Za-z_-]{32}",
        &["FASTLY_API_KEY=\"«⟨url:32⟩»\"", "\"fastlyToken\": \"«⟨url:32⟩»\"", "the fastly key is «⟨url:32⟩»,"],
        &["digest ⟨url:32⟩", "FASTLY_API_KEY=\"⟨url:16⟩\"", "FASTLY_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
];
