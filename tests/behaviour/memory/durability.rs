//! What happens to a store when the process, the disk or another process does something to it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::*;

/// `companion memory add -`, which acknowledges a line after the other.
struct Adding {
    child: Child,
    lines: ChildStdin,
    acknowledged: BufReader<ChildStdout>,
}

impl Adding {
    fn start(store: &Path, owner: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_companion"))
            .args(["memory", "--owner", owner, "--store"])
            .arg(store)
            .args(["add", "-"])
            .env("COMPANION_MODELS", model().parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, acknowledged) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, lines, acknowledged }
    }

    fn send(&mut self, text: &str) {
        writeln!(self.lines, "{text}").unwrap();
    }

    fn acknowledgement(&mut self) -> MemoryId {
        let mut line = String::new();
        self.acknowledged.read_line(&mut line).unwrap();
        MemoryId(
            line.trim().rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("acknowledged with {line:?}")),
        )
    }
}

#[test]
fn what_is_acknowledged_survives_the_death_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for round in 0..3 {
        let mut adding = Adding::start(folder.path(), "Aya");
        // More than are waited for, so that it dies while it is writing.
        for number in 0..40 {
            adding.send(&format!("round {round}, fact {number}"));
        }
        for number in 0..15 {
            kept.push((adding.acknowledgement(), format!("round {round}, fact {number}")));
        }
        adding.child.kill().unwrap();
        adding.child.wait().unwrap();

        let memories = open(folder.path()).list(None, 0, usize::MAX).unwrap();
        for (id, text) in &kept {
            let memory = memories.iter().find(|memory| memory.id == *id);
            assert_eq!(memory.map(|memory| &memory.text), Some(text), "round {round}");
        }
    }
    let (store, embedder) = (open(folder.path()), e5());
    let found = search(&store, &embedder, "Aya", "round 2, fact 3", ANYTHING);
    assert!(found.iter().any(|memory| memory.text == "round 2, fact 3"), "{found:?}");
}

#[test]
fn two_processes_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = e5();
    let store = open(folder.path());
    let mut adding = Adding::start(folder.path(), "Aya");
    let mut ids = Vec::new();
    for number in 0..20 {
        adding.send(&format!("a line from the command line, number {number}"));
        ids.push(remember(&store, &embedder, "Aya", &format!("a sentence from the window, number {number}"), number));
        ids.push(adding.acknowledgement());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40, "every memory has a number of its own");
    assert_eq!(store.count(Some("Aya")).unwrap(), 40);
    let found = search(&store, &embedder, "Aya", "a line from the command line, number 7", ANYTHING);
    assert_eq!(found[0].text, "a line from the command line, number 7");
    drop(adding.lines);
    assert!(adding.child.wait().unwrap().success());
}

#[test]
fn a_store_outgrows_its_first_map_and_another_user_of_it_notices() {
    let folder = tempfile::tempdir().unwrap();
    let (store, embedder) = (open(folder.path()), NGrams { dimensions: 4 });
    let mut adding = Adding::start(&folder.path().join("other"), "Aya");
    adding.send("it is ready");
    adding.acknowledgement();
    // 100 texts of a megabyte: more than the first map holds.
    let text = "x".repeat(1 << 20);
    for number in 0..100 {
        let text = format!("{number} {text}");
        store.remember(&embedder, "Aya", Speaker::Note, &text, number, &[1.0, 0.0, 0.0, 0.0]).unwrap();
    }
    assert_eq!(store.count(None).unwrap(), 100);
    drop(store);
    assert_eq!(open(folder.path()).list(None, 99, 1).unwrap()[0].text.len(), text.len() + 2);
}

#[test]
fn a_damaged_store_is_an_error_and_not_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.mdb");
    let embedder = NGrams::default();
    for number in 0..400 {
        remember(&open(folder.path()), &embedder, "Aya", &format!("fact number {number}"), number);
    }
    let whole = fs::read(&data).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&data, bytes).unwrap();
        let error = Store::open(folder.path(), 10_000).err().expect("a damaged store is not opened");
        assert!(matches!(error, MemoryError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("restore it from a copy"), "{error}");
    };
    refused(b"this is not a database");
    refused(&[0; 8192]);
    refused(&vec![0xff; whole.len()]);
    refused(&whole[..whole.len() / 2]);
    refused(&whole[..8192]);

    // Put back, everything is there.
    fs::write(&data, &whole).unwrap();
    assert_eq!(open(folder.path()).count(None).unwrap(), 400);
}

#[test]
fn a_damaged_index_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = NGrams::default();
    let store = open(folder.path());
    for number in 0..300 {
        remember(&store, &embedder, "Aya", &format!("fact number {number}"), number);
    }
    store.build_index("Aya").unwrap();
    assert_eq!(store.indexed("Aya").unwrap(), 300);
    drop(store);
    fs::write(folder.path().join("index/data.mdb"), b"this is not a database").unwrap();
    let store = open(folder.path());
    assert_eq!(store.indexed("Aya").unwrap(), 0);
    assert_eq!(search(&store, &embedder, "Aya", "fact number 250", ANYTHING)[0].text, "fact number 250");
    store.build_index("Aya").unwrap();
    assert_eq!(store.indexed("Aya").unwrap(), 300);
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let data = folder.path().join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    let at = bytes.windows(7).rposition(|window| window == b"format1").expect("the format is stored");
    bytes[at + 6] = b'9';
    fs::write(&data, bytes).unwrap();
    let error = Store::open(folder.path(), 10_000).err().expect("a newer format is not opened");
    assert!(matches!(error, MemoryError::Format { found: 9, known: 1, .. }), "{error}");
}

#[test]
fn a_store_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(&file.path().join("memory"), 10_000).err().expect("a file is no folder").to_string();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
}
