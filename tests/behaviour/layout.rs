//! The floors of the architecture: imports run downward only, never up and never sideways.

use std::{fs, path::Path};

const FLOORS: [&[&str]; 7] = [
    &["worker", "audio", "emotion", "kernels", "onnx"],
    &["hearing", "memory", "brain", "voice", "avatar", "models"],
    &["dialogue"],
    &["gateway", "script"],
    &["config"],
    &["CompanionPlugins", "prelude"],
    &["app", "testing"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules named after `crate::` in a source, one level deep, groups included.
fn imports(source: &str) -> Vec<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            named.push(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned());
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
            if c == ',' && depth == 0 {
                named.push(std::mem::take(&mut item));
            } else {
                item.push(c);
            }
        }
        named.push(item);
    }
    let first =
        |item: &String| item.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
    named.iter().map(first).filter(|module| !module.is_empty()).collect()
}

#[test]
fn imports_run_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap().with_extension("");
        let own = inside.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let Some(own_floor) = floor(&own) else { continue };
        for module in imports(&fs::read_to_string(&file).unwrap()) {
            let Some(floor) = floor(&module) else { continue };
            if module != own && floor >= own_floor {
                wrong.push(format!("{} (floor {own_floor}) imports {module} (floor {floor})", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn groups_and_paths_are_both_seen() {
    let source =
        "use crate::{\n    audio::{Pcm, x::{y}},\n    worker::Turn,\n};\nlet a = crate::brain::f();\n// crate::voice\n";
    assert_eq!(imports(source), ["audio", "worker", "brain"]);
}
