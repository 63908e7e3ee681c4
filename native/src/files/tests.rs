//! Files are written whole or not at all.

use super::*;
use anyhow::bail;
use tempfile::tempdir;

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_and_nothing_else_is_left() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.txt");
    write_atomic(&path, b"one").unwrap();
    write_atomic(&path, b"two").unwrap();
    assert_eq!(read(&path).unwrap(), b"two");
    assert_eq!(entries(dir.path()), ["a.txt"]);
}

#[cfg(unix)]
#[test]
fn a_file_has_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    fs::write(dir.path().join("plain"), b"").unwrap();
    write_atomic(&dir.path().join("ours"), b"").unwrap();
    assert_eq!(mode("ours"), mode("plain"));
}

#[test]
fn errors_name_the_path_and_the_way_out() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("no/a.txt");
    let write = format!("{:#}", write_atomic(&missing, b"").unwrap_err());
    assert!(write.starts_with(&format!("cannot write {}", missing.display())), "{write}");
    assert!(write.contains("create the directory") && write.contains("os error 2"), "{write}");
    let read = format!("{:#}", read(&missing).unwrap_err());
    assert!(read.starts_with(&format!("cannot read {} (check the path)", missing.display())), "{read}");
    let onto = format!("{:#}", write_atomic(dir.path(), b"").unwrap_err());
    assert!(onto.contains("it is a directory; name a file"), "{onto}");
    assert_eq!(entries(dir.path()), [""; 0]);
}

#[test]
fn a_directory_is_made_and_proved_writable() {
    let dir = tempdir().unwrap();
    let deep = dir.path().join("a/b");
    ensure_writable_dir(&deep).unwrap();
    assert_eq!(entries(&deep), [""; 0]);
    fs::write(dir.path().join("file"), b"").unwrap();
    for taken in ["file", "file/below"] {
        let error = format!("{:#}", ensure_writable_dir(&dir.path().join(taken)).unwrap_err());
        assert!(error.contains("a file stands where a directory is needed"), "{error}");
    }
}

#[test]
fn a_directory_is_replaced_whole() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("lap");
    for name in ["one", "two"] {
        replace_dir(&path, |at| write_atomic(&at.join(name), name.as_bytes())).unwrap();
        assert_eq!(entries(&path), [name]);
    }
    assert_eq!(entries(dir.path()), ["lap"]);
}

#[test]
fn leftovers_are_cleared_but_for_what_was_set_aside() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    ["lap", ".tmp-half", ".tmp-aside/old"].iter().for_each(|name| fs::create_dir_all(at(name)).unwrap());
    [".tmp-1", ".tmp-half/x", ".lock", "tmp-mine"].iter().for_each(|name| fs::write(at(name), b"").unwrap());
    clear_leftovers(dir.path()).unwrap();
    assert_eq!(entries(dir.path()), [".lock", ".tmp-aside", "lap", "tmp-mine"]);
    clear_leftovers(&at("not there")).unwrap();
    empty_dir(dir.path()).unwrap();
    assert_eq!(entries(dir.path()), [""; 0]);
}

#[test]
fn a_file_is_not_replaced_by_a_directory() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("lap");
    fs::write(&path, b"mine").unwrap();
    let error = format!("{:#}", replace_dir(&path, |_| Ok(())).unwrap_err());
    assert!(error.contains("a file stands where a directory is needed"), "{error}");
    assert_eq!((entries(dir.path()), read(&path).unwrap()), (vec!["lap".into()], b"mine".into()));
}

#[test]
fn a_failed_fill_leaves_the_old_directory() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("lap");
    replace_dir(&path, |at| write_atomic(&at.join("old"), b"")).unwrap();
    let error = replace_dir(&path, |at| {
        write_atomic(&at.join("new"), b"")?;
        bail!("interrupted")
    });
    assert_eq!(error.unwrap_err().to_string(), "interrupted");
    assert_eq!((entries(dir.path()), entries(&path)), (vec!["lap".into()], vec!["old".into()]));
}

#[test]
fn a_swap_that_fails_puts_the_old_directory_back() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("lap");
    replace_dir(&path, |at| write_atomic(&at.join("old"), b"")).unwrap();
    assert!(swap(&dir.path().join("nothing here"), &path).is_err());
    assert_eq!((entries(dir.path()), entries(&path)), (vec!["lap".into()], vec!["old".into()]));
}
