//! Gateway API conformance in file mode: every test that can run must pass.
