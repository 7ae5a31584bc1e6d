//! The hash of the API server's shards.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Returns the hash of a uid or a namespace by which the API server splits objects: 64-bit FNV-1a.
///
/// O(length). It is part of the API (`ListOptions.shardSelector`), and so the same in every version. It protects from
/// nothing: who chooses a namespace chooses its hash. The API server chooses uids at random.
///
/// ```
/// use kube_informer::shard::hash;
///
/// assert_eq!(hash(""), 0xcbf29ce484222325);
/// assert_eq!(hash("foobar"), 0x85944171f73967e8);
/// ```
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
