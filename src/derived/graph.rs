//! Declares the collections of a graph.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::Node;
use super::any_node::AnyNode;
use super::driver::Driver;
use super::emit::IntoDerived;
use super::inputs::{Groups, Objects};
use super::join::Join;
use super::reads::Reads;
use super::running::{RunningGraph, Shared, SharedSource};
use super::source::{AnySource, Source};
use super::target::Target;
use super::transform::Transform;
use super::view::GraphView;
use crate::index::{Index, IndexBy};
use crate::informer::{self, Abandon, Informer, Lifetime};
use crate::key::AsKey;
use crate::object::Obj;
use crate::snapshot::Hits;
use crate::store::next_store;

/// Declares a graph of derived collections. See the [module](super).
///
/// Each method adds a collection and returns its [`Node`], which later ones read. A collection can only read those
/// declared before it, so there are no cycles.
#[must_use = "nothing happens before `start` or `build`"]
pub struct Graph {
    id: u64,
    name: Box<str>,
    lifetime: Arc<Lifetime>,
    sources: Vec<(u32, Box<dyn AnySource>)>,
    shared_sources: Vec<SharedSource>,
    /// The store of each node, by which its indexes are known.
    stores: Vec<u64>,
    nodes: Vec<(u32, Box<dyn AnyNode>)>,
    #[cfg(test)]
    checked: bool,
}

impl Graph {
    /// A graph without collections. The name is for logs.
    pub fn new(name: &str) -> Self {
        Self {
            id: next_store(),
            name: name.into(),
            lifetime: Arc::default(),
            sources: Vec::new(),
            shared_sources: Vec::new(),
            stores: Vec::new(),
            nodes: Vec::new(),
            #[cfg(test)]
            checked: false,
        }
    }

    /// Adds an informer to read from. It may be another graph's, with a delay: only the collections of one graph are of
    /// one moment.
    ///
    /// The graph computes nothing before all its sources have synced. It keeps them running. An informer that is in the
    /// graph already, as a source or as a derived collection, has one node.
    pub fn source<T: Send + Sync + 'static>(&mut self, informer: &Informer<T>) -> Node<T> {
        let store = informer.shared().store();
        if let Some(known) = self.stores.iter().position(|known| *known == store) {
            return Node::new(known as u32, self.id);
        }
        let node = self.next(store);
        self.shared_sources.push(SharedSource {
            node: node.id,
            name: informer.name().into(),
            shared: informer.shared().clone(),
        });
        self.sources.push((node.id, Box::new(Source::new(informer.clone()))));
        node
    }

    /// Adds what `transform` returns for each object of a collection: an `Option` of a value under the same key, or a
    /// `Vec` of values with keys of their own.
    ///
    /// `transform` reads other collections through its second argument, and must depend on nothing else: it is called
    /// again for an object when that object changes, or what it has read. If it panics, the last value stays.
    ///
    /// # Panics
    ///
    /// If the node belongs to another graph.
    #[track_caller]
    pub fn map<T, E, F>(&mut self, name: &str, node: Node<T>, transform: F) -> Node<E::Output>
    where
        T: Send + Sync + 'static,
        E: IntoDerived,
        F: Fn(&Obj<T>, &Reads<'_>) -> E + Send + 'static,
    {
        self.check(node);
        let target = self.target(name);
        self.add(target, |target| Transform::new(Objects { node, transform }, target))
    }

    /// Adds what `transform` returns for the objects under each key of an index: an `Option` of a value under that key,
    /// or a `Vec` of values with keys of their own.
    ///
    /// It is called again for a key when one of its objects changes, comes or goes, or what it has read. A key without
    /// objects has no value.
    ///
    /// # Panics
    ///
    /// If the node belongs to another graph, or the index to another collection.
    #[track_caller]
    pub fn group_by<T, K, E, F>(
        &mut self,
        name: &str,
        node: Node<T>,
        index: Index<T, K>,
        transform: F,
    ) -> Node<E::Output>
    where
        T: Send + Sync + 'static,
        K: AsKey + Send + Sync + 'static,
        E: IntoDerived,
        F: Fn(&K, Hits<'_, T>, &Reads<'_>) -> E + Send + 'static,
    {
        self.check(node);
        assert_eq!(
            self.stores.get(node.id as usize),
            Some(&index.store),
            "the index is of another collection"
        );
        let target = self.target(name);
        self.add(target, |target| Transform::new(Groups { node, index, transform }, target))
    }

    /// Adds the objects of several collections of one type. Of several objects with one key, that of the first
    /// collection is in it.
    ///
    /// # Panics
    ///
    /// If a node belongs to another graph.
    #[track_caller]
    pub fn join<T>(&mut self, name: &str, parts: impl IntoIterator<Item = Node<T>>) -> Node<T>
    where
        T: Clone + PartialEq + Send + Sync + 'static,
    {
        let parts: Vec<_> = parts.into_iter().collect();
        parts.iter().for_each(|part| self.check(*part));
        let target = self.target(name);
        self.add(target, |target| Join { parts, target })
    }

    /// Adds the objects of a collection for which `keep` returns true. They are cloned; [`map`](Self::map) does without.
    ///
    /// # Panics
    ///
    /// If the node belongs to another graph.
    #[track_caller]
    pub fn filter<T, F>(&mut self, name: &str, node: Node<T>, keep: F) -> Node<T>
    where
        T: Clone + PartialEq + Send + Sync + 'static,
        F: Fn(&Obj<T>) -> bool + Send + 'static,
    {
        self.map(name, node, move |object, _| keep(object).then(|| T::clone(object)))
    }

    /// Adds an index to a derived collection, as [`Builder::index`](crate::builder::Builder::index).
    ///
    /// # Panics
    ///
    /// If the node belongs to another graph, or is a source: its indexes are declared with its informer.
    #[track_caller]
    pub fn index<T: Send + Sync + 'static, X: IndexBy<T>>(
        &mut self,
        node: Node<T>,
        index: X,
    ) -> Index<T, X::Key> {
        self.check(node);
        match self.target_of(node) {
            Some(target) => target.writer.declare(index),
            None => panic!("the indexes of a source are declared with its informer"),
        }
    }

    /// The informer of a derived collection. It is empty until the graph has started and its sources have synced.
    /// Dropping the graph before its start stops it.
    ///
    /// [`Informer::at_least`] returns an error for it, since its objects are not those of an API server: use
    /// [`RunningGraph::reached`]. [`Informer::refresh`] returns one, too. [`Informer::shutdown`] stops the whole graph.
    ///
    /// # Panics
    ///
    /// If the node belongs to another graph, or is a source.
    #[track_caller]
    pub fn informer<T: Send + Sync + 'static>(&mut self, node: Node<T>) -> Informer<T> {
        self.check(node);
        match self.target_of(node).and_then(|target| target.informer()) {
            Some(informer) => informer.clone(),
            None => panic!("the node is a source, which has its informer"),
        }
    }

    /// Starts the graph as a task on the current tokio runtime. Returns at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. [`build`](Self::build) needs none.
    pub fn start(self) -> RunningGraph {
        let (running, driver) = self.prepare();
        running.lifetime.tasks.spawn(driver);
        running
    }

    /// Returns the graph and the future that drives it, for applications that spawn their tasks themselves. Dropping the
    /// future stops the graph.
    pub fn build(self) -> (RunningGraph, impl Future<Output = ()> + Send + 'static) {
        let (running, driver) = self.prepare();
        let driver = informer::Driver::new(running.lifetime.tasks.track_future(driver));
        let driven: std::sync::Weak<dyn Abandon> = Arc::downgrade(driver.driven()) as _;
        running.lifetime.set_idle(driven);
        (running, driver)
    }

    fn prepare(self) -> (RunningGraph, impl Future<Output = ()> + Send + 'static) {
        let Self { id, name, lifetime, sources, shared_sources, mut nodes, .. } = self;
        let firsts = sources.iter().map(|(id, source)| (*id, source.first()));
        let mut snapshots: Vec<_> =
            firsts.chain(nodes.iter_mut().map(|(id, node)| (*id, node.start()))).collect();
        snapshots.sort_by_key(|(id, _)| *id);
        let snapshots: Vec<_> = snapshots.into_iter().map(|(_, snapshot)| snapshot).collect();
        let view = Arc::new(GraphView { graph: id, tick: 0, snapshots: snapshots.iter().cloned().collect() });
        let (published, receiver) = watch::channel(view.clone());
        let span = tracing::error_span!("graph", name = &*name);
        let shared = Arc::new(Shared {
            name,
            newest: ArcSwap::new(view),
            published: receiver,
            tally: Default::default(),
            nodes: nodes.iter_mut().map(|(_, node)| node.tally()).collect(),
            sources: shared_sources,
        });
        let driver = Driver {
            graph: id,
            shared: shared.clone(),
            published,
            sources,
            nodes,
            snapshots,
            ticks: 0,
            #[cfg(test)]
            checked: self.checked,
        };
        let driver = driver.run(lifetime.stop.clone()).instrument(span);
        (RunningGraph { shared, lifetime }, driver)
    }

    /// Validates all nodes after each tick.
    #[cfg(test)]
    pub(super) fn checked(self) -> Self {
        Self { checked: true, ..self }
    }

    fn next<T>(&mut self, store: u64) -> Node<T> {
        // No overflow: 2^32 boxed nodes do not fit into memory.
        let node = Node::new(self.stores.len() as u32, self.id);
        self.stores.push(store);
        node
    }

    fn target<O: Send + Sync + 'static>(&self, name: &str) -> Target<O> {
        Target::new(name, self.lifetime.clone())
    }

    fn add<O, N: AnyNode + 'static>(
        &mut self,
        target: Target<O>,
        node: impl FnOnce(Target<O>) -> N,
    ) -> Node<O>
    where
        O: Send + Sync + 'static,
    {
        let handle = self.next(target.writer.shared().store());
        self.nodes.push((handle.id, Box::new(node(target))));
        handle
    }

    fn target_of<T: 'static>(&mut self, node: Node<T>) -> Option<&mut Target<T>> {
        let (_, found) = self.nodes.iter_mut().find(|(id, _)| *id == node.id)?;
        found.target().downcast_mut()
    }

    #[track_caller]
    fn check<T>(&self, node: Node<T>) {
        assert_eq!(node.graph, self.id, "the node belongs to another graph");
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sources, nodes) = (self.sources.len(), self.nodes.len());
        write!(f, "Graph({}: {sources} sources, {nodes} derived collections)", self.name)
    }
}
