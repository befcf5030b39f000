use std::fs;

use tempfile::TempDir;

use super::*;

const MANIFEST: &str = r#"
version = 1
[packages]
"words" = { registry = "pip", version = "1.0", size = 10 }
[[model]]
name = "echo"
title = "Echo"
role = "brain"
licence = "MIT"
hub = { repo = "nobody/echo" }
[[model.files]]
path = "model.bin"
size = 3
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
from = ["words:words/model.bin"]
"#;

#[test]
fn the_manifest_of_the_program_is_sound() {
    let manifest = Manifest::embedded();
    for model in manifest.models().filter(|model| model.starter || model.tests) {
        assert!(model.size().is_some(), "{}: every byte that is fetched without a hub is known beforehand", model.name);
        assert!(model.files.iter().all(|file| !file.from.is_empty()), "{} needs the hub", model.name);
    }
    if host() == "linux-x86_64" {
        let needed = ["qwen2.5-coder-0.5b", "whisper-base", "kokoro-82m", "silero-vad", "e5-small", "onnxruntime"];
        assert!(needed.iter().all(|name| starter().contains(name)), "{:?}", starter());
        assert_eq!(
            manifest.get("kokoro-82m").unwrap().kept().filter(|file| file.path.starts_with("voices/")).count(),
            54
        );
    }
}

#[test]
fn an_unsound_manifest_is_refused_with_its_fault() {
    assert!(Manifest::parse(MANIFEST).is_ok());
    for (sound, unsound, fault) in [
        ("version = 1", "version = 9", "version 9"),
        ("role = \"brain\"", "role = \"cook\"", "unknown variant `cook`"),
        ("licence", "license", "unknown field `license`"),
        ("\"echo\"", "\"../echo\"", "plain folder name"),
        ("\"echo\"", "\".pull\"", "plain folder name"),
        ("\"model.bin\"", "\"../model.bin\"", "leaves the model's folder"),
        ("\"model.bin\"", "\"/etc/passwd\"", "leaves the model's folder"),
        ("\"model.bin\"", "\"C:model.bin\"", "leaves the model's folder"),
        ("\"model.bin\"", "\"raw/model.bin\"", "need each other"),
        ("ba7816bf", "BA7816BF", "64 digits"),
        ("ba7816bf", "ba7816", "64 digits"),
        ("size = 3\n", "", "needs its size"),
        ("words:words/model.bin", "words/model.bin", "package:member"),
        ("words:words/model.bin", "others:model.bin", "`others` is not listed"),
        ("words:words/model.bin", "words:../model.bin", "leaves its archive"),
        ("from = [\"words:words/model.bin\"]", "", "no source"),
        ("hub = { repo = \"nobody/echo\" }", "convert = \"magic\"", "unknown variant `magic`"),
    ] {
        let text = MANIFEST.replacen(sound, unsound, 1);
        assert_ne!(text, MANIFEST, "{sound} is not in the manifest");
        let error = Manifest::parse(&text).expect_err(unsound).to_string();
        assert!(error.contains(fault), "{unsound}: {error}");
    }
    let twice = format!("{MANIFEST}{}", &MANIFEST[MANIFEST.find("[[model]]").unwrap()..]);
    assert!(Manifest::parse(&twice).unwrap_err().to_string().contains("listed twice"));
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    let error = Manifest::embedded().get("whisper-bse").unwrap_err();
    assert!(error.to_string().contains("did you mean whisper-base"), "{error}");
    let error = Manifest::embedded().get("Kokoro").unwrap_err();
    assert!(error.to_string().contains("kokoro-82m"), "{error}");
    let error = Manifest::embedded().get("?").unwrap_err();
    assert!(!error.to_string().contains("did you mean"), "{error}");
}

#[test]
fn a_model_for_another_platform_is_told_from_an_unknown_one() {
    let text = MANIFEST.replace("role =", "target = \"amiga-m68k\"\nrole =");
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.models().count(), 0);
    assert!(matches!(manifest.get("echo"), Err(ModelError::Platform { .. })));
}

#[test]
fn a_folder_is_judged_by_its_files_and_its_record() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let root = TempDir::new().unwrap();
    let folder = ModelFolder::new(root.path(), &manifest);
    let model = manifest.get("echo").unwrap();
    let error = folder.locate("echo").unwrap_err().to_string();
    assert!(error.contains("run `companion models pull echo`"), "{error}");

    let place = folder.path(model);
    fs::create_dir(&place).unwrap();
    fs::write(place.join("model.bin"), "ab").unwrap();
    assert_eq!(folder.state(model), State::Missing, "a file of another size is not the model's");
    fs::write(place.join("model.bin"), "abc").unwrap();
    assert_eq!(folder.state(model), State::Installed { bytes: 3 }, "put there by hand");
    assert_eq!(folder.locate("echo").unwrap(), place);

    let sha256 = digest::of_bytes(b"abc");
    let files = vec![InstalledFile { path: "model.bin".into(), size: 3, sha256 }];
    let damaged = Vec::new();
    Installed { manifest: model.digest(), damaged: damaged.clone(), files: files.clone() }.write(&place).unwrap();
    assert_eq!(folder.state(model), State::Installed { bytes: 3 });
    fs::write(place.join("model.bin"), "abcd").unwrap();
    assert!(matches!(folder.locate("echo"), Err(ModelError::Damaged { .. })));
    Installed { manifest: "older".into(), damaged, files }.write(&place).unwrap();
    assert!(matches!(folder.locate("echo"), Err(ModelError::Outdated { .. })));
}

#[test]
fn verifying_reads_every_byte() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let root = TempDir::new().unwrap();
    let folder = ModelFolder::new(root.path(), &manifest);
    let model = manifest.get("echo").unwrap();
    fs::create_dir(folder.path(model)).unwrap();
    let fault_of = |content: &str| {
        fs::write(folder.path(model).join("model.bin"), content).unwrap();
        folder.verify(model, &mut |_| ())[0].fault.clone()
    };
    assert_eq!(fault_of("abc"), None);
    assert_eq!(fault_of("abcd"), Some(Fault::Size { expected: 3, found: 4 }));
    assert!(matches!(fault_of("abd"), Some(Fault::Hash { .. })));
    assert!(matches!(folder.locate("echo"), Err(ModelError::Damaged { .. })), "what was found is remembered");
    fs::remove_file(folder.path(model).join("model.bin")).unwrap();
    assert!(matches!(folder.verify(model, &mut |_| ())[0].fault, Some(Fault::Unreadable(_))));
}
