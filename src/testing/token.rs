//! `continue` tokens: URL-safe base64 of `{"v":"meta.k8s.io/v1","rv":7,"start":"name\0"}`, as kube-apiserver
//! writes them. Clients must treat them as opaque. A version of -1 continues at the newest version.

use serde_json::{Value, json};

use super::status::ApiStatus;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The version of the snapshot; `None` to continue inconsistently.
    pub(super) version: Option<u64>,
    /// The first key that may follow, without the namespace of a namespaced list.
    pub(super) start: String,
}

impl Token {
    pub(super) fn encode(&self) -> String {
        let version = self.version.map_or(json!(-1), |version| json!(version));
        let text = json!({ "v": "meta.k8s.io/v1", "rv": version, "start": self.start }).to_string();
        encode(text.as_bytes())
    }

    pub(super) fn decode(text: &str) -> Result<Self, ApiStatus> {
        let refuse = |why: &str| {
            ApiStatus::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = decode(text).ok_or_else(|| refuse("illegal base64 data"))?;
        let token: Value = serde_json::from_slice(&bytes)
            .map_err(|_| refuse("invalid character looking for beginning of value"))?;
        let version = token.get("v").and_then(Value::as_str).unwrap_or("");
        if version != "meta.k8s.io/v1" {
            return Err(refuse(&format!("server does not recognize this encoded version {version}")));
        }
        let start = token.get("start").and_then(Value::as_str).unwrap_or("").to_owned();
        match token.get("rv").and_then(Value::as_i64) {
            None | Some(0) => Err(refuse("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")),
            _ if start.is_empty() => Err(refuse("empty start key (version meta.k8s.io/v1)")),
            Some(version) => Ok(Self { version: u64::try_from(version).ok(), start }),
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..=chunk.len() {
            let sextet = bits >> (18 - 6 * place) & 63;
            out.push(char::from(ALPHABET[sextet as usize]));
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let sextet = ALPHABET.iter().position(|known| *known == byte)?;
        bits = bits << 6 | u32::try_from(sextet).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_way_out_and_back() {
        for start in ["a\0", "ns/name\0", "x", "\u{e9}\0"] {
            for version in [Some(1), Some(u64::from(u32::MAX)), None] {
                let token = Token { version, start: start.into() };
                assert_eq!(Token::decode(&token.encode()).unwrap(), token);
            }
        }
    }

    #[test]
    fn a_real_servers_token_is_understood() {
        let token =
            Token::decode("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQ5LCJzdGFydCI6Ii9nLTJ2cDc1XHUwMDAwIn0")
                .unwrap();
        assert_eq!(token, Token { version: Some(249), start: "/g-2vp75\0".into() });
    }

    #[test]
    fn garbage_is_refused() {
        for text in ["abc", "%%%", "eyJhIjoxfQ", "e30", ""] {
            assert_eq!(Token::decode(text).unwrap_err().code(), 400, "{text}");
        }
    }
}
