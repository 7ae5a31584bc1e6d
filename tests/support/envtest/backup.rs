//! Backups of etcd.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// A copy of the files of an etcd that had been ended, in the folder of its cluster.
///
/// It stands for what `etcdctl snapshot save` writes while etcd runs, and putting it back for `etcdutl snapshot
/// restore` without `--bump-revision`: either way etcd begins again at the revision of the backup, with the content
/// it had then, and nothing tells that later revisions were given out before. A disk that is put back does just
/// this.
pub(crate) struct Backup(PathBuf);

// === impl Backup ===

impl Backup {
    pub(super) fn of(data: &Path, to: PathBuf) -> Result<Self> {
        copy(data, &to).context("cannot copy etcd's data")?;
        Ok(Self(to))
    }

    pub(super) fn put_back(&self, data: &Path) -> Result<()> {
        fs::remove_dir_all(data)?;
        copy(&self.0, data).context("cannot put etcd's data back")
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    // etcd says so in its log of a folder that others may read.
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
