use std::{collections::HashMap, fs, sync::mpsc, thread};

use tempfile::TempDir;

use super::*;
use crate::models::{Manifest, digest, installed::RECORD};

mod rig;

use rig::{Rig, manifest, shelf, tarball, wheel};

#[test]
fn a_model_is_put_together_from_its_packages() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    let mut events = Vec::new();
    let duet = rig.manifest.get("duet").unwrap();
    rig.folder().pull(&[duet], &mut shelf, &mut |event| events.push(serde_json::to_value(&event).unwrap())).unwrap();
    assert_eq!(rig.read("duet/songs/song.bin"), "la la land");
    assert_eq!(rig.read("duet/tune.bin"), "hum");
    assert_eq!(shelf.asked, ["hub song.bin", "one", "two", "@music/three"]);
    assert_eq!(rig.contents(), (vec!["duet".into()], vec![]), "nothing is left over");
    assert!(rig.folder().verify(duet, &mut |_| ()).iter().all(|finding| finding.fault.is_none()));
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("started", "installed"), "{kinds:?}");
    assert!(kinds.contains(&"fallback"), "the hub was not reached: {kinds:?}");

    shelf.asked.clear();
    let again = rig.pull(&["duet"], &mut shelf);
    assert_eq!((again.present, shelf.asked), (vec!["duet".to_owned()], vec![]), "the second pull has nothing to do");
}

#[test]
fn the_hub_comes_first() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    shelf.hub = Some([("song.bin", b"la la land".to_vec())].into());
    rig.pull(&["duet"], &mut shelf);
    assert_eq!(rig.read("duet/songs/song.bin"), "la la land");
    assert_eq!(shelf.asked, ["hub song.bin", "@music/three"]);
}

#[test]
fn other_bytes_from_the_hub_are_not_taken() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    shelf.hub = Some([("song.bin", b"LA LA LAND".to_vec())].into());
    rig.pull(&["duet"], &mut shelf);
    assert_eq!(rig.read("duet/songs/song.bin"), "la la land");
    assert_eq!(shelf.asked, ["hub song.bin", "one", "two", "@music/three"]);
}

#[test]
fn a_wrong_hash_leaves_nothing_behind() {
    let (rig, mut wrong) = (Rig::new(), shelf());
    wrong.packages.insert("two", wheel(&[("two/part2", b" lard")]));
    let error = rig.fail(&mut wrong);
    assert!(matches!(error, PullError::Mismatch { .. }), "{error}");
    assert_eq!(rig.contents().0, Vec::<String>::new());
    let mut right = shelf();
    rig.pull(&["duet"], &mut right);
    assert!(right.asked.contains(&"two".into()), "what was wrong is fetched anew: {:?}", right.asked);
    assert_eq!(rig.read("duet/songs/song.bin"), "la la land");
}

#[test]
fn a_longer_or_shorter_file_is_refused() {
    for part in [&b" land of endless songs"[..], b" la"] {
        let (rig, mut wrong) = (Rig::new(), shelf());
        wrong.packages.insert("two", wheel(&[("two/part2", part)]));
        assert!(matches!(rig.fail(&mut wrong), PullError::Mismatch { .. }));
        assert_eq!(rig.contents().0, Vec::<String>::new());
    }
}

#[test]
fn a_failed_repair_keeps_what_was_installed() {
    let rig = Rig::new();
    rig.pull(&["duet"], &mut shelf());
    let record = rig.read("duet/installed.toml");
    fs::write(rig.root.path().join("duet").join(RECORD), record.replacen("manifest = \"", "manifest = \"old", 1))
        .unwrap();
    fs::write(rig.root.path().join("duet/tune.bin"), "ham").unwrap();
    let mut wrong = shelf();
    wrong.packages.remove("@music/three");
    assert!(matches!(rig.fail(&mut wrong), PullError::Package { .. }));
    assert_eq!((rig.read("duet/songs/song.bin").as_str(), rig.read("duet/tune.bin").as_str()), ("la la land", "ham"));
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let (rig, mut broken) = (Rig::new(), shelf());
    broken.packages.remove("two");
    let error = rig.fail(&mut broken).to_string();
    assert!(error.contains("two==1.0") && error.contains("pull again"), "{error}");
    assert_eq!(rig.contents().0, Vec::<String>::new());
    let mut whole = shelf();
    rig.pull(&["duet"], &mut whole);
    assert_eq!(whole.asked, ["hub song.bin", "two", "@music/three"], "package `one` was there already");
    assert_eq!(rig.contents().1, Vec::<String>::new());
}

#[test]
fn truncated_archives_are_refused_and_fetched_anew() {
    for name in ["two", "@music/three"] {
        let (rig, mut cut) = (Rig::new(), shelf());
        let archive = cut.packages.get_mut(name).unwrap();
        archive.truncate(archive.len() / 2);
        let error = rig.fail(&mut cut);
        assert!(matches!(error, PullError::Archive { .. }), "{name}: {error}");
        assert_eq!(rig.contents().0, Vec::<String>::new());
        let mut whole = shelf();
        rig.pull(&["duet"], &mut whole);
        assert!(whole.asked.contains(&name.into()), "{:?}", whole.asked);
    }
}

#[test]
fn archives_that_lead_outside_are_refused() {
    let evil: &[(&str, &[u8])] = &[("../../../evil", b"evil"), ("two/part2", b" land"), ("package/tune.bin", b"hum")];
    let rooted: &[(&str, &[u8])] = &[("/tmp/evil", b"evil"), ("two/part2", b" land"), ("package/tune.bin", b"hum")];
    for members in [evil, rooted] {
        for (name, archive) in [("two", wheel(members)), ("@music/three", tarball(members))] {
            let (rig, mut shelf) = (Rig::new(), shelf());
            shelf.packages.insert(name, archive);
            let error = rig.fail(&mut shelf).to_string();
            assert!(error.contains("leads outside"), "{name}: {error}");
            assert_eq!(rig.contents().0, Vec::<String>::new());
        }
    }
}

#[test]
fn links_in_archives_are_refused() {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "package/tune.bin", "/etc/hostname").unwrap();
    let (rig, mut shelf) = (Rig::new(), shelf());
    shelf.packages.insert("@music/three", tar.into_inner().unwrap().finish().unwrap());
    let error = rig.fail(&mut shelf).to_string();
    assert!(error.contains("not a plain file"), "{error}");
}

#[test]
fn a_missing_member_is_named() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    shelf.packages.insert("two", wheel(&[("two/other", b" land")]));
    let error = rig.fail(&mut shelf).to_string();
    assert!(error.contains("two/part2"), "{error}");
}

#[test]
fn only_what_is_damaged_is_fetched_again() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    rig.pull(&["duet"], &mut shelf);
    fs::write(rig.root.path().join("duet/tune.bin"), "h").unwrap();
    shelf.asked.clear();
    rig.pull(&["duet"], &mut shelf);
    assert_eq!(shelf.asked, ["@music/three"]);
    assert_eq!((rig.read("duet/songs/song.bin").as_str(), rig.read("duet/tune.bin").as_str()), ("la la land", "hum"));
}

#[test]
fn what_verifying_finds_is_repaired() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    rig.pull(&["duet"], &mut shelf);
    fs::write(rig.root.path().join("duet/tune.bin"), "ham").unwrap();
    assert_eq!(rig.pull(&["duet"], &mut shelf).present, ["duet"], "its size is right");
    rig.folder().verify(rig.manifest.get("duet").unwrap(), &mut |_| ());
    shelf.asked.clear();
    rig.pull(&["duet"], &mut shelf);
    assert_eq!((shelf.asked, rig.read("duet/tune.bin").as_str()), (vec!["@music/three".to_owned()], "hum"));
    assert!(rig.folder().locate("duet").is_ok());
}

#[test]
fn a_package_of_two_models_is_fetched_once() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    let outcome = rig.pull(&["duet", "solo"], &mut shelf);
    assert_eq!(outcome.installed, ["duet", "solo"]);
    assert_eq!(shelf.asked.iter().filter(|name| *name == "@music/three").count(), 1);
}

#[test]
fn one_models_failure_does_not_keep_the_others_away() {
    let (rig, mut shelf) = (Rig::new(), shelf());
    shelf.packages.remove("one");
    let outcome = rig.pull(&["duet", "solo"], &mut shelf);
    assert_eq!((outcome.installed.as_slice(), outcome.failed[0].0.as_str()), (&["solo".to_owned()][..], "duet"));
}

#[test]
fn what_a_killed_pull_left_is_removed() {
    let rig = Rig::new();
    let leftover = |path: &str| {
        let path = rig.root.path().join(".pull").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
    };
    leftover("staging/duet/songs/song.bin");
    leftover("packages/one.partial/one.whl");
    leftover("packages/of-another-time/archive.whl");
    leftover("replaced/song.bin");
    rig.pull(&["duet"], &mut shelf());
    assert_eq!(rig.contents(), (vec!["duet".into()], vec![]));
    leftover("staging/duet/songs/song.bin");
    rig.pull(&["duet"], &mut shelf());
    assert_eq!(rig.contents().1, Vec::<String>::new(), "a pull that finds nothing missing cleans up too");
}

#[test]
fn two_pulls_at_once_take_turns() {
    let rig = Rig::new();
    let (began, begins) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut slow = shelf();
            slow.before = Some(Box::new(move || {
                let _ = began.send(());
                let _ = may_go.recv();
            }));
            rig.pull(&["solo"], &mut slow)
        });
        begins.recv().unwrap();
        let mut second = shelf();
        let solo = rig.manifest.get("solo").unwrap();
        let mut waited = false;
        let release = &mut |event: Event| {
            if event == Event::Waiting {
                waited = true;
                go.send(()).unwrap();
            }
        };
        let outcome = rig.folder().pull(&[solo], &mut second, release).unwrap();
        assert!(waited);
        assert_eq!((outcome.present, second.asked), (vec!["solo".to_owned()], vec![]), "the first pull installed it");
        assert_eq!(first.join().unwrap().installed, ["solo"]);
    });
}

#[test]
fn a_conversion_that_fails_leaves_nothing_behind() {
    let hash = digest::of_bytes(b"hum");
    let manifest = Manifest::parse(&format!(
        r#"
        version = 1
        [packages]
        "@music/three" = {{ registry = "npm", version = "1.0", size = 100 }}
        [[model]]
        name = "garbled"
        title = "Garbled"
        role = "memory"
        licence = "MIT"
        convert = "e5-q4"
        [[model.files]]
        path = "raw/e5-small-q4.bin"
        size = 3
        sha256 = "{hash}"
        from = ["@music/three:package/tune.bin"]
        "#
    ))
    .unwrap();
    let rig = Rig { manifest, root: TempDir::new().unwrap() };
    let outcome = rig.pull(&["garbled"], &mut shelf());
    assert!(matches!(outcome.failed[0].1, PullError::Convert { .. }), "{:?}", outcome.failed);
    assert_eq!(rig.contents().0, Vec::<String>::new());
}

#[test]
fn a_full_disk_says_so() {
    let full = PullError::io("models/x")(io::ErrorKind::StorageFull.into());
    assert!(full.to_string().contains("full"), "{full}");
    let full = archive::unpack_error(Path::new("a.whl"), Path::new("x"), io::ErrorKind::StorageFull.into());
    assert!(matches!(full, PullError::DiskFull { .. }), "{full}");
    let other = archive::unpack_error(Path::new("a.whl"), Path::new("x"), io::ErrorKind::InvalidData.into());
    assert!(matches!(other, PullError::Archive { .. }), "{other}");
}

#[test]
fn package_specifications_are_those_of_their_clients() {
    let manifest = manifest();
    let specs: HashMap<_, _> = ["one", "@music/three"].map(|key| (key, manifest.package(key).unwrap().spec())).into();
    assert_eq!((specs["one"].as_str(), specs["@music/three"].as_str()), ("one==1.0", "@music/three@1.0"));
}
