//! What the model keeps, loses and refuses.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::*;

fn at(path: &str) -> &Path {
    Path::new(path)
}

/// A disk with a folder and a synced file of two sectors in it.
fn disk(seed: u64) -> (ModelDisk, ModelFile) {
    let disk = ModelDisk::new(seed);
    disk.make_folder(at("/d")).unwrap();
    disk.sync_folder(at("/")).unwrap();
    let mut file = disk.create(at("/d/f")).unwrap();
    file.write_at(0, &[1; 1024]).unwrap();
    file.sync().unwrap();
    disk.sync_folder(at("/d")).unwrap();
    (disk, file)
}

#[test]
fn what_was_synced_outlives_every_power_cut() {
    for seed in 0..200 {
        let (disk, mut file) = disk(seed);
        file.write_at(600, &[2; 3000]).unwrap();
        disk.create(at("/d/g")).unwrap();
        disk.cut_power();
        let left = disk.read(at("/d/f")).unwrap();
        assert_eq!(left[..600], [1; 600], "seed {seed}");
        assert!(file.write_at(0, b"x").is_err(), "it was opened before the cut");
    }
}

#[test]
fn what_was_not_synced_is_left_to_chance_sector_by_sector() {
    let (mut sectors, mut lens, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..300 {
        let (disk, mut file) = disk(seed);
        file.write_at(512, &[2; 512]).unwrap();
        file.set_len(8192).unwrap();
        disk.create(at("/d/g")).unwrap();
        disk.rename(at("/d/f"), at("/d/h")).unwrap();
        disk.cut_power();
        let mut found = disk.list(at("/d")).unwrap();
        found.retain(|path| path != at("/d/g"));
        assert_eq!(found.len(), 1, "a name is moved, or is not: {found:?}");
        names.insert(disk.list(at("/d")).unwrap());
        let left = disk.read(&found[0]).unwrap();
        lens.insert(left.len());
        sectors.insert(match &left[512..1024] {
            old if *old == [1; 512] => "lost",
            new if *new == [2; 512] => "kept",
            blank if *blank == [0; 512] => "zero",
            _ => "garbage",
        });
    }
    assert_eq!(sectors.len(), 4, "{sectors:?}");
    assert_eq!(lens, BTreeSet::from([1024, 8192]));
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn a_folder_that_is_gone_takes_everything_along() {
    let mut gone = false;
    for seed in 0..50 {
        let disk = ModelDisk::new(seed);
        disk.make_folder(at("/a/b")).unwrap();
        disk.create(at("/a/b/f")).unwrap();
        disk.sync_folder(at("/a/b")).unwrap();
        disk.cut_power();
        gone |= disk.list(at("/a/b")).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    }
    assert!(gone);
}

#[test]
fn a_sync_that_fails_has_lost_what_it_was_to_keep() {
    let (disk, mut file) = disk(7);
    file.write_at(0, &[2; 512]).unwrap();
    disk.set_faults(Faults { error_at: Some(disk.operations()), ..Faults::default() });
    assert!(file.sync().is_err());
    // The next one says nothing of it, and it is still seen.
    file.sync().unwrap();
    assert_eq!(disk.read(at("/d/f")).unwrap()[0], 2);
    disk.cut_power();
    assert_eq!(disk.read(at("/d/f")).unwrap(), [1; 1024]);
}

#[test]
fn a_full_disk_takes_what_fits_and_padding_takes_no_room() {
    let (disk, mut file) = disk(7);
    disk.set_faults(Faults { capacity: Some(1500), ..Faults::default() });
    file.set_len(10_000).unwrap();
    assert_eq!(disk.used(), 1024);
    let error = file.write_at(1000, &[3; 1000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.used(), 1500);
    assert_eq!(disk.read(at("/d/f")).unwrap()[1499..1501], [3, 0]);
    // What was written before may be written again.
    file.write_at(0, &[4; 1500]).unwrap();
    disk.remove(at("/d/f")).unwrap();
}

#[test]
fn without_power_nothing_is_done_until_it_is_back() {
    let (disk, mut file) = disk(7);
    disk.set_faults(Faults { power_cut_at: Some(disk.operations() + 1), ..Faults::default() });
    file.write_at(0, &[5; 10]).unwrap();
    assert!(file.sync().is_err());
    assert!(!disk.has_power());
    assert!(disk.read(at("/d/f")).is_err() && disk.remove(at("/d/f")).is_err());
    disk.cut_power();
    assert_eq!(disk.read(at("/d/f")).unwrap().len(), 1024);
}
