//! The whole front end on the real dictionaries.

use super::*;

fn folder() -> std::path::PathBuf {
    let models = std::env::var_os("COMPANION_MODELS").expect("set COMPANION_MODELS to the models folder");
    Path::new(&models).join("pinyin")
}

#[test]
fn timing() {
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let s = segmenter();
        eprintln!("jieba {:?}", t.elapsed());
        drop(s);
        let t = std::time::Instant::now();
        let s = Dictionary::load(&folder()).unwrap();
        eprintln!("dict {:?}", t.elapsed());
        drop(s);
        let t = std::time::Instant::now();
        let m = Mandarin::load(&folder()).unwrap();
        eprintln!("all {:?}", t.elapsed());
        let t = std::time::Instant::now();
        let p = m.phonemes("我们去银行，看看长大的女儿，嗯，一点儿也不好！花儿哪儿“好”");
        eprintln!("{p} {:?}", t.elapsed());
    }
}

#[test]
fn dump() {
    let m = Mandarin::load(&folder()).unwrap();
    let input = std::fs::read_to_string(std::env::var("ZH_IN").unwrap()).unwrap();
    let mut out = String::new();
    for line in input.lines() {
        let mut words = Vec::new();
        m.speak(line, |part| {
            if let Part::Clause(ws) = part {
                words.extend(ws.iter().map(|w| format!("{}/{}", w.text, w.tag)))
            }
        });
        out += &format!("{line}\t{}\t{}\t{}\n", m.pinyin(line), m.phonemes(line), words.join(" "));
    }
    std::fs::write(std::env::var("ZH_OUT").unwrap(), out).unwrap();
}
