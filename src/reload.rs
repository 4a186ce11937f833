//! Whether the configuration's files are others than they were.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Loaded;

/// What tells that a file has been written or replaced; None: it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The files of a configuration.
pub struct Watched {
    interval: Option<Duration>,
    files: Vec<PathBuf>,
    stamps: Vec<Stamp>,
}

impl Watched {
    /// `path` and what it names, as they are now.
    pub fn new(path: &Path, loaded: &Loaded) -> Watched {
        let mut files = vec![path.to_owned()];
        files.extend(loaded.files.iter().cloned());
        Watched {
            interval: loaded.params.reload.interval,
            stamps: files.iter().map(|file| stamp(file)).collect(),
            files,
        }
    }

    /// Looks at the files, before they are read.
    pub fn look(&mut self) {
        self.stamps = self.files.iter().map(|file| stamp(file)).collect();
    }

    /// The files of a later version, which was read after a [`look`](Self::look): what has
    /// changed since is still to be noticed.
    pub fn followed_by(&self, path: &Path, loaded: &Loaded) -> Watched {
        let mut next = Watched::new(path, loaded);
        for (file, stamp) in next.files.iter().zip(&mut next.stamps) {
            if let Some(known) = self.files.iter().position(|known| known == file) {
                *stamp = self.stamps[known];
            }
        }
        next
    }

    /// Returns when a file has changed and stays as it is for an interval: what is being
    /// written is waited for. Never without an interval.
    pub async fn changed(&mut self) {
        let Some(interval) = self.interval else {
            return std::future::pending().await;
        };
        let mut moving = false;
        loop {
            tokio::time::sleep(interval).await;
            let now = self.files.iter().map(|file| stamp(file)).collect();
            let changed = now != self.stamps;
            self.stamps = now;
            match (moving, changed) {
                (true, false) => return,
                _ => moving |= changed,
            }
        }
    }
}

/// Of what the path leads to: where a symbolic link is replaced, another file.
fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    // Also what is written in place, or given back to its reader (chmod(1)).
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Some((device, inode, changed.0, changed.1))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_changes_with_what_its_link_leads_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name| folder.path().join(name);
        let link = at("link");
        assert_eq!(stamp(&link), None);
        for name in ["one", "two"] {
            std::fs::write(at(name), "the same").expect("written");
        }
        symlink(at("one"), &link).expect("linked");
        let before = stamp(&link);
        assert_eq!(before, stamp(&link));
        symlink(at("two"), at("new")).expect("linked");
        std::fs::rename(at("new"), &link).expect("replaced");
        assert_ne!(before, stamp(&link));
    }
}
