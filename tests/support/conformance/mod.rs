//! One script of requests for any API server, and what came back in a form that two servers can be compared by.
//!
//! The script is data (`script/`): requests with placeholders for what earlier answers contained. [`run`] sends it
//! and records each answer with uids, versions, times and tokens replaced by symbols. `recorded.json` holds the
//! answers of a real kube-apiserver, so that a machine without one can compare too.

mod compare;
mod normalise;
mod run;
mod script;
mod step;

pub(crate) use compare::differences;
pub(crate) use run::{Recorded, Target, run};
pub(crate) use script::script;
