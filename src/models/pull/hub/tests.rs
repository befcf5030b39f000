use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::*;
use crate::models::manifest::Hub;

const CONTENT: &[u8] = b"a song of ice and fire";
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub with one file on this machine. It remembers the ranges it was asked for.
struct FakeHub {
    endpoint: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl FakeHub {
    /// Serves [`CONTENT`] and breaks the connection off after `breaks` bytes each time.
    fn new(breaks: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let ranges = Arc::<Mutex<Vec<_>>>::default();
        let asked = ranges.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve(stream, breaks, &asked)));
        Self { endpoint, ranges }
    }

    fn fetch(&self, file: &str, sha256: &str, scratch: &TempDir) -> Result<HubFile, HubError> {
        let hub = Hub { repo: "nobody/songs".into(), revision: Some("abc".into()) };
        let request = HubRequest { hub: &hub, file, size: None, sha256: Some(sha256) };
        HubClient::at(&self.endpoint, PATIENCE).fetch(request, scratch.path(), &mut |_| ())
    }

    fn asked(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, breaks: usize, ranges: &Mutex<Vec<String>>) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let range = head.iter().find_map(|line| Some(line.to_lowercase().strip_prefix("range: bytes=")?.to_owned()));
    let range = range.unwrap_or_default();
    ranges.lock().unwrap().push(range.clone());
    if !head[0].contains("/nobody/songs/resolve/abc/song.bin ") {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    let (from, to) = range.split_once('-').unwrap();
    let from: usize = from.parse().unwrap();
    let to = to.parse().map_or(CONTENT.len(), |last: usize| last + 1);
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\n\
         ETag: \"{}\"\r\nX-Repo-Commit: abc\r\nConnection: close\r\n\r\n",
        to - from,
        to - 1,
        CONTENT.len(),
        digest::of_bytes(CONTENT),
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&CONTENT[from..to.min(from.saturating_add(breaks))]);
}

#[test]
fn a_file_is_fetched_and_named_by_its_hash() {
    let (hub, scratch) = (FakeHub::new(usize::MAX), TempDir::new().unwrap());
    let file = hub.fetch("song.bin", &digest::of_bytes(CONTENT), &scratch).unwrap();
    assert_eq!(std::fs::read(&file.path).unwrap(), CONTENT);
    assert_eq!(file.sha256, Some(digest::of_bytes(CONTENT)));
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let (hub, scratch) = (FakeHub::new(8), TempDir::new().unwrap());
    let file = hub.fetch("song.bin", &digest::of_bytes(CONTENT), &scratch).unwrap();
    assert_eq!(std::fs::read(&file.path).unwrap(), CONTENT);
    let parts: Vec<_> = hub.asked().into_iter().filter(|range| range.ends_with('-')).collect();
    assert_eq!(parts, ["0-", "8-", "16-"]);
}

#[test]
fn an_interrupted_transfer_is_gone_on_with_later() {
    let (hub, scratch) = (FakeHub::new(3), TempDir::new().unwrap());
    let hash = digest::of_bytes(CONTENT);
    let error = hub.fetch("song.bin", &hash, &scratch).unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
    let hub = FakeHub::new(usize::MAX);
    assert_eq!(std::fs::read(hub.fetch("song.bin", &hash, &scratch).unwrap().path).unwrap(), CONTENT);
    assert!(hub.asked().contains(&"9-".into()), "{:?}", hub.asked());
}

#[test]
fn a_file_of_other_bytes_is_not_downloaded() {
    let (hub, scratch) = (FakeHub::new(usize::MAX), TempDir::new().unwrap());
    let error = hub.fetch("song.bin", &digest::of_bytes(b"another song"), &scratch).unwrap_err();
    assert!(matches!(error, HubError::Different { .. }), "{error}");
    assert!(hub.asked().iter().all(|range| range == "0-0"), "{:?}", hub.asked());
}

#[test]
fn a_missing_file_is_refused() {
    let (hub, scratch) = (FakeHub::new(usize::MAX), TempDir::new().unwrap());
    let error = hub.fetch("other.bin", &digest::of_bytes(CONTENT), &scratch).unwrap_err();
    assert!(matches!(&error, HubError::Refused(reason) if reason.contains("404")), "{error}");
}

#[test]
fn an_unreachable_hub_is_asked_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (hub, scratch) = (Hub { repo: "nobody/songs".into(), revision: None }, TempDir::new().unwrap());
    let request = HubRequest { hub: &hub, file: "song.bin", size: None, sha256: None };
    let mut client = HubClient::at(&endpoint, PATIENCE);
    assert!(matches!(client.fetch(request.clone(), scratch.path(), &mut |_| ()), Err(HubError::Unreachable(_))));
    // Now it would answer, but it is not asked again.
    client.endpoint = Some(FakeHub::new(usize::MAX).endpoint);
    assert!(matches!(client.fetch(request, scratch.path(), &mut |_| ()), Err(HubError::Unreachable(_))));
}

#[test]
fn a_silent_hub_is_given_up() {
    // It accepts connections and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (hub, scratch) = (Hub { repo: "nobody/songs".into(), revision: None }, TempDir::new().unwrap());
    let request = HubRequest { hub: &hub, file: "song.bin", size: None, sha256: None };
    let fetched = HubClient::at(&endpoint, Duration::from_millis(50)).fetch(request, scratch.path(), &mut |_| ());
    assert!(matches!(fetched, Err(HubError::Unreachable(_))));
}
