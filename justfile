# Every command of the project. `just` alone lists them; CI runs the same recipes.
# Install just with `cargo install just` or `pip install rust-just`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Tools that the recipes install for themselves, none of them system wide.
export PATH := justfile_directory() / ".cache/tools/bin:" + env("PATH")

# List the recipes.
default:
    @just --list --unsorted

# Build every binary.
build *ARGS:
    cargo build --workspace --bins {{ ARGS }}

# Everything on loopback with nothing installed: the gateway before simulated inference servers.
demo *ARGS:
    cargo run --release --bin portcullis -- demo {{ ARGS }}

# Run the gateway on a folder of documents.
run CONFIG="deploy/examples/quickstart" *ARGS:
    cargo run --release --bin portcullis -- run --config {{ CONFIG }} {{ ARGS }}

# All tests, or those whose name contains a word: `just test routes`.
test *ARGS:
    tests/run {{ ARGS }}

# Look for inputs that break a parser (nightly toolchain), until stopped: `just fuzz model -max_total_time=60`.
fuzz TARGET *ARGS:
    tests/setup/install fuzz
    mkdir -p tests/fuzz/corpus/{{ TARGET }}
    cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . {{ TARGET }} corpus/{{ TARGET }} seeds/{{ TARGET }} -- {{ ARGS }}

# Format the code.
fmt:
    cargo fmt --all

# Formatting and lints, warnings are errors.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation of the code, warnings are errors.
docs *ARGS:
    RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items {{ ARGS }}

# Licences, banned crates, sources, and known vulnerabilities where their database can be reached.
deny:
    tests/setup/install deny
    tests/setup/deny

# CPU per request, latency and memory beside nginx, HAProxy and Envoy: all scenarios, or those named.
bench *ARGS:
    tests/setup/install bench
    cargo build --release --bin portcullis
    cargo build --release --package portcullis-tests --bin portcullis-bench
    target/release/portcullis-bench run {{ ARGS }}

# The same in short slices: a first look, good to about 10 %.
bench-quick *ARGS: (bench "--quick" ARGS)

# Where the gateway's time goes under a scenario of the benchmark; `--instructions` and `--system-calls` count instead.
profile SCENARIO="tls-h1" *ARGS:
    tests/setup/install bench
    cargo build --release --bin portcullis
    cargo build --release --package portcullis-tests --bin portcullis-bench
    target/release/portcullis-bench profile {{ SCENARIO }} {{ ARGS }}

# Gateway API conformance in file mode; prints the table of docs/conformance.md.
conformance *ARGS:
    cargo build --bin portcullis
    cargo run --package portcullis-tests --bin conformance -- {{ ARGS }}

# What strangers send: the hostile inputs against the real binary.
hostile *ARGS:
    tests/setup/install tests
    cargo build --bin portcullis
    cargo test --package portcullis-tests --test scenarios -- hostile identity {{ ARGS }}

# Stock clients (`openai`, `anthropic`, `tritonclient`, `grpcio`, `websockets`, curl, h2load, wrk) through the gateway.
real-clients *ARGS:
    tests/setup/install tests
    cargo build --bins
    cargo test --package portcullis-tests --test scenarios clients:: -- {{ ARGS }}

# Stock servers (llama.cpp with real weights, NVIDIA Triton) behind the gateway.
real-servers *ARGS:
    tests/setup/install tests
    cargo build --bins
    cargo test --package portcullis-tests --test scenarios servers:: -- {{ ARGS }}

# vLLM on the CPU behind the gateway; installs 6.3 GB below .cache/.
real-vllm:
    tests/setup/install tests
    tests/setup/install vllm
    cargo build --release --bin portcullis
    /usr/bin/python3.11 tests/real/vllm.py

# A load generator for language models, straight at llama.cpp and through the gateway; installs 1.2 GB below .cache/.
real-load:
    tests/setup/install tests
    tests/setup/install load
    cargo build --release --bin portcullis
    /usr/bin/python3.11 tests/real/load.py

# One request or two: the smuggling corpus against nginx, HAProxy, Envoy, Caddy and us; writes docs/smuggling.md.
smuggling *ARGS="--write":
    tests/setup/install smuggling
    cargo build --bin portcullis
    cargo run --package portcullis-tests --bin portcullis-smuggling -- {{ ARGS }}

# What guardrails catch, miss, hold back and cost: the scorecard of docs/guardrails.md; `--details` prints what was missed.
guard-scorecard *ARGS="--write docs/guardrails.md":
    tests/setup/install guard-data
    cargo run --release --package portcullis-scorecard -- {{ ARGS }}

# What testssl.sh says of a TLS endpoint, the demo's unless another is given.
testssl ENDPOINT="127.0.0.1:8443" *ARGS:
    tests/setup/install testssl
    testssl --quiet --warnings off --ip one --sneaky {{ ARGS }} {{ ENDPOINT }}

# The guardrail engine against its definition, and streams against what their clients read: each a million random cases.
guard-proof CASES="500000" STREAMS="143000":
    GUARD_CASES={{ CASES }} cargo test --release --package portcullis-policy --lib guard::engine::tests::properties -- --nocapture
    GUARD_CASES={{ STREAMS }} cargo test --release --package portcullis-policy --lib stream::tests::properties -- --nocapture

# What the guardrail rules hold back (`hold`) and cost (`cost`, `hostile`) on texts of one's own, as lines of JSON.
guard-measure WHAT="hold" *FILES:
    cargo run --release --package portcullis-policy --example guard -- {{ WHAT }} {{ FILES }}

# Train the injection model anew from the packages of tests/train-guard/packages.txt; says what was left out and why.
train-guard *ARGS:
    tests/setup/install guard
    .cache/python-guard/bin/python tests/train-guard/corpora.py
    cargo run --release --package portcullis-tests --bin train-guard -- train {{ ARGS }}

# What the injection model finds on corpora that it never saw, in disguise too, and what it costs: the table of its scorecard.
measure-guard PART="foreign" *ARGS:
    cargo run --release --package portcullis-tests --bin train-guard -- measure --part {{ PART }} {{ ARGS }}

# Train the head of the embedding stage anew from what `just train-guard` laid out, and measure it.
train-embedding *ARGS:
    tests/setup/install embedding
    cargo run --package portcullis-embedding --features embedding --bin train-embedding -- {{ ARGS }}

# The embedding stage with the real weights (91 MB below .cache/): its numbers and refusals, and a gateway that was built with it.
real-embedding *ARGS:
    tests/setup/install embedding
    cargo build --package portcullis-gateway --bin portcullis --features embedding
    cargo test --package portcullis-policy --features embedding --lib guard::injection::embedding -- {{ ARGS }}
    cargo test --package portcullis-embedding --features embedding -- {{ ARGS }}

# Build the container image.
image TAG="portcullis:dev":
    docker build --file deploy/Dockerfile --tag {{ TAG }} .

# What CI runs, from a clean clone.
ci:
    .ci/run
