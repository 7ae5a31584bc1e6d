//! Server-side apply, and the managers of fields, on which it is based.
//!
//! ```text
//! applied object ─┐                 fields() ─> owned by the manager from now on
//! stored object ──┴─ merge ─> prune ─> compare() with the stored one ─> conflicts, or taken from the others
//! any other write ─────────────────> compare() ─> taken from the others, owned by the writer
//! ```

mod built_in;
mod compare;
mod conflict;
mod field_set;
mod fields;
mod managers;
mod merge;
mod open_api;
mod options;
mod ownership;
mod patch;
mod schema;
mod unique;

pub(super) use built_in::schema as built_in_schema;
pub(super) use managers::{Managers, Tracked};
pub(super) use open_api::schema as described_schema;
pub(super) use options::{check as check_options, force, manager};
pub(super) use ownership::Writer;
pub(super) use patch::Applied;
pub(super) use schema::Schema;
