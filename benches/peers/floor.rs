//! The floor: a plain mutable hash table that can do nothing but be looked up in. Same entries as ours (one
//! allocation: hash, value, key bytes behind it), same hash function, no versions, no sharing, no threads.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use triomphe::ThinArc;

use super::Peer;
use crate::data::{Data, Key, Value};

pub(super) struct Table<T> {
    hasher: FixedState,
    objects: HashTable<Entry<T>>,
    by_provider: HashTable<(String, Vec<Entry<T>>)>,
}

#[derive(Clone)]
struct Entry<T>(ThinArc<Header<T>, u8>);

#[repr(C)]
struct Header<T> {
    hash: u64,
    namespace_len: u16,
    name_len: u16,
    value: T,
}

impl<T: Value> Table<T> {
    pub(super) fn new(data: &Data<T>) -> Self {
        let mut table = Self {
            hasher: FixedState::with_seed(std::process::id().into()),
            objects: HashTable::with_capacity(data.keys.len()),
            by_provider: HashTable::new(),
        };
        data.copies().for_each(|(key, value)| table.put(&key, value));
        table
    }

    fn put(&mut self, key: &Key, value: T) {
        let (namespace, name) = (&*key.namespace, &*key.name);
        let hash = self.hash(namespace, name);
        let bytes = [namespace, name].concat();
        let (namespace_len, name_len) = (namespace.len() as u16, name.len() as u16);
        let provider = value.provider().map(str::to_owned);
        let header = Header { hash, namespace_len, name_len, value };
        let entry = Entry(ThinArc::from_header_and_slice(header, bytes.as_bytes()));
        self.objects.insert_unique(hash, entry.clone(), Entry::hash);
        if let Some(provider) = provider {
            let hasher = &self.hasher;
            let entries = self.by_provider.entry(
                hasher.hash_one(&provider),
                |(known, _)| *known == provider,
                |(known, _)| hasher.hash_one(known),
            );
            entries.or_insert_with(|| (provider.clone(), Vec::new())).get_mut().1.push(entry);
        }
    }

    #[inline]
    fn hash(&self, namespace: &str, name: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(namespace.as_bytes());
        hasher.write_u8(b'/');
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

impl<T> Entry<T> {
    #[inline]
    fn header(&self) -> &Header<T> {
        &self.0.header.header
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.header().hash
    }

    #[inline]
    fn is(&self, key: &Key) -> bool {
        let header = self.header();
        let (namespace, name) = (usize::from(header.namespace_len), usize::from(header.name_len));
        namespace == key.namespace.len()
            && name == key.name.len()
            && self.0.slice.get(namespace..namespace + name) == Some(key.name.as_bytes())
            && self.0.slice.get(..namespace) == Some(key.namespace.as_bytes())
    }
}

impl<T: Value> Peer for Table<T> {
    #[inline]
    fn get(&mut self, key: &Key) -> Option<usize> {
        let hash = self.hash(&key.namespace, &key.name);
        let entry = self.objects.find(hash, |entry| entry.hash() == hash && entry.is(key))?;
        Some(entry.header().value.touch())
    }

    fn index(&mut self, provider: &str) -> usize {
        let hash = self.hasher.hash_one(provider);
        let entries = self.by_provider.find(hash, |(known, _)| known == provider);
        entries.map_or(0, |(_, entries)| entries.iter().map(|entry| entry.header().value.touch()).sum())
    }
}
