//! What the peers hold and are asked for: the same objects, the same keys, the same order for all.

use kube_client::{Api, Client};
use kube_core::Resource;
use kube_informer::testing::{ApiServer, Kind};
use kube_informer::{Index, Informer, Obj};
use tokio::runtime::Runtime;

pub(crate) use crate::nads::{CONFIG, HITS, Key, Nad, Projected};
use crate::nads::{key, object, provider, shuffled};

/// What is stored, by every peer.
pub(crate) trait Value: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    fn of(nad: Nad) -> Self;

    /// What every look-up reads of the object it found: the length of its config.
    fn touch(&self) -> usize;

    fn provider(&self) -> Option<&str>;
}

/// Objects in an informer, and keys to look up.
pub(crate) struct Data<T> {
    pub(crate) informer: Informer<T>,
    pub(crate) by_provider: Index<T, String>,
    /// Every object's key, shuffled: neither the order of creation nor that of any hash.
    pub(crate) keys: Vec<Key>,
    /// As many keys of the same form without an object.
    pub(crate) missing: Vec<Key>,
    /// Keys of the index with [`HITS`] objects each, shuffled.
    pub(crate) providers: Vec<String>,
}

// === impl Nad ===

impl Value for Nad {
    const NAME: &'static str = "whole";

    fn of(nad: Nad) -> Self {
        nad
    }

    #[inline]
    fn touch(&self) -> usize {
        self.config_len()
    }

    fn provider(&self) -> Option<&str> {
        Nad::provider(self)
    }
}

// === impl Projected ===

impl Value for Projected {
    const NAME: &'static str = "projected";

    fn of(nad: Nad) -> Self {
        Projected::of(nad)
    }

    #[inline]
    fn touch(&self) -> usize {
        self.config_len
    }

    fn provider(&self) -> Option<&str> {
        Some(&self.provider)
    }
}

// === impl Data ===

impl<T: Value> Data<T> {
    /// Creates `n` objects in an in-process API server and lets an informer list them. The server and the
    /// informer's task are gone when this returns, so that nothing runs beside the look-ups.
    pub(crate) fn new(n: usize) -> Self {
        let kind = Kind::namespaced(&Nad::group(&()), &Nad::version(&()), &Nad::kind(&()), &Nad::plural(&()));
        let server = ApiServer::builder().without_built_ins().kind(kind).history(1).build();
        for i in 0..n {
            server.create(object(i, n)).expect("the server takes the object");
        }
        let runtime = Runtime::new().expect("a runtime");
        let (informer, by_provider) = runtime.block_on(async {
            let api = Api::<Nad>::all(Client::new(server.service(), "default"));
            let mut nads = Informer::builder(api).project(T::of);
            let by_provider = nads.index(|nad: &T| nad.provider().map(str::to_owned));
            let nads = nads.start();
            nads.synced().await.expect("the informer syncs");
            nads.shutdown().await;
            (nads, by_provider)
        });
        let snapshot = informer.snapshot();
        assert_eq!((snapshot.len(), snapshot.invalid_len()), (n, 0));
        let mut keys: Vec<Key> = shuffled(n).into_iter().map(|i| key(i, "net")).collect();
        for key in &mut keys {
            let nad = snapshot.get((&*key.namespace, &*key.name)).expect("every key has its object");
            assert_eq!((Obj::namespace(nad), Obj::name(nad)), (&*key.namespace, &*key.name));
            assert_eq!(nad.touch(), CONFIG);
        }
        let missing = shuffled(n).into_iter().map(|i| key(i, "not")).collect();
        let providers: Vec<String> = shuffled(n / HITS).into_iter().map(provider).collect();
        for provider in &providers {
            assert_eq!(snapshot.by_index(&by_provider, provider.as_str()).len(), HITS);
        }
        Self { informer, by_provider, keys, missing, providers }
    }

    /// A copy of every object, in the order of creation, for peers that are not filled by a server.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (Key, T)> {
        let snapshot = self.informer.snapshot();
        (0..self.keys.len()).map(move |i| {
            let key = key(i, "net");
            let value = T::clone(snapshot.get((&*key.namespace, &*key.name)).expect("the object is there"));
            (key, value)
        })
    }
}
