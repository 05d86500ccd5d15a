//! Makes long partial lists: of files that are removed again, but not all, each slab keeps some.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

/// Files on a tmpfs, removed when this is dropped.
pub struct Files(PathBuf);

impl Files {
    /// Of each group of files that are made one after the other, one stays.
    pub fn new(threads: usize, files: usize, group: usize) -> Self {
        let root = Path::new("/dev/shm").join(format!("slabql-test-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let made = Self(root);
        thread::scope(|scope| {
            for thread in 0..threads {
                let folder = made.0.join(thread.to_string());
                scope.spawn(move || {
                    fs::create_dir(&folder).unwrap();
                    let path = |index: usize| folder.join(index.to_string());
                    for index in 0..files / threads {
                        File::create(path(index)).unwrap();
                    }
                    for index in (0..files / threads).filter(|index| index % group != 0) {
                        fs::remove_file(path(index)).unwrap();
                    }
                });
            }
        });
        made
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
