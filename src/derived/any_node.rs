//! The nodes of a graph without their types.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use super::step::{AnySnapshot, AnyStep};
use super::tally::NodeTally;
use super::target::Target;
use super::tick::Tick;
use crate::reflector::Status;

/// A node that computes its next version from those of the nodes before it.
pub(super) trait Computed: Send + 'static {
    type Output: Send + Sync + 'static;

    fn target(&mut self) -> &mut Target<Self::Output>;

    /// Computes the version of a tick, from what the tick has changed. Lets other tasks run in between. Readers see
    /// nothing of it before it is published.
    fn compute(&mut self, tick: &Tick) -> impl Future<Output = Arc<dyn AnyStep>> + Send;

    /// Checks what is recorded beside the values.
    #[cfg(test)]
    fn validate(&self) {}
}

/// A derived collection of any type.
pub(super) trait AnyNode: Send {
    fn compute<'a>(&'a mut self, tick: &'a Tick) -> BoxFuture<'a, Arc<dyn AnyStep>>;

    /// Publishes the version of this tick. Runs no application code.
    fn publish(&mut self);

    fn report(&mut self, status: &Status);

    /// Ready when there is a command to obey.
    fn poll_command(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Obeys a command. Returns the new version.
    fn obey(&mut self) -> BoxFuture<'_, Option<Arc<dyn AnySnapshot>>>;

    /// The graph starts. Returns the first version.
    fn start(&mut self) -> Arc<dyn AnySnapshot>;

    /// Frees old versions while the graph runs.
    fn sweep(&mut self) -> BoxFuture<'static, ()>;

    /// Frees what is left when the node is dropped.
    fn finish(&mut self) -> BoxFuture<'static, ()>;

    fn tally(&mut self) -> (Arc<str>, Arc<NodeTally>);

    /// Its [`Target`].
    fn target(&mut self) -> &mut dyn Any;

    #[cfg(test)]
    fn validate(&mut self);
}

impl<C: Computed> AnyNode for C {
    fn compute<'a>(&'a mut self, tick: &'a Tick) -> BoxFuture<'a, Arc<dyn AnyStep>> {
        Box::pin(Computed::compute(self, tick))
    }

    fn publish(&mut self) {
        Computed::target(self).publish();
    }

    fn report(&mut self, status: &Status) {
        Computed::target(self).report(status);
    }

    fn poll_command(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Computed::target(self).poll_command(cx)
    }

    fn obey(&mut self) -> BoxFuture<'_, Option<Arc<dyn AnySnapshot>>> {
        let target = Computed::target(self);
        Box::pin(async { Some(target.obey().await? as Arc<dyn AnySnapshot>) })
    }

    fn start(&mut self) -> Arc<dyn AnySnapshot> {
        Computed::target(self).start()
    }

    fn sweep(&mut self) -> BoxFuture<'static, ()> {
        let retired = Computed::target(self).writer.retired().clone();
        Box::pin(async move { retired.sweep_forever().await })
    }

    fn finish(&mut self) -> BoxFuture<'static, ()> {
        let writer = &Computed::target(self).writer;
        let (retired, shared) = (writer.retired().clone(), writer.shared().clone());
        Box::pin(retired.finish(shared))
    }

    fn tally(&mut self) -> (Arc<str>, Arc<NodeTally>) {
        let target = Computed::target(self);
        (target.name.clone(), target.tally.clone())
    }

    fn target(&mut self) -> &mut dyn Any {
        Computed::target(self)
    }

    #[cfg(test)]
    fn validate(&mut self) {
        Computed::target(self).writer.validate();
        Computed::validate(self);
    }
}
