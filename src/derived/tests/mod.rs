//! The promises of derived collections, each with a test of that name.

mod hand;
mod promises;
