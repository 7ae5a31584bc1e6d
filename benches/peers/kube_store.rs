//! kube-runtime's reflector store: asked by an `ObjectRef`, which owns its strings, so callers build one. It
//! has no indexes: whatever is not asked by name is a scan.

use kube_runtime::reflector::{ObjectRef, Store, store};
use kube_runtime::watcher::Event;

use super::Peer;
use crate::data::{Data, Key, Nad, Value};

pub(super) struct Reflected(Store<Nad>);

impl Reflected {
    pub(super) fn new(data: &Data<Nad>) -> Self {
        let (reader, mut writer) = store();
        writer.apply_watcher_event(&Event::Init);
        data.copies().for_each(|(_, nad)| writer.apply_watcher_event(&Event::InitApply(nad)));
        writer.apply_watcher_event(&Event::InitDone);
        Self(reader)
    }
}

impl Peer for Reflected {
    fn get(&mut self, key: &Key) -> Option<usize> {
        let key = ObjectRef::new(&key.name).within(&key.namespace);
        self.0.get(&key).map(|nad| nad.touch())
    }

    fn index(&mut self, provider: &str) -> usize {
        let nads = self.0.state_filter(|nad: &Nad| nad.provider() == Some(provider));
        nads.iter().map(|nad| nad.touch()).sum()
    }
}
