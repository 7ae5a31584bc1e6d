//! Keeps a store in step with the API server: list, watch, back off, list again.

mod sink;
mod status;

pub(crate) use self::sink::{Regression, Sink};
pub use self::status::{Phase, Status};
