//! What is written down of the schemas is what the types say. `BLESS=1 cargo test` writes it anew.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{env, fs, path::Path};

use portcullis_policy::schema;

#[test]
fn the_definitions_beside_the_deployment_are_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/crds.yaml");
    let printed = schema::yaml(&schema::custom_resource_definitions());
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &printed).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == printed, "deploy/kubernetes/crds.yaml is not what `portcullis schema --crd` prints");
}
