//! The HTTP server as a process, and clients that send what a test says when it says it.

use super::support::{DEADLINE, until};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

const SERVER: &str = env!("CARGO_BIN_EXE_http_server");

/// A running server. Dropped, it is killed.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Comes when nobody writes there any more.
    error: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts it on a port that the system chooses, in a process group of its own.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(SERVER)
            .args(["--address", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let error = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let address = line.trim_end().strip_prefix("listening on http://");
        let Some(address) = address else {
            let _ = child.kill();
            panic!("{line:?}: {:?}", error.join());
        };
        Self { child, address: address.parse().unwrap(), error: Some(error) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a whole request and reads the answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut client = self.begin(path, body.len());
        client.send(body);
        client.answer()
    }

    /// A request whose body is still to come, of so many bytes.
    #[track_caller]
    pub fn begin(&self, path: &str, bytes: usize) -> Client {
        self.client(format!("POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n"))
    }

    /// A request whose body comes in chunks.
    #[track_caller]
    pub fn begin_chunked(&self, path: &str) -> Client {
        self.client(format!("POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"))
    }

    #[track_caller]
    pub fn client(&self, head: String) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let mut client = Client(stream);
        client.send(head.as_bytes());
        client
    }

    /// What the server tells of itself.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let head = "GET /status HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        let answer = self.client(head.to_owned()).answer();
        assert_eq!(answer.status, 200);
        answer.json()
    }

    /// Waits until `/status` has this number at this place.
    #[track_caller]
    pub fn until(&self, pointer: &str, number: u64) {
        let what = format!("{pointer} is {number}");
        until(&what, || self.status().pointer(pointer).is_some_and(|there| *there == number));
    }

    /// Ids of its workers.
    #[track_caller]
    pub fn workers(&self) -> Vec<u32> {
        serde_json::from_value(self.status()["workers"].clone()).unwrap()
    }

    /// Sends a signal to the server alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.id()), signal).unwrap();
    }

    /// Sends a signal to the server's process group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(pid(self.id()), signal).unwrap();
    }

    /// Waits until nobody can connect any more.
    #[track_caller]
    pub fn until_closed(&self) {
        until("nobody is let in", || TcpStream::connect(self.address).is_err());
    }

    /// Waits for its end: exit status and standard error.
    #[track_caller]
    pub fn finish(mut self) -> (Option<i32>, String) {
        until("the server has ended", || self.child.try_wait().unwrap().is_some());
        let error = self.error.take().unwrap();
        until("nobody writes errors any more", || error.is_finished());
        (self.child.wait().unwrap().code(), error.join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process with this id.
pub fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().unwrap()).unwrap()
}

/// One connection with one request.
pub struct Client(TcpStream);

impl Client {
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends a chunk; an empty one is the last.
    #[track_caller]
    pub fn send_chunk(&mut self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send(&chunk);
    }

    /// Whether nothing has come back yet.
    pub fn is_waiting(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).unwrap();
        peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Reads the answer, to the end of the connection.
    #[track_caller]
    pub fn answer(mut self) -> Answer {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and body.
    pub fn pair(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}
