//! Who selects the objects of a shard.

/// Who selects the objects of a shard, from [`Status::shard_filter`](crate::Status::shard_filter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filter {
    /// The API server sends only the objects of the shard.
    Server,
    /// The API server sends all objects, and the informer drops the others before it decodes them: memory and decoding
    /// are saved, and the transfer is not.
    Here,
}
