//! Memory on disk and on the real embedding model: what is acknowledged is kept, what is relevant is found.

#[path = "memory/durability.rs"]
mod durability;
#[path = "memory/embedding.rs"]
mod embedding;
#[path = "memory/index.rs"]
mod index;

use std::path::{Path, PathBuf};

use bevy_companion::{
    memory::{
        LongTerm, Memory, MemoryConfig, MemoryEngine, MemoryError, MemoryId, MemoryReply, MemoryRequest, Speaker,
        embedder::{Embed, EmbedderConfig, TextEmbedder},
        ranking::Ranking,
        scripted::NGrams,
        store::{Search, Store},
    },
    models::models_dir,
    worker::{Engine, Turn},
};

const NOW: i64 = 1_800_000_000;
const ANYTHING: Ranking = Ranking { min_score: -1.0, recency: 0.0, half_life_days: 1.0 };

fn model() -> PathBuf {
    let path = models_dir().join("e5-small");
    assert!(path.join("config.json").exists(), "{} is missing: run `companion models pull e5-small`", path.display());
    path
}

fn e5() -> TextEmbedder {
    TextEmbedder::load(&model(), &EmbedderConfig::default()).unwrap()
}

fn open(path: &Path) -> Store {
    Store::open(path, 10_000).unwrap()
}

fn remember(store: &Store, embedder: &dyn Embed, owner: &str, text: &str, at: i64) -> MemoryId {
    store.remember(embedder, owner, Speaker::User, text, at, &embedder.passage(text).unwrap()).unwrap()
}

fn search(store: &Store, embedder: &dyn Embed, owner: &str, query: &str, ranking: Ranking) -> Vec<Memory> {
    let vector = embedder.query(query).unwrap();
    let search = Search { owner, vector: &vector, limit: 5, before: None, ranking, now: NOW };
    store.search(embedder, &search).unwrap()
}

fn texts(memories: &[Memory]) -> Vec<&str> {
    memories.iter().map(|memory| memory.text.as_str()).collect()
}

fn ask(engine: &mut impl Engine<LongTerm>, request: MemoryRequest) -> MemoryReply {
    let (turn, replies) = Turn::detached();
    engine.serve(request, &turn).unwrap();
    replies.drain().next().expect("every request is answered")
}

#[test]
fn an_engine_remembers_recalls_and_forgets_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let load = || {
        let ranking = Ranking { min_score: 0.3, ..Ranking::default() };
        MemoryEngine::new(Box::new(NGrams::default()), open(folder.path()), ranking).unwrap()
    };
    let mut engine = load();
    let said =
        |text: &str, at| MemoryRequest::Remember { owner: "Aya".into(), speaker: Speaker::User, text: text.into(), at };
    assert_eq!(ask(&mut engine, said("My cat is called Mochi", 10)), MemoryReply::Remembered(MemoryId(1)));
    assert_eq!(ask(&mut engine, said("I like green tea", 20)), MemoryReply::Remembered(MemoryId(2)));
    drop(engine);

    let mut engine = load();
    let recall = |before| MemoryRequest::Recall {
        owner: "Aya".into(),
        query: "what is my cat called?".into(),
        limit: 3,
        before,
    };
    let MemoryReply::Recollections(found) = ask(&mut engine, recall(None)) else { panic!("not recollections") };
    assert_eq!(texts(&found), ["My cat is called Mochi"]);
    assert_eq!((found[0].id, found[0].at, found[0].speaker), (MemoryId(1), 10, Speaker::User));
    assert_eq!(ask(&mut engine, recall(Some(10))), MemoryReply::Recollections(Vec::new()), "it is of this session");

    assert_eq!(ask(&mut engine, MemoryRequest::Forget(MemoryId(1))), MemoryReply::Forgotten(true));
    assert_eq!(ask(&mut engine, MemoryRequest::Forget(MemoryId(1))), MemoryReply::Forgotten(false));
    drop(engine);
    let mut engine = load();
    assert_eq!(ask(&mut engine, recall(None)), MemoryReply::Recollections(Vec::new()));
    assert_eq!(ask(&mut engine, said("I like black tea", 30)), MemoryReply::Remembered(MemoryId(3)), "1 is not reused");
}

#[test]
fn two_owners_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, embedder) = (open(folder.path()), NGrams::default());
    remember(&store, &embedder, "Aya", "my password is swordfish", 1);
    remember(&store, &embedder, "Bo", "my password is hunter2", 2);
    // A name longer than LMDB's longest key, and none.
    let long = "x".repeat(2000);
    remember(&store, &embedder, &long, "my password is long", 3);
    remember(&store, &embedder, "", "my password is nameless", 4);
    for (owner, text) in [
        ("Aya", "my password is swordfish"),
        ("Bo", "my password is hunter2"),
        (&long, "my password is long"),
        ("", "my password is nameless"),
    ] {
        assert_eq!(texts(&search(&store, &embedder, owner, "password", ANYTHING)), [text]);
        assert_eq!(texts(&store.list(Some(owner), 0, 9).unwrap()), [text]);
    }
    assert!(search(&store, &embedder, "nobody", "password", ANYTHING).is_empty());
    assert_eq!(store.owners().unwrap(), ["Aya", "Bo", &long, ""]);
    assert_eq!(store.forget_all(Some("Bo")).unwrap(), 1);
    assert!(search(&store, &embedder, "Bo", "password", ANYTHING).is_empty());
    assert_eq!(store.count(None).unwrap(), 3);
    assert_eq!(store.forget_all(None).unwrap(), 3);
    assert_eq!(store.count(None).unwrap(), 0);
}

#[test]
fn a_text_that_was_said_often_is_brought_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, embedder) = (open(folder.path()), NGrams::default());
    for at in 0..300 {
        remember(&store, &embedder, "Aya", if at % 2 == 0 { "good morning" } else { "Good  morning " }, at);
    }
    remember(&store, &embedder, "Aya", "good evening", 0);
    let found = search(&store, &embedder, "Aya", "good morning", ANYTHING);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].at, found[1].text.as_str()), (299, "good evening"));
}

#[test]
fn pages_show_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (store, embedder) = (open(folder.path()), NGrams::default());
    for number in 1..=5 {
        remember(&store, &embedder, "Aya", &format!("number {number}"), number);
    }
    assert_eq!(texts(&store.list(None, 0, 2).unwrap()), ["number 5", "number 4"]);
    assert_eq!(texts(&store.list(None, 4, 2).unwrap()), ["number 1"]);
    assert!(store.list(None, 6, 2).unwrap().is_empty());
}

#[test]
fn another_embedder_is_refused_until_everything_is_embedded_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (small, large) = (NGrams { dimensions: 64 }, NGrams { dimensions: 256 });
    for number in 0..200 {
        remember(&store, &small, "Aya", &format!("fact number {number}"), number);
    }
    let error = store.check(&large).unwrap_err();
    assert!(matches!(error, MemoryError::Dimensions { stored: 64, given: 256 }), "{error}");
    assert!(error.to_string().contains("64") && error.to_string().contains("companion memory reindex"), "{error}");
    let vector = large.passage("x").unwrap();
    store.remember(&large, "Aya", Speaker::Note, "x", 0, &vector).expect_err("of another length");

    let mut last = (0, 0);
    store.reindex(&large, &mut |done, all| last = (done, all)).unwrap();
    assert_eq!(last, (200, 200));
    assert_eq!(search(&store, &large, "Aya", "fact number 150", ANYTHING)[0].text, "fact number 150");
    store.check(&small).expect_err("the store is the large one's now");
    assert_eq!(store.count(None).unwrap(), 200);
}

#[test]
fn an_embedder_of_the_same_length_and_another_name_is_refused() {
    struct Renamed(NGrams);
    impl Embed for Renamed {
        fn name(&self) -> &str {
            "another"
        }
        fn dimensions(&self) -> usize {
            self.0.dimensions
        }
        fn passage(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
            self.0.passage(text)
        }
        fn query(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
            self.0.query(text)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    remember(&store, &NGrams::default(), "Aya", "a fact", 0);
    let error = store.check(&Renamed(NGrams::default())).unwrap_err().to_string();
    assert!(error.contains("n-grams") && error.contains("another") && error.contains("reindex"), "{error}");
}

#[test]
fn an_interrupted_reindexing_goes_on_where_it_was() {
    /// Fails after so many texts, as if the power went.
    struct Failing(NGrams, std::cell::Cell<usize>);
    impl Embed for Failing {
        fn name(&self) -> &str {
            "new"
        }
        fn dimensions(&self) -> usize {
            self.0.dimensions
        }
        fn passage(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
            let left = self.1.get().checked_sub(1);
            self.1.set(left.ok_or(MemoryError::Model { path: "model".into(), reason: "out of power".into() })?);
            self.0.passage(text)
        }
        fn query(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
            self.0.query(text)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let old = NGrams { dimensions: 64 };
    for number in 0..300 {
        remember(&store, &old, "Aya", &format!("fact number {number}"), number);
    }
    let new = Failing(NGrams::default(), 200.into());
    store.reindex(&new, &mut |_, _| {}).expect_err("it fails half way");
    // Meanwhile the old vectors serve, and what is remembered or forgotten counts.
    assert_eq!(search(&store, &old, "Aya", "fact number 7", ANYTHING)[0].text, "fact number 7");
    remember(&store, &old, "Aya", "the newest fact", 300);
    assert!(store.forget(MemoryId(1)).unwrap() && store.forget(MemoryId(300)).unwrap());

    // 192 are done (whole batches), 107 of 299 are left.
    new.1.set(108);
    store.reindex(&new, &mut |_, _| {}).unwrap();
    assert_eq!(search(&store, &new, "Aya", "the newest fact", ANYTHING)[0].text, "the newest fact");
    assert_eq!(store.count(None).unwrap(), 299);
}

#[test]
fn a_configuration_without_a_model_makes_the_worker_unavailable_and_says_what_to_run() {
    use bevy_companion::{memory, worker::WorkerStatus};
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("engine = 'lmdb'\nmodel = '{0}/none'\nstore = '{0}/store'", folder.path().display());
    let worker = memory::worker(&toml::from_str::<MemoryConfig>(&toml).unwrap());
    let reason = loop {
        match worker.status() {
            WorkerStatus::Unavailable(reason) => break reason,
            WorkerStatus::Loading => std::thread::yield_now(),
            WorkerStatus::Ready => panic!("there is no model"),
        }
    };
    assert!(reason.contains("none") && reason.contains("companion models pull e5-small"), "{reason}");
    toml::from_str::<MemoryConfig>("engine = 'lmdb'\npath = 'x'").expect_err("no such option");
}
