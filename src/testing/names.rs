//! Names that the server generates: `generateName`.

use serde_json::{Value, json};

use super::object::{meta_str, metadata};
use super::state::{State, key};
use super::status::ApiStatus;

/// Neither vowels nor characters that look alike.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const LONGEST_PREFIX: usize = 58;
const ATTEMPTS: usize = 8;

impl State {
    /// Sets the name of an object that has only a prefix.
    pub(super) fn generate_name(
        &self,
        id: u64,
        namespace: Option<&str>,
        object: &mut Value,
    ) -> Result<(), ApiStatus> {
        let prefix = meta_str(object, "generateName");
        if prefix.is_empty() || !meta_str(object, "name").is_empty() {
            return Ok(());
        }
        let collection = self.collection(id)?;
        let is_taken = |name: &str| collection.get(&key(namespace, name)).is_some();
        let name = generate(prefix, is_taken, || *uuid::Uuid::new_v4().as_bytes())
            .map_err(|name| ApiStatus::no_unique_name(collection.kind(), &name))?;
        metadata(object).insert("name".into(), json!(name));
        Ok(())
    }
}

/// A name that does not exist yet. The error is the last name tried, if all exist.
fn generate(
    prefix: &str,
    is_taken: impl Fn(&str) -> bool,
    mut random: impl FnMut() -> [u8; 16],
) -> Result<String, String> {
    let prefix: String = prefix.chars().take(LONGEST_PREFIX).collect();
    let mut name = String::new();
    for _ in 0..ATTEMPTS {
        let suffix = random().into_iter().take(5).map(|byte| char::from(ALPHABET[usize::from(byte) % 27]));
        name = prefix.chars().chain(suffix).collect();
        if !is_taken(&name) {
            return Ok(name);
        }
    }
    Err(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_is_not_given_again() {
        let mut next = 0;
        let mut random = || {
            next += 1;
            [next - 1; 16]
        };
        assert_eq!(generate("web-", |_| false, &mut random).unwrap(), "web-bbbbb");
        assert_eq!(generate("web-", |name| name < "web-f", &mut random).unwrap(), "web-fffff");
        assert_eq!(generate("web-", |_| true, || [26; 16]).unwrap_err(), "web-99999");
        assert_eq!(generate(&"x".repeat(70), |_| false, random).unwrap().len(), 63);
    }
}
