//! Where code lives, is built and is published.

use super::{
    super::{Check, Context, Edge, Rule},
    assigned, token,
};

pub(super) static RULES: &[Rule] = &[
    token(
        "GitHub",
        "github-pat",
        "personal access credential (classic)",
        r"ghp_[0-9A-Za-z]{36}",
        &["key: «ghp_⟨alnum:30⟩⟨crc:30⟩»", "{\"k\":\"«ghp_⟨alnum:36⟩»\"}"],
        &["key: ghp_⟨alnum:20⟩", "key: ghp_⟨repeat:x*36⟩"],
    )
    .check(Check::ChecksumOrEntropy(30)),
    token(
        "GitHub",
        "github-oauth",
        "OAuth access credential",
        r"gho_[0-9A-Za-z]{36}",
        &["key: «gho_⟨alnum:30⟩⟨crc:30⟩»", "{\"k\":\"«gho_⟨alnum:36⟩»\"}"],
        &["key: gho_⟨alnum:20⟩", "key: gho_⟨repeat:x*36⟩"],
    )
    .check(Check::ChecksumOrEntropy(30)),
    token(
        "GitHub",
        "github-user-to-server",
        "credential of an application for a user",
        r"ghu_[0-9A-Za-z]{36}",
        &["key: «ghu_⟨alnum:30⟩⟨crc:30⟩»", "{\"k\":\"«ghu_⟨alnum:36⟩»\"}"],
        &["key: ghu_⟨alnum:20⟩", "key: ghu_⟨repeat:x*36⟩"],
    )
    .check(Check::ChecksumOrEntropy(30)),
    token(
        "GitHub",
        "github-server-to-server",
        "credential of an application's installation",
        r"ghs_[0-9A-Za-z]{36}",
        &["key: «ghs_⟨alnum:30⟩⟨crc:30⟩»", "{\"k\":\"«ghs_⟨alnum:36⟩»\"}"],
        &["key: ghs_⟨alnum:20⟩", "key: ghs_⟨repeat:x*36⟩"],
    )
    .check(Check::ChecksumOrEntropy(30)),
    token(
        "GitHub",
        "github-refresh",
        "refresh credential",
        r"ghr_[0-9A-Za-z]{36}(?:[0-9A-Za-z]{40})?",
        &["key: «ghr_⟨alnum:30⟩⟨crc:30⟩»", "{\"k\":\"«ghr_⟨alnum:36⟩»\"}"],
        &["key: ghr_⟨alnum:20⟩", "key: ghr_⟨repeat:x*36⟩"],
    )
    .check(Check::ChecksumOrEntropy(30)),
    token(
        "GitHub",
        "github-fine-grained-pat",
        "personal access credential (fine-grained)",
        r"github_pat_[0-9A-Za-z_]{82}",
        &["key: «github_pat_⟨alnum:22⟩_⟨alnum:59⟩»", "{\"k\":\"«github_pat_⟨alnum:22⟩_⟨alnum:59⟩»\"}"],
        &["key: github_pat_⟨alnum:22⟩_⟨alnum:29⟩", "key: github_pat_⟨repeat:x*22⟩_⟨repeat:x*59⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "GitHub",
        "github-client-secret",
        "client secret of an application",
        r"[0-9a-f]{40}",
        &["GITHUB_CLIENT_SECRET=«⟨hex:40⟩»"],
        &["commit ⟨hex:40⟩", "GITHUB_SHA=⟨hex:40⟩"],
    )
    .context(Context::Assigned(&["github_client", "githubclient", "github_secret", "githubsecret", "github_webhook"]))
    .edges(Edge::Word, Edge::Word),
    token(
        "GitLab",
        "gitlab-pat",
        "personal, project or group access credential",
        r"glpat-[0-9A-Za-z_-]{20}",
        &["key: «glpat-⟨url:20⟩»", "{\"k\":\"«glpat-⟨url:20⟩»\"}"],
        &["key: glpat-⟨url:10⟩", "key: glpat-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-deploy",
        "deploy credential",
        r"gldt-[0-9A-Za-z_-]{20}",
        &["key: «gldt-⟨url:20⟩»", "{\"k\":\"«gldt-⟨url:20⟩»\"}"],
        &["key: gldt-⟨url:10⟩", "key: gldt-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-runner",
        "runner authentication credential",
        r"glrt-[0-9A-Za-z_-]{20}",
        &["key: «glrt-⟨url:20⟩»", "{\"k\":\"«glrt-⟨url:20⟩»\"}"],
        &["key: glrt-⟨url:10⟩", "key: glrt-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-feed",
        "feed credential",
        r"glft-[0-9A-Za-z_-]{20}",
        &["key: «glft-⟨url:20⟩»", "{\"k\":\"«glft-⟨url:20⟩»\"}"],
        &["key: glft-⟨url:10⟩", "key: glft-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-mail",
        "incoming mail credential",
        r"glimt-[0-9A-Za-z_-]{25}",
        &["key: «glimt-⟨url:25⟩»", "{\"k\":\"«glimt-⟨url:25⟩»\"}"],
        &["key: glimt-⟨url:12⟩", "key: glimt-⟨repeat:x*25⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-agent",
        "credential of a Kubernetes agent",
        r"glagent-[0-9A-Za-z_-]{50}",
        &["key: «glagent-⟨url:50⟩»", "{\"k\":\"«glagent-⟨url:50⟩»\"}"],
        &["key: glagent-⟨url:25⟩", "key: glagent-⟨repeat:x*50⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-oauth-secret",
        "secret of an OAuth application",
        r"gloas-[0-9A-Za-z_-]{64}",
        &["key: «gloas-⟨url:64⟩»", "{\"k\":\"«gloas-⟨url:64⟩»\"}"],
        &["key: gloas-⟨url:32⟩", "key: gloas-⟨repeat:x*64⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-scim",
        "SCIM credential",
        r"glsoat-[0-9A-Za-z_-]{20}",
        &["key: «glsoat-⟨url:20⟩»", "{\"k\":\"«glsoat-⟨url:20⟩»\"}"],
        &["key: glsoat-⟨url:10⟩", "key: glsoat-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-feature-flags",
        "credential of a feature flags client",
        r"glffct-[0-9A-Za-z_-]{20}",
        &["key: «glffct-⟨url:20⟩»", "{\"k\":\"«glffct-⟨url:20⟩»\"}"],
        &["key: glffct-⟨url:10⟩", "key: glffct-⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "GitLab",
        "gitlab-pat-routable",
        "credential of the routable form",
        r"gl(?:pat|rt|dt)-(?:t[0-9]_)?[0-9A-Za-z_-]{27,300}\.[0-9a-z]{2}(?:\.[0-9a-z]{2})?[0-9a-z]{7}",
        &["key: «glpat-⟨url:40⟩.01⟨lower:7⟩»", "{\"k\":\"«glpat-⟨url:40⟩.01⟨lower:7⟩»\"}"],
        &["x.01⟨lower:7⟩", "glpat-⟨url:10⟩.01⟨lower:7⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "GitLab",
        "gitlab-pipeline-trigger",
        "pipeline trigger credential",
        r"glptt-[0-9a-f]{40}",
        &["key: «glptt-⟨hex:40⟩»", "{\"k\":\"«glptt-⟨hex:40⟩»\"}"],
        &["key: glptt-⟨hex:20⟩", "key: glptt-⟨repeat:0*40⟩"],
    ),
    token(
        "GitLab",
        "gitlab-ci-job",
        "CI job credential",
        r"glcbt-[0-9A-Za-z]{1,5}_[0-9A-Za-z_-]{20}",
        &["key: «glcbt-64_⟨url:20⟩»", "{\"k\":\"«glcbt-64_⟨url:20⟩»\"}"],
        &["key: glcbt-64_⟨url:10⟩", "key: glcbt-64_⟨repeat:x*20⟩"],
    ),
    token(
        "GitLab",
        "gitlab-runner-registration",
        "runner registration credential",
        r"GR1348941[0-9A-Za-z_-]{20}",
        &["key: «GR1348941⟨url:20⟩»", "{\"k\":\"«GR1348941⟨url:20⟩»\"}"],
        &["key: GR1348941⟨url:10⟩", "key: GR1348941⟨repeat:x*20⟩"],
    ),
    token(
        "Atlassian",
        "bitbucket-app-password",
        "Bitbucket app password",
        r"ATBB[0-9A-Za-z]{24,32}[0-9A-F]{8}",
        &["key: «ATBB⟨alnum:28⟩⟨HEX:8⟩»", "{\"k\":\"«ATBB⟨alnum:28⟩⟨HEX:8⟩»\"}"],
        &["key: ATBB⟨alnum:14⟩⟨HEX:8⟩", "key: ATBB⟨repeat:x*28⟩⟨repeat:0*8⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    assigned(
        "Atlassian",
        "bitbucket-client-secret",
        "Bitbucket OAuth secret",
        &["bitbucket"],
        r"[0-9A-Za-z=_-]{32,64}",
        &["BITBUCKET_API_KEY=\"«⟨url:64⟩»\"", "\"bitbucketToken\": \"«⟨url:64⟩»\"", "the bitbucket key is «⟨url:64⟩»,"],
        &["digest ⟨url:64⟩", "BITBUCKET_SECRET=⟨url:20⟩", "BITBUCKET_SECRET=⟨repeat:x*64⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Atlassian",
        "atlassian-api-token",
        "API credential",
        r"ATATT3[0-9A-Za-z_=-]{180,200}",
        &["key: «ATATT3⟨url:186⟩»", "{\"k\":\"«ATATT3⟨url:186⟩»\"}"],
        &["key: ATATT3⟨url:93⟩", "key: ATATT3⟨repeat:x*186⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "Atlassian",
        "atlassian-bitbucket-access",
        "Bitbucket repository access credential",
        r"ATCTT3[0-9A-Za-z_=-]{180,200}",
        &["key: «ATCTT3⟨url:186⟩»", "{\"k\":\"«ATCTT3⟨url:186⟩»\"}"],
        &["key: ATCTT3⟨url:93⟩", "key: ATCTT3⟨repeat:x*186⟩"],
    )
    .check(Check::Entropy(40)),
    assigned(
        "Atlassian",
        "atlassian-legacy-token",
        "API credential of the older form",
        &["jira", "confluence", "atlassian"],
        r"[0-9A-Za-z]{24}",
        &["JIRA_API_KEY=\"«⟨alnum:24⟩»\"", "\"jiraToken\": \"«⟨alnum:24⟩»\"", "the jira key is «⟨alnum:24⟩»,"],
        &["digest ⟨alnum:24⟩", "JIRA_API_KEY=\"⟨alnum:12⟩\"", "JIRA_API_KEY=\"⟨repeat:x*24⟩\""],
    )
    .check(Check::Entropy(33)),
    token(
        "npm",
        "npm-token",
        "access credential",
        r"npm_[0-9A-Za-z]{36}",
        &["//registry.example/:_authToken=«npm_⟨alnum:30⟩⟨crc:30⟩»"],
        &["npm_⟨alnum:20⟩", "npm_⟨repeat:x*36⟩", "npm_config_registry"],
    )
    .check(Check::ChecksumOrEntropy(30)),
    token(
        "PyPI",
        "pypi-token",
        "upload credential",
        r"pypi-AgE[0-9A-Za-z_-]{63,1020}",
        &["key: «pypi-AgEIcHlwaS5vcmc⟨url:120⟩»", "{\"k\":\"«pypi-AgEIcHlwaS5vcmc⟨url:120⟩»\"}"],
        &["pypi-AgE⟨url:20⟩", "pypi-server"],
    )
    .check(Check::Entropy(38)),
    token(
        "crates.io",
        "crates-io-token",
        "API credential",
        r"cio[0-9A-Za-z]{32}",
        &["key: «cio⟨alnum:32⟩»", "{\"k\":\"«cio⟨alnum:32⟩»\"}"],
        &["key: cio⟨alnum:16⟩", "key: cio⟨repeat:x*32⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    token(
        "RubyGems",
        "rubygems-key",
        "API key",
        r"rubygems_[0-9a-f]{48}",
        &["key: «rubygems_⟨hex:48⟩»", "{\"k\":\"«rubygems_⟨hex:48⟩»\"}"],
        &["key: rubygems_⟨hex:24⟩", "key: rubygems_⟨repeat:0*48⟩"],
    ),
    token(
        "NuGet",
        "nuget-api-key",
        "API key",
        r"oy2[a-z0-9]{43}",
        &["key: «oy2⟨lower:43⟩»", "{\"k\":\"«oy2⟨lower:43⟩»\"}"],
        &["key: oy2⟨lower:21⟩", "key: oy2⟨repeat:x*43⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(33)),
    token(
        "Clojars",
        "clojars-token",
        "deploy credential",
        r"CLOJARS_[0-9a-z]{60}",
        &["key: «CLOJARS_⟨hex:60⟩»", "{\"k\":\"«CLOJARS_⟨hex:60⟩»\"}"],
        &["key: CLOJARS_⟨hex:30⟩", "key: CLOJARS_⟨repeat:0*60⟩"],
    ),
    token(
        "Packagist",
        "packagist-token",
        "API credential",
        r"packagist_[ou][ru]t_[0-9a-f]{68}",
        &["key: «packagist_out_⟨hex:68⟩»", "{\"k\":\"«packagist_out_⟨hex:68⟩»\"}"],
        &["key: packagist_out_⟨hex:34⟩", "key: packagist_out_⟨repeat:0*68⟩"],
    ),
    token(
        "Hex.pm",
        "hex-pm-key",
        "API key",
        r"[0-9a-f]{32}",
        &["HEX_API_KEY=«⟨hex:32⟩»"],
        &["HEX=⟨hex:32⟩", "HEX_API_KEY=⟨hex:16⟩"],
    )
    .context(Context::Assigned(&["hex_api", "hexpm"]))
    .edges(Edge::Word, Edge::Word),
    token(
        "Docker",
        "docker-hub-pat",
        "Hub personal access credential",
        r"dckr_(?:pat|oat)_[0-9A-Za-z_-]{27,32}",
        &["key: «dckr_pat_⟨url:27⟩»", "{\"k\":\"«dckr_pat_⟨url:27⟩»\"}"],
        &["dckr_pat_⟨url:12⟩", "dckr_pat_⟨repeat:x*27⟩"],
    ),
    token(
        "Red Hat",
        "quay-robot-token",
        "credential of a Quay robot",
        r"[A-Z0-9]{64}",
        &["QUAY_PASSWORD=«⟨base32:64⟩»"],
        &["x=⟨base32:64⟩", "QUAY_PASSWORD=⟨repeat:X*64⟩"],
    )
    .context(Context::Assigned(&["quay"]))
    .edges(Edge::Word, Edge::Word),
    token(
        "JFrog",
        "artifactory-api-key",
        "Artifactory API key",
        r"AKCp[0-9A-Za-z]{69}",
        &["key: «AKCp⟨alnum:69⟩»", "{\"k\":\"«AKCp⟨alnum:69⟩»\"}"],
        &["key: AKCp⟨alnum:34⟩", "key: AKCp⟨repeat:x*69⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "JFrog",
        "artifactory-reference",
        "Artifactory reference credential",
        r"cmVmd[0-9A-Za-z]{59}",
        &["key: «cmVmdGtu⟨alnum:56⟩»", "{\"k\":\"«cmVmdGtu⟨alnum:56⟩»\"}"],
        &["key: cmVmdGtu⟨alnum:28⟩", "key: cmVmdGtu⟨repeat:x*56⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "CircleCI",
        "circleci-token",
        "API credential",
        r"CCIP(?:AT|RJ)_[0-9A-Za-z]{22}_[0-9a-f]{40}",
        &["key: «CCIPAT_⟨alnum:22⟩_⟨hex:40⟩»", "{\"k\":\"«CCIPAT_⟨alnum:22⟩_⟨hex:40⟩»\"}"],
        &["key: CCIPAT_⟨alnum:22⟩_⟨hex:20⟩", "key: CCIPAT_⟨repeat:x*22⟩_⟨repeat:0*40⟩"],
    ),
    assigned(
        "Travis CI",
        "travis-token",
        "API credential",
        &["travis"],
        r"[0-9A-Za-z_-]{22}",
        &["TRAVIS_API_KEY=\"«⟨alnum:22⟩»\"", "\"travisToken\": \"«⟨alnum:22⟩»\"", "the travis key is «⟨alnum:22⟩»,"],
        &["digest ⟨alnum:22⟩", "TRAVIS_API_KEY=\"⟨alnum:11⟩\"", "TRAVIS_API_KEY=\"⟨repeat:x*22⟩\""],
    )
    .check(Check::Entropy(33)),
    token(
        "Buildkite",
        "buildkite-token",
        "API or agent credential",
        r"bk(?:ua|ct|aj|at)_[0-9a-f]{40}",
        &["key: «bkua_⟨hex:40⟩»", "{\"k\":\"«bkua_⟨hex:40⟩»\"}"],
        &["key: bkua_⟨hex:20⟩", "key: bkua_⟨repeat:0*40⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    assigned(
        "Drone",
        "drone-token",
        "API credential",
        &["drone", "droneci"],
        r"[0-9A-Za-z]{32}",
        &["DRONE_API_KEY=\"«⟨alnum:32⟩»\"", "\"droneToken\": \"«⟨alnum:32⟩»\"", "the drone key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "DRONE_API_KEY=\"⟨alnum:16⟩\"", "DRONE_API_KEY=\"⟨repeat:x*32⟩\""],
    ),
    assigned(
        "Jenkins",
        "jenkins-token",
        "API credential",
        &["jenkins"],
        r"11[0-9a-f]{32}",
        &["JENKINS_API_KEY=\"«11⟨hex:32⟩»\"", "\"jenkinsToken\": \"«11⟨hex:32⟩»\"", "the jenkins key is «11⟨hex:32⟩»,"],
        &["digest 11⟨hex:32⟩", "JENKINS_API_KEY=\"11⟨hex:16⟩\"", "JENKINS_API_KEY=\"11⟨repeat:0*32⟩\""],
    )
    .check(Check::Entropy(28)),
    token(
        "Harness",
        "harness-key",
        "personal or service credential",
        r"[ps]at\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z]{24}\.[0-9A-Za-z]{20}",
        &["key: «pat.⟨url:22⟩.⟨hex:24⟩.⟨alnum:20⟩»", "{\"k\":\"«pat.⟨url:22⟩.⟨hex:24⟩.⟨alnum:20⟩»\"}"],
        &["key: pat.⟨url:22⟩.⟨hex:12⟩.⟨alnum:20⟩", "key: pat.⟨repeat:x*22⟩.⟨repeat:0*24⟩.⟨repeat:x*20⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    assigned(
        "Codecov",
        "codecov-token",
        "upload credential",
        &["codecov"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "CODECOV_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"codecovToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the codecov key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "CODECOV_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "CODECOV_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    token(
        "Sonar",
        "sonar-token",
        "user, project or global credential",
        r"sq[upa]_[0-9a-f]{40}",
        &["key: «squ_⟨hex:40⟩»", "{\"k\":\"«squ_⟨hex:40⟩»\"}"],
        &["key: squ_⟨hex:20⟩", "key: squ_⟨repeat:0*40⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    assigned(
        "Snyk",
        "snyk-token",
        "API credential",
        &["snyk"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "SNYK_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"snykToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the snyk key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "SNYK_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "SNYK_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    token(
        "Sourcegraph",
        "sourcegraph-token",
        "access credential",
        r"sg[pd]_(?:(?:[0-9A-Fa-f]{16}|local)_)?[0-9A-Fa-f]{40}",
        &["key: «sgp_⟨hex:16⟩_⟨hex:40⟩»", "{\"k\":\"«sgp_⟨hex:16⟩_⟨hex:40⟩»\"}"],
        &["key: sgp_⟨hex:16⟩_⟨hex:20⟩", "key: sgp_⟨repeat:0*16⟩_⟨repeat:0*40⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Postman",
        "postman-api-key",
        "API key",
        r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
        &["key: «PMAK-⟨hex:24⟩-⟨hex:34⟩»", "{\"k\":\"«PMAK-⟨hex:24⟩-⟨hex:34⟩»\"}"],
        &["key: PMAK-⟨hex:24⟩-⟨hex:17⟩", "key: PMAK-⟨repeat:0*24⟩-⟨repeat:0*34⟩"],
    ),
    token(
        "ReadMe",
        "readme-api-key",
        "API key",
        r"rdme_[0-9a-z]{70}",
        &["key: «rdme_⟨lower:70⟩»", "{\"k\":\"«rdme_⟨lower:70⟩»\"}"],
        &["key: rdme_⟨lower:35⟩", "key: rdme_⟨repeat:x*70⟩"],
    ),
    token(
        "Octopus Deploy",
        "octopus-api-key",
        "API key",
        r"API-[A-Z0-9]{26,32}",
        &["key: «API-⟨base32:26⟩»", "{\"k\":\"«API-⟨base32:26⟩»\"}"],
        &["API-⟨base32:10⟩", "API-REFERENCE"],
    )
    .edges(Edge::Name, Edge::Name),
    token(
        "Prefect",
        "prefect-token",
        "API credential",
        r"pn[ub]_[0-9A-Za-z]{36}",
        &["key: «pnu_⟨alnum:36⟩»", "{\"k\":\"«pnu_⟨alnum:36⟩»\"}"],
        &["key: pnu_⟨alnum:18⟩", "key: pnu_⟨repeat:x*36⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Figma",
        "figma-token",
        "personal access credential",
        r"fig[dou][r]?_[0-9A-Za-z_-]{40}",
        &["key: «figd_⟨url:40⟩»", "{\"k\":\"«figd_⟨url:40⟩»\"}"],
        &["key: figd_⟨url:20⟩", "key: figd_⟨repeat:x*40⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Linear",
        "linear-api-key",
        "API key",
        r"lin_(?:api|oauth)_[0-9A-Za-z]{40}",
        &["key: «lin_api_⟨alnum:40⟩»", "{\"k\":\"«lin_api_⟨alnum:40⟩»\"}"],
        &["key: lin_api_⟨alnum:20⟩", "key: lin_api_⟨repeat:x*40⟩"],
    ),
    token(
        "LaunchDarkly",
        "launchdarkly-key",
        "SDK, API or mobile key",
        r"(?:sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "key: «sdk-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»",
            "{\"k\":\"«sdk-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"}",
        ],
        &[
            "key: sdk-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩",
            "key: sdk-⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩",
        ],
    )
    .edges(Edge::Name, Edge::Name),
];
