//! Derived collections.

mod any_node;
mod claims;
mod driver;
mod edges;
mod emit;
mod few;
mod graph;
mod inputs;
mod join;
mod node;
mod read;
mod reads;
mod running;
mod source;
mod stats;
mod step;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod tick;
mod transform;
mod view;

pub use self::emit::IntoDerived;
pub use self::graph::Graph;
pub use self::node::Node;
pub use self::reads::Reads;
pub use self::running::RunningGraph;
pub use self::stats::{GraphStats, NodeStats};
pub use self::view::GraphView;
