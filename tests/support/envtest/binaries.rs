//! Where the servers' binaries are.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder with etcd and kube-apiserver, or in one line why there is none.
///
/// The script that builds them says where they are kept, so that this is written once.
pub(crate) fn find() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/envtest/build.sh");
    let out = Command::new("bash")
        .arg(&script)
        .arg("--find")
        .output()
        .map_err(|err| format!("cannot run {} by bash: {err}", script.display()))?;
    if out.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&out.stdout).trim_end()))
    } else {
        let reason = String::from_utf8_lossy(&out.stderr);
        Err(reason.trim().trim_start_matches("envtest: ").replace('\n', " "))
    }
}
