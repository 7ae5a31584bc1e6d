//! The machine, and the versions of what was compared.

use std::fs;
use std::process::Command;

use serde_json::json;

/// The crates whose versions matter.
const CRATES: [&str; 7] =
    ["kube-runtime", "kube-client", "serde_json", "rpds", "dashmap", "hashbrown", "foldhash"];

const MODULES: [&str; 3] =
    ["k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/cilium/statedb"];

/// One line of JSON for each.
pub(crate) fn lines(go: bool) -> Vec<String> {
    let mut about = vec![
        ("processor".to_owned(), processor()),
        ("memory".to_owned(), memory()),
        ("Rust".to_owned(), output("rustc", &["--version"])),
    ];
    if go {
        about.push(("Go".to_owned(), output("go", &["version"])));
    }
    about.push(("load before".to_owned(), load()));
    let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
    about.extend(CRATES.iter().map(|name| ((*name).to_owned(), locked(&lock, name))));
    let modules = fs::read_to_string("benches/peers/go/go.mod").unwrap_or_default();
    about.extend(MODULES.iter().filter(|_| go).map(|name| ((*name).to_owned(), required(&modules, name))));
    about.iter().map(|(about, is)| json!({ "about": about, "is": is }).to_string()).collect()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.unwrap_or("unknown"))
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let kib: u64 = total.and_then(|total| total.parse().ok()).unwrap_or_default();
    format!("{} GiB", (kib + (1 << 19)) >> 20)
}

/// The work of others disturbs.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// The version of a crate that this one depends on.
fn locked(lock: &str, name: &str) -> String {
    // If there are several, the dependencies say which.
    let ours = lock.split("[[package]]").find(|package| package.contains("name = \"kube-informer\""));
    let chosen = ours.and_then(|ours| ours.split_once(&format!("\"{name} ")));
    if let Some((version, _)) = chosen.and_then(|(_, rest)| rest.split_once('"')) {
        return version.to_owned();
    }
    let package = format!("name = \"{name}\"\nversion = \"");
    let versions: Vec<_> = lock.split(&package).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    versions.last().copied().unwrap_or("unknown").to_owned()
}

fn required(modules: &str, name: &str) -> String {
    let line = modules.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|rest| rest.split(' ').next()).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        assert_eq!(locked("name = \"rpds\"\nversion = \"1.2.1\"\n", "rpds"), "1.2.1");
        assert_eq!(locked("", "rpds"), "unknown");
        let several = r#"
[[package]]
name = "kube-informer"
dependencies = [
 "hashbrown 0.16.1",
]

[[package]]
name = "hashbrown"
version = "0.17.1"
"#;
        assert_eq!(locked(several, "hashbrown"), "0.16.1");
        assert_eq!(required("require (\n\tk8s.io/client-go v0.37.2\n)", "k8s.io/client-go"), "v0.37.2");
    }
}
