//! The index: the same answers as a scan, built in the background, and never in the way.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const DIMENSIONS: usize = 48;

/// Texts are numbers of vectors around so many centres, as sentences are around topics.
struct Clusters(Vec<Vec<f32>>);

impl Clusters {
    fn new(count: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(7);
        let mut gauss = move || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let centres: Vec<Vec<f32>> = (0..60).map(|_| (0..DIMENSIONS).map(|_| gauss()).collect()).collect();
        let vector = |at: usize| {
            let mut vector: Vec<f32> = centres[at % 60].iter().map(|value| value + 0.6 * gauss()).collect();
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|value| *value /= length);
            vector
        };
        Self((0..count).map(vector).collect())
    }
}

impl Embed for Clusters {
    fn name(&self) -> &str {
        "clusters"
    }
    fn dimensions(&self) -> usize {
        DIMENSIONS
    }
    fn passage(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        Ok(self.0[text.parse::<usize>().unwrap()].clone())
    }
    fn query(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        self.passage(text)
    }
}

fn ids(store: &Store, embedder: &dyn Embed, query: &str) -> Vec<MemoryId> {
    let vector = embedder.query(query).unwrap();
    let search = Search { owner: "Aya", vector: &vector, limit: 10, before: None, ranking: ANYTHING, now: NOW };
    store.search(embedder, &search).unwrap().into_iter().map(|memory| memory.id).collect()
}

#[test]
fn the_index_finds_what_a_scan_finds() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = Clusters::new(4_000);
    let store = open(folder.path());
    for number in 0..3_500 {
        remember(&store, &embedder, "Aya", &number.to_string(), number);
    }
    let queries: Vec<String> = (0..3_500).step_by(70).map(|number| number.to_string()).collect();
    let exact: Vec<_> = queries.iter().map(|query| ids(&store, &embedder, query)).collect();

    store.build_index("Aya").unwrap();
    assert_eq!(store.indexed("Aya").unwrap(), 3_500);
    let mut hits = 0;
    for (query, exact) in queries.iter().zip(&exact) {
        let found = ids(&store, &embedder, query);
        assert_eq!(found[0], exact[0], "the query itself is the nearest");
        hits += found.iter().filter(|id| exact.contains(id)).count();
    }
    let recall = hits as f32 / (10 * queries.len()) as f32;
    println!("recall {recall}");
    assert!(recall >= 0.95, "recall {recall}");

    // What came after the index, and what has gone since.
    for number in 3_500..4_000 {
        remember(&store, &embedder, "Aya", &number.to_string(), number);
    }
    assert_eq!(ids(&store, &embedder, "3900")[0], MemoryId(3_901));
    assert_eq!(ids(&store, &embedder, "70")[0], MemoryId(71));
    assert!(store.forget(MemoryId(71)).unwrap());
    assert!(!ids(&store, &embedder, "70").contains(&MemoryId(71)));
    store.build_index("Aya").unwrap();
    assert_eq!(store.indexed("Aya").unwrap(), 3_999);
    assert!(!ids(&store, &embedder, "70").contains(&MemoryId(71)));
    assert_eq!(ids(&store, &embedder, "3900")[0], MemoryId(3_901));
}

#[test]
fn a_long_tail_is_indexed_in_the_background_while_memory_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = Clusters::new(3_000);
    let store = Store::open(folder.path(), 1_000).unwrap();
    for number in 0..2_000 {
        remember(&store, &embedder, "Aya", &number.to_string(), number);
    }
    assert_eq!(store.indexed("Aya").unwrap(), 0);
    // The search that had to scan so many starts it, and what is said meanwhile is remembered meanwhile.
    let mut number = 2_000;
    while store.indexed("Aya").unwrap() == 0 && number < 3_000 {
        assert_eq!(ids(&store, &embedder, "5")[0], MemoryId(6));
        remember(&store, &embedder, "Aya", &number.to_string(), number);
        number += 1;
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(store.indexed("Aya").unwrap() >= 2_000, "not indexed while {number} were remembered");
    assert_eq!(ids(&store, &embedder, &(number - 1).to_string())[0], MemoryId(number as u32));
}

#[test]
fn a_store_is_closed_while_its_index_is_being_built() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = Clusters::new(2_000);
    let store = Store::open(folder.path(), 1_000).unwrap();
    for number in 0..2_000 {
        remember(&store, &embedder, "Aya", &number.to_string(), number);
    }
    ids(&store, &embedder, "5");
    drop(store);
    let store = Store::open(folder.path(), 1_000).unwrap();
    assert_eq!(ids(&store, &embedder, "5")[0], MemoryId(6));
}
