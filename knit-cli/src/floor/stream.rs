//! Sockets and pipes, blocking.

use super::peer::{standard_input, standard_output};
use super::{Floor, FloorError, PATIENCE, Peer, Plan, Sample};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Bytes each way.
pub(super) const MESSAGE_BYTES: usize = 8;

pub(super) fn unix_socket(plan: &Plan) -> Result<Sample, FloorError> {
    let (ours, theirs) =
        UnixStream::pair().map_err(FloorError::system("make a pair of sockets"))?;
    let stdin = OwnedFd::from(theirs).into();
    let peer = Peer::start(Floor::UnixSocket.role(), stdin, Stdio::null(), &plan.cpus)?;
    measure(plan, &ours, &ours, peer)
}

pub(super) fn pipe(plan: &Plan) -> Result<Sample, FloorError> {
    let mut peer = Peer::start(Floor::Pipe.role(), Stdio::piped(), Stdio::piped(), &plan.cpus)?;
    let (Some(writer), Some(reader)) = peer.take_pipes() else {
        unreachable!("both streams of the peer are pipes")
    };
    measure(plan, reader, writer, peer)
}

pub(super) fn serve_unix_socket() -> Result<(), FloorError> {
    let socket = UnixStream::from(standard_input()?);
    serve(&socket, &socket)
}

pub(super) fn serve_pipe() -> Result<(), FloorError> {
    serve(File::from(standard_input()?), File::from(standard_output()?))
}

fn measure(
    plan: &Plan,
    mut reader: impl Read,
    mut writer: impl Write,
    mut peer: Peer,
) -> Result<Sample, FloorError> {
    let limit = plan.budget + PATIENCE;
    let watchdog = Watchdog::start(&peer, limit)?;
    let mut count = 0_u64;
    let sample = Sample::collect(plan, |rounds| {
        for _ in 0..rounds {
            count += 1;
            let mut answer = [0; MESSAGE_BYTES];
            let exchanged = writer
                .write_all(&count.to_le_bytes())
                .and_then(|()| reader.read_exact(&mut answer));
            exchanged.map_err(|source| match source.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                    peer.hung_up()
                }
                _ => FloorError::System { action: "exchange bytes with the peer", source },
            })?;
            let found = u64::from_le_bytes(answer);
            if found != count {
                return Err(FloorError::WrongAnswer { expected: count, found });
            }
        }
        Ok(())
    });
    match watchdog.stop() {
        Watched::InTime => sample,
        Watched::TooLate => Err(peer.silent(limit)),
    }
}

/// Answers every message with itself until the other side hangs up.
fn serve(mut reader: impl Read, mut writer: impl Write) -> Result<(), FloorError> {
    let mut message = [0; MESSAGE_BYTES];
    loop {
        match reader.read_exact(&mut message).and_then(|()| writer.write_all(&message)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(FloorError::system("answer")(error)),
        }
    }
}

/// Kills a peer that takes too long, so that a blocking read from it ends.
struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<Watched>,
}

#[derive(Clone, Copy)]
enum Watched {
    InTime,
    TooLate,
}

impl Watchdog {
    fn start(peer: &Peer, limit: Duration) -> Result<Self, FloorError> {
        let failed = "watch the second process";
        // The peer is not reaped before `Peer` is dropped, so the id is still its own.
        let id = i32::try_from(peer.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("process ids are positive");
        let process = pidfd_open(id, PidfdFlags::empty())
            .map_err(|errno| FloorError::system(failed)(errno.into()))?;
        let (stop, stopped) = channel();
        let watch = move || match stopped.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => {
                // It fails when the peer has ended, which is as good.
                let _ = pidfd_send_signal(&process, Signal::KILL);
                Watched::TooLate
            }
            _ => Watched::InTime,
        };
        let thread = thread::Builder::new()
            .name("watchdog".into())
            .spawn(watch)
            .map_err(FloorError::system(failed))?;
        Ok(Self { stop, thread })
    }

    fn stop(self) -> Watched {
        drop(self.stop);
        self.thread.join().expect("the watchdog does not panic")
    }
}
