//! The cases that run on both servers: the in-process one and a real kube-apiserver.
//!
//! A case is an `async fn(&Ctx) -> Result<()>` and a line in [`all`]. It gets a namespace of its own, and
//! must stand what others leave in the rest of the cluster.

mod conformance;
mod server;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::support::{envtest::Options, world::Ctx};

/// One case, by the name it is listed under.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Ctx) -> LocalBoxFuture<'a, Result<()>>,
    pub(crate) servers: Servers,
    /// `None`: the cluster that such cases share.
    pub(crate) own_cluster: Option<fn() -> Options>,
}

/// Where a case can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    /// On the in-process server and on a real one.
    Both,
    /// Only where there are processes to kill, or what only kube-apiserver has.
    Real,
}

/// Makes a [`Case`] of the function of that path, named after it.
macro_rules! case {
    ($module:ident :: $function:ident) => {
        Case {
            name: stringify!($function),
            run: |ctx| Box::pin($module::$function(ctx)),
            servers: Servers::Both,
            own_cluster: None,
        }
    };
}

// === impl Case ===

impl Case {
    /// Not for the in-process server.
    fn real_only(self) -> Self {
        Self { servers: Servers::Real, ..self }
    }

    /// On a real cluster of its own, with these options.
    fn on_own_cluster(self, options: fn() -> Options) -> Self {
        Self { own_cluster: Some(options), ..self }
    }
}

/// Every case, in the order they run in.
pub(crate) fn all() -> Vec<Case> {
    vec![
        case!(server::answers_its_version),
        case!(server::objects_are_created_listed_and_watched),
        case!(server::custom_resources_are_served),
        case!(server::rights_decide_what_a_user_may_do),
        case!(server::old_versions_expire_after_compaction),
        case!(server::a_default_client_works_too),
        case!(server::survives_a_killed_api_server).real_only().on_own_cluster(Options::default),
        case!(server::a_kubeconfig_is_all_a_program_needs).real_only(),
        case!(conformance::answers_are_as_recorded).real_only().on_own_cluster(Options::default),
    ]
}
