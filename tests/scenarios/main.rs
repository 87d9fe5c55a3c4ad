//! The real gateway, driven from outside: one module per topic.
