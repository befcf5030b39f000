use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

/// A command that stands in for `pip`, running `script` with `$dest` set to what follows `--dest`.
fn fake_pip(folder: &TempDir, script: &str) -> String {
    let path = folder.path().join("pip");
    let head = "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nfor word in \"$@\"; do\n\
                [ \"$last\" = --dest ] && dest=$word; last=$word; done\n";
    fs::write(&path, format!("{head}{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().into()
}

fn package(registry: Registry) -> Package {
    let (name, version) = ("words".into(), "1.0".into());
    Package { registry, name, version, size: 5, platform: Some("any".into()) }
}

fn fetch(script: &str) -> Result<(String, Vec<u64>), PullError> {
    let (tools, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let pip = fake_pip(&tools, script);
    let mut seen = Vec::new();
    let mut clients = Clients::new(&[&["/nowhere/pip"], &[&pip]], &[]);
    let archive = clients.fetch(&package(Registry::Pip), folder.path(), &mut |bytes| seen.push(bytes))?;
    Ok((fs::read_to_string(archive).unwrap(), seen))
}

#[test]
fn pip_is_asked_for_one_wheel_and_nothing_else() {
    let (arguments, seen) = fetch("printf '%s ' \"$@\" > \"$dest/words.whl\"").unwrap();
    for argument in ["download", "--no-deps", "--only-binary=:all:", "--platform any", "words==1.0"] {
        assert!(arguments.contains(argument), "{argument} is not in {arguments}");
    }
    assert_eq!(seen.last(), Some(&5));
}

#[test]
fn temporary_files_of_a_client_are_in_its_folder() {
    let (temporary, _) = fetch("printf %s \"$TMPDIR\" > \"$dest/words.whl\"").unwrap();
    assert!(temporary.ends_with("tmp"), "{temporary}");
}

#[test]
fn a_clients_error_is_passed_on() {
    let error = fetch("echo 'ERROR: no matching distribution' >&2; echo hint; exit 1").unwrap_err().to_string();
    assert!(error.contains("no matching distribution") && error.contains("words==1.0"), "{error}");
    let error = fetch("exit 3").unwrap_err().to_string();
    assert!(error.contains('3'), "{error}");
    let error = fetch("exit 0").unwrap_err().to_string();
    assert!(error.contains("no archive"), "{error}");
}

#[test]
fn a_clients_full_disk_is_told_apart() {
    let error = fetch("echo 'OSError: [Errno 28] No space left on device' >&2; exit 2").unwrap_err();
    assert!(matches!(error, PullError::DiskFull { .. }), "{error}");
}

#[test]
fn a_missing_client_is_named() {
    let folder = TempDir::new().unwrap();
    let mut clients = Clients::new(&[&["/nowhere/pip"], &["/nowhere/python", "-m", "pip"]], &[&["/nowhere/npm"]]);
    let error = clients.fetch(&package(Registry::Pip), folder.path(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("Python's pip") && error.contains("/nowhere/python -m pip"), "{error}");
    let error = clients.fetch(&package(Registry::Npm), folder.path(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("npm"), "{error}");
}
