//! What operators read: admin pages, metrics, logs, and what the command line prints.
